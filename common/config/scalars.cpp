// What YAML readers make of plain scalars (YAML 1.1, section 10.2 of the type repository; 1.2.2,
// section 10.3), and near misses of words.
#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

#include "common/config/reader.hpp"

namespace lockstep::config {

std::optional<std::string> plain_scalar_trap(std::string_view text) {
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static constexpr std::array kBooleans{"y", "n", "yes", "no", "on", "off", "true", "false"};
  if (std::find(kBooleans.begin(), kBooleans.end(), lower) != kBooleans.end()) {
    return "true or false to some YAML readers";
  }
  if (lower == "~" || lower == "null") return "nothing to YAML readers";
  if (text.size() > 64) return std::nullopt;  // no number; and std::regex recurses by length
  static const std::regex octal{"[-+]?(0[0-7_]+|0o[0-7]+)"};
  static const std::regex sexagesimal{"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\\.[0-9_]*)?"};
  static const std::regex other_base{"[-+]?0(b[01_]+|x[0-9a-f_]+)"};
  static const std::regex number{
      "[-+]?(\\.?[0-9][0-9_]*|[0-9][0-9_]*\\.[0-9_]*)(e[-+]?[0-9]+)?|[-+]?\\.inf|\\.nan"};
  static const std::regex date{"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([t \\t].*)?"};
  if (std::regex_match(lower, octal)) return "a number in octal to some YAML readers";
  if (std::regex_match(lower, sexagesimal))
    return "a number to the base of 60 to some YAML readers";
  if (std::regex_match(lower, other_base)) return "a number in another base to YAML readers";
  if (std::regex_match(lower, number)) return "a number to YAML readers";
  if (std::regex_match(lower, date)) return "a date to some YAML readers";
  return std::nullopt;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

namespace {

// Optimal string alignment: insertions, deletions, substitutions, neighbours swapped.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out += lower == '-' ? '_' : lower;
  }
  return out;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > 64) return std::nullopt;
  const std::string wanted = folded(word);
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    const std::size_t away = distance(wanted, folded(candidate));
    if (away < best_distance) {
      best = candidate;
      best_distance = away;
    }
  }
  return best;
}

}  // namespace lockstep::config
