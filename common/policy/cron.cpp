#include "common/policy/cron.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

namespace lockstep::policy {

namespace {

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  unsigned least;
  unsigned most;
  std::span<const std::string_view> names;
};

const std::array<Field, 5> kFields{{{"minute", 0, 59, {}},
                                    {"hour", 0, 23, {}},
                                    {"day of month", 1, 31, {}},
                                    {"month", 1, 12, kMonths},
                                    {"day of week", 0, 7, kDays}}};

Error bad(const Field& field, std::string_view text, std::string_view why) {
  std::string what = "the cron field for the " + std::string{field.name} + ", `" +
                     std::string{text} + "`, " + std::string{why} + "; it holds *, numbers from " +
                     std::to_string(field.least) + " to " + std::to_string(field.most);
  if (!field.names.empty()) {
    what += " or " + std::string{field.names.front()} + " to " + std::string{field.names.back()};
  }
  what += ", ranges (a-b), lists (a,b) and steps (*/n, a-b/n)";
  return make_error(ErrorCode::config_bad_value, std::move(what));
}

std::optional<unsigned> number(std::string_view text) {
  unsigned out = 0;
  const auto* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, out);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return out;
}

std::optional<unsigned> bound(const Field& field, std::string_view text) {
  if (const auto plain = number(text)) {
    if (*plain < field.least || *plain > field.most) return std::nullopt;
    return plain;
  }
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::find(field.names.begin(), field.names.end(), lower);
  if (found == field.names.end()) return std::nullopt;
  return field.least + static_cast<unsigned>(found - field.names.begin());
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  std::size_t start = 0;
  for (std::size_t end = text.find(at); end != std::string_view::npos; end = text.find(at, start)) {
    out.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  out.push_back(text.substr(start));
  return out;
}

Result<std::bitset<64>> parse_field(const Field& field, std::string_view text) {
  std::bitset<64> out;
  for (const auto part : split(text, ',')) {
    const auto slash = part.find('/');
    const auto range = part.substr(0, slash);
    unsigned step = 1;
    if (slash != std::string_view::npos) {
      const auto given = number(part.substr(slash + 1));
      if (!given || *given == 0) return bad(field, text, "has a step that is no number from 1");
      if (range != "*" && range.find('-') == std::string_view::npos) {
        return bad(field, text, "has a step without a range");
      }
      step = *given;
    }
    unsigned first = field.least;
    unsigned last = field.most;
    if (range != "*") {
      const auto dash = range.find('-');
      const auto low = bound(field, range.substr(0, dash));
      auto high = dash == std::string_view::npos ? low : bound(field, range.substr(dash + 1));
      // `sat-sun`: the Sunday at the end of the week.
      if (low && high && *high == 0 && *low > 0 && field.most == 7 &&
          dash != std::string_view::npos) {
        high = 7;
      }
      if (!low || !high) return bad(field, text, "is not understood");
      if (*low > *high) return bad(field, text, "has a range that runs backwards");
      first = *low;
      last = *high;
    }
    for (unsigned value = first; value <= last; value += step) out.set(value);
  }
  return out;
}

std::string_view expand(std::string_view line) {
  if (line == "@hourly") return "0 * * * *";
  if (line == "@daily" || line == "@midnight") return "0 0 * * *";
  if (line == "@weekly") return "0 0 * * 0";
  if (line == "@monthly") return "0 0 1 * *";
  if (line == "@yearly" || line == "@annually") return "0 0 1 1 *";
  return line;
}

}  // namespace

bool Cron::day_matches(unsigned month, unsigned day, unsigned weekday) const {
  if (!months.test(month)) return false;
  const bool by_day = days.test(day);
  const bool by_weekday = weekdays.test(weekday);
  return days_star || weekdays_star ? by_day && by_weekday : by_day || by_weekday;
}

Result<Cron> parse_cron(std::string_view line) {
  if (line.size() > 1000) {
    return make_error(ErrorCode::config_bad_value, "the cron line is longer than 1000 characters");
  }
  std::vector<std::string_view> words;
  for (auto word : split(expand(line), ' ')) {
    for (auto piece : split(word, '\t')) {
      if (!piece.empty()) words.push_back(piece);
    }
  }
  if (words.size() != kFields.size()) {
    return make_error(ErrorCode::config_bad_value,
                      "a cron line has five fields (minute, hour, day of month, month, day of "
                      "week), found " +
                          std::to_string(words.size()));
  }
  Cron cron;
  std::array<std::bitset<64>, 5> sets;
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    LOCKSTEP_TRY(sets[i], parse_field(kFields[i], words[i]));
  }
  for (std::size_t i = 0; i < 60; ++i) cron.minutes.set(i, sets[0].test(i));
  for (std::size_t i = 0; i < 24; ++i) cron.hours.set(i, sets[1].test(i));
  for (std::size_t i = 0; i < 32; ++i) cron.days.set(i, sets[2].test(i));
  for (std::size_t i = 0; i < 13; ++i) cron.months.set(i, sets[3].test(i));
  for (std::size_t i = 0; i < 7; ++i) cron.weekdays.set(i, sets[4].test(i));
  if (sets[4].test(7)) cron.weekdays.set(0);
  cron.days_star = words[2].front() == '*';
  cron.weekdays_star = words[4].front() == '*';
  return cron;
}

}  // namespace lockstep::policy
