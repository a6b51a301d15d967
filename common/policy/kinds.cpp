#include "common/policy/kinds.hpp"

#include <array>

namespace lockstep::policy {

namespace {
constexpr std::array kKinds{
    Kind{"files", true, true, false, true, false, true, false},
    Kind{"sqlite", true, false, true, true, true, false, false},
    Kind{"hdfs", true, true, false, true, false, false, true},
    Kind{"hbase", true, false, false, false, false, false, true},
};
}  // namespace

const Kind* find_kind(std::string_view name) {
  for (const auto& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

bool is_of_cluster(std::string_view name) {
  const Kind* kind = find_kind(name);
  return kind != nullptr && kind->of_cluster;
}

std::string_view space_of(std::string_view name) { return is_of_cluster(name) ? name : ""; }

std::vector<std::string> kind_names() {
  std::vector<std::string> out;
  for (const auto& kind : kKinds) out.emplace_back(kind.name);
  return out;
}

}  // namespace lockstep::policy
