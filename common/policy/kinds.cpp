#include "common/policy/kinds.hpp"

#include <array>

namespace lockstep::policy {

namespace {
constexpr std::array kKinds{
    Kind{"files", true, true, false, true, false, true},
    Kind{"sqlite", true, false, true, true, true, false},
    Kind{"hdfs", false, true, false, false, false, true},
    Kind{"hbase", false, false, false, false, false, false},
};
}  // namespace

const Kind* find_kind(std::string_view name) {
  for (const auto& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::vector<std::string> kind_names() {
  std::vector<std::string> out;
  for (const auto& kind : kKinds) out.emplace_back(kind.name);
  return out;
}

}  // namespace lockstep::policy
