#include "common/service/injection.hpp"

#include <spdlog/spdlog.h>

#include "common/service/log.hpp"

namespace lockstep::service {

void take_injection_marks(Surroundings& here) {
  here.server.on("injection.mark", {transport::Role::user}, [&here](const auto& request) {
    if (!here.site.injection.allowed) {
      request.failed(make_error(ErrorCode::guard, "this site does not allow injection", here.name,
                                "on a site made for tests write `injection: {allow: true}`"));
      return;
    }
    const message::Body& body = request.body();
    const message::Body data{
        {"title", body.at("title")}, {"state", body.at("state")}, {"by", request.peer().name}};
    const auto kept = here.journal.transact("service.injection",
                                            [&](journal::Transaction& transaction) -> Result<void> {
                                              transaction.emit("injection.marked", here.name, data);
                                              return {};
                                            });
    if (!kept) {
      request.failed(kept.error());
      if (kept.error().code == ErrorCode::journal_write) here.fail(kept.error());
      return;
    }
    spdlog::warn("injection {}: {}", data["state"].get<std::string>(), data["title"].dump());
    here.events.flush();
    request.done();
  });
}

}  // namespace lockstep::service
