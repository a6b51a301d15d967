#include "common/stream/carrying.hpp"

#include <algorithm>

namespace lockstep::stream {

Result<void> check_carried(const component::Carried& carried) {
  std::size_t bytes = 0;
  for (const std::string& path : carried.except) bytes += path.size() + 1;
  if (bytes <= component::kMostExcepted) return {};
  return make_error(ErrorCode::internal, "an engine left more out than can be told");
}

void tell_carried(Control& start, const component::Carried& carried) {
  std::string except;
  for (const std::string& path : carried.except) except += path + '\0';
  start.set("carried", carried.any ? 1 : 0).bytes("how", carried.how).bytes("except", except);
}

component::Carried heard_carried(const Control& start) {
  component::Carried carried;
  carried.any = start.number("carried") != 0;
  carried.how = start.string("how");
  const std::string& except = start.string("except");
  for (std::size_t at = 0; at < except.size();) {
    const std::size_t end = std::min(except.find('\0', at), except.size());
    carried.except.push_back(except.substr(at, end - at));
    at = end + 1;
  }
  std::sort(carried.except.begin(), carried.except.end());
  return carried;
}

std::function<Result<std::string>(const component::Entry&)> sums_of(
    component::Source& source, const component::Carried& carried) {
  if (!carried.any) return {};
  return [&source, except = carried.except](const component::Entry& entry) -> Result<std::string> {
    if (std::binary_search(except.begin(), except.end(), entry.path)) return std::string();
    return source.kept_sum(entry);
  };
}

}  // namespace lockstep::stream
