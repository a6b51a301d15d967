#include "services/health-monitor/handlers.hpp"

#include <memory>

namespace lockstep::health {

using transport::Request;
using transport::Role;

void serve(service::Surroundings& here, Watch& watch, Promotion& promotion) {
  // Those that wait for a change of the application's client from the one they know.
  const auto waiting = std::make_shared<std::vector<Request>>();
  here.server.on("client.show", transport::all_roles(), [&watch, waiting](const Request& request) {
    const auto& body = request.body();
    if (body.contains("unless") && body.at("unless") == watch.application()) {
      request.accepted();
      waiting->push_back(request);
      return;
    }
    request.done(watch.body());
  });
  watch.on_application.emplace_back([&watch, waiting] {
    for (const Request& request : std::exchange(*waiting, {})) request.done(watch.body());
  });
  // Whoever waits hears now and then that this side is there; those who went away are let go of.
  constexpr std::size_t kWaiting = 1000;
  here.reactor.every(seconds(10), [waiting] {
    if (waiting->size() > kWaiting) {
      waiting->erase(waiting->begin(), waiting->end() - static_cast<std::ptrdiff_t>(kWaiting));
    }
    for (const Request& request : *waiting) request.progress(message::Body::object());
  });
  here.server.on("promote", {Role::user},
                 [&promotion](const Request& request) { promotion.promote(request); });
}

}  // namespace lockstep::health
