#include "common/config/clock_wish.hpp"

#include "common/config/reader.hpp"

namespace lockstep::config {

ClockWish read_clock(const Value& value) {
  ClockWish wish;
  auto map = value.map();
  if (!map) return wish;
  if (const auto source = map->find("source")) {
    if (source->is_list()) {
      wish.sources = source->texts().value_or(std::vector<std::string>{});
    } else if (const auto text = source->text()) {
      wish.sources = {*text};
    }
  }
  if (const auto error = map->find("max_error")) {
    wish.max_error = error->duration({1000}, seconds(3600)).value_or(wish.max_error);
  }
  map->finish();
  return wish;
}

}  // namespace lockstep::config
