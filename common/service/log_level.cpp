#include "common/service/log_level.hpp"

#include <spdlog/spdlog.h>

namespace lockstep::service {

void take_log_level(Surroundings& here) {
  here.server.on("log.level", {transport::Role::user}, [](const auto& request) {
    const auto name = [] {
      const auto view = spdlog::level::to_string_view(spdlog::get_level());
      return std::string(view.data(), view.size());
    };
    const std::string before = name();
    // The schema has the words.
    const auto wanted = request.body().at("level").template get<std::string>();
    spdlog::set_level(spdlog::level::from_str(wanted));
    spdlog::log(spdlog::level::err, "the log's level is {} now, at the wish of '{}'; it was {}",
                name(), request.peer().name, before);
    request.done({{"before", before}});
  });
}

}  // namespace lockstep::service
