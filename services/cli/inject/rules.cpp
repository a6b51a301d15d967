#include "services/cli/inject/rules.hpp"

namespace lockstep::cli::inject {

bool is_of(const std::string& pattern, const std::string& type) {
  if (pattern.ends_with('*')) return type.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == type;
}

Rules::Decision Rules::decide(const std::string& type) {
  Decision out;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    if (!is_of(rule.type, type)) continue;
    const int before = seen_[i]++;
    if (out.fate != Fate::pass || before < rule.skip || before >= rule.skip + rule.times) continue;
    out = {rule.fate, rule.by};
  }
  return out;
}

}  // namespace lockstep::cli::inject
