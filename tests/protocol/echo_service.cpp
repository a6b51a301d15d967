// A service without data: what common/service, transport and journal do, with nothing around them.
// tests/protocol/test_live.py talks to it. It stands in lockstep.yaml as a snapshot-agent.
//
//   snapshot.holds    answers at once
//   snapshot.commit   accepted, five times progress in half a second, done; the reply is journaled
//                     under (run, step, attempt) together with its event
//   snapshot.keep     emits 15,000 events in one transaction
#include "common/message/log_scope.hpp"
#include "common/service/service.hpp"

namespace lockstep {

namespace {

using message::Body;
using transport::Request;
using transport::Role;

class Echo {
 public:
  explicit Echo(service::Surroundings& here) : here_(here) {
    here.server.on("snapshot.holds", {Role::user, Role::scheduler}, [](const Request& request) {
      request.done({{"holds", Body::array()}});
    });
    here.server.on("snapshot.commit", {Role::scheduler},
                   [this](const Request& request) { commit(request); });
    here.server.on("snapshot.keep", {Role::scheduler},
                   [this](const Request& request) { burst(request); });
    here.snapshot = [] { return Body{{"echo", true}}; };
  }

 private:
  static journal::ReplyKey key_of(const Request& request) {
    return {request.envelope().run, request.envelope().step, request.envelope().attempt};
  }

  void commit(const Request& request) {
    const auto stored = here_.journal.find_reply(key_of(request));
    if (!stored) {
      request.failed(stored.error());
    } else if (*stored) {
      request.done((*stored)->body);
    } else {
      request.accepted();
      step(request, 0);
    }
  }

  void step(const Request& request, int count) {
    const message::LogScope scope(request.envelope().run, request.envelope().step);
    if (count == 5) {
      finish(request);
      return;
    }
    request.progress({{"sets", {{{"name", "a"}, {"entries", count}, {"bytes", count * 100}}}}});
    here_.reactor.after(milliseconds(100), [this, request, count] { step(request, count + 1); });
  }

  void finish(const Request& request) {
    const Body reply{{"state", "committed"}, {"sets", Body::array()}};
    const auto done = here_.journal.transact(
        "echo.commit", [&](journal::Transaction& transaction) -> Result<void> {
          transaction.store_reply(key_of(request), {true, reply});
          transaction.emit("pin.made", request.body()["service"].get<std::string>(),
                           {{"run", request.envelope().run},
                            {"service", request.body()["service"]},
                            {"set", "a"}});
          return {};
        });
    if (!done) {
      here_.fail(done.error());
      return;
    }
    here_.events.flush();
    request.done(reply);
  }

  void burst(const Request& request) {
    const std::string service = request.body()["service"].get<std::string>();
    const auto done = here_.journal.transact(
        "echo.burst", [&](journal::Transaction& transaction) -> Result<void> {
          for (int i = 0; i < 15000; ++i) {
            transaction.emit("point.sealed", service,
                             {{"id", request.envelope().id}, {"service", service}});
          }
          return {};
        });
    if (!done) {
      request.failed(done.error());
      return;
    }
    here_.events.flush();
    request.done({{"dropped", Body::array()}});
  }

  service::Surroundings& here_;
};

}  // namespace

}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
  return service::run(argc, argv, transport::Role::snapshot_agent, {},
                      [](service::Surroundings& here) -> Result<std::shared_ptr<void>> {
                        return std::shared_ptr<void>(std::make_shared<Echo>(here));
                      });
}
