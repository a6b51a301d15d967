#include "services/cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/clock/moment.hpp"
#include "common/message/bytes.hpp"

namespace lockstep::cli {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

std::string paint(Colour colour, const std::string& text, int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  if (!is_terminal(fd) || (no_color != nullptr && *no_color != '\0')) return text;
  const char* code = "";
  switch (colour) {
    case Colour::plain:
      return text;
    case Colour::good:
      code = "32";
      break;
    case Colour::bad:
      code = "31";
      break;
    case Colour::warn:
      code = "33";
      break;
    case Colour::dim:
      code = "2";
      break;
    case Colour::bold:
      code = "1";
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string safe(std::string_view bytes) {
  std::string out;
  for (const char c : message::show(bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string safe_lines(std::string_view bytes) {
  std::string out;
  std::size_t start = 0;
  for (std::size_t end = bytes.find('\n'); end != std::string_view::npos;
       end = bytes.find('\n', start)) {
    out += safe(bytes.substr(start, end - start)) + "\n";
    start = end + 1;
  }
  return out + safe(bytes.substr(start));
}

std::string text_of(const message::Body& value) { return safe(message::bytes_of(value)); }

std::string field(const message::Body& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  if (found->is_string() || found->is_binary()) return text_of(*found);
  return found->dump();
}

std::string size_text(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(kUnits)) {
    amount /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string span_text(std::int64_t nanoseconds) {
  const auto amount = static_cast<double>(nanoseconds);
  if (nanoseconds < 1'000) return fmt::format("{} ns", nanoseconds);
  if (nanoseconds < 1'000'000) return fmt::format("{:.0f} us", amount / 1e3);
  if (nanoseconds < 1'000'000'000) return fmt::format("{:.1f} ms", amount / 1e6);
  if (nanoseconds < 120'000'000'000) return fmt::format("{:.1f} s", amount / 1e9);
  const std::int64_t minutes = nanoseconds / 60'000'000'000;
  if (minutes < 120) return fmt::format("{} min", minutes);
  if (minutes < 48 * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  return fmt::format("{} d {} h", minutes / 1440, minutes / 60 % 24);
}

std::string short_instant(const std::string& rfc3339) {
  const auto dot = rfc3339.find('.');
  return dot == std::string::npos ? rfc3339 : rfc3339.substr(0, dot) + "Z";
}

namespace {
// Without colours and with UTF-8 letters counted once.
std::size_t shown_width(const std::string& cell) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] == '\x1b') {
      i = cell.find('m', i);
      if (i == std::string::npos) break;
      continue;
    }
    if ((static_cast<unsigned char>(cell[i]) & 0xc0U) != 0x80U) ++width;
  }
  return width;
}
}  // namespace

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], shown_width(row[i]));
    }
  }
  std::string out;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      const auto& cell = rows_[r][i];
      line += r == 0 ? paint(Colour::dim, cell) : cell;
      if (i + 1 < rows_[r].size()) line.append(widths[i] - shown_width(cell) + 2, ' ');
    }
    out += line + (r + 1 < rows_.size() ? "\n" : "");
  }
  return out;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void print_notice(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void print_json(const message::Body& value) { print(message::showable(value).dump()); }

void print_error(const Error& error, bool json) {
  std::string out = paint(Colour::bad, "error", 2) + ": " + safe(error.what);
  if (!error.where.empty()) out += ": " + safe(error.where);
  out += fmt::format(" [{}]\n", error_info(error.code).name);
  std::string advice{error.advice()};
  // Further findings of a document stand in the hint, one a line.
  std::size_t start = 0;
  for (bool first = true; start <= advice.size() && !advice.empty(); first = false) {
    const auto end = std::min(advice.find('\n', start), advice.size());
    out += (first ? "  hint: " : "  ") + safe(advice.substr(start, end - start)) + "\n";
    start = end + 1;
  }
  std::fflush(stdout);
  std::fwrite(out.data(), 1, out.size(), stderr);
  if (json) print_json({{"error", message::error_body(error)}});
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), terminal_(is_terminal(2)), quiet_(quiet) {}

namespace {
struct Sum {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t expected = 0;
  bool all_expected = true;  // of every set it is known
  bool at_most = false;
};

Sum sum_of(const message::Body& body) {
  Sum sum;
  const auto sets = body.find("sets");
  if (sets == body.end()) return sum;
  for (const auto& set : *sets) {
    sum.bytes += set.value("bytes", std::uint64_t{0});
    sum.entries += set.value("entries", std::uint64_t{0});
    sum.all_expected = sum.all_expected && set.contains("bytes_expected");
    sum.expected += set.value("bytes_expected", std::uint64_t{0});
    sum.at_most = sum.at_most || set.value("at_most", false);
  }
  return sum;
}
}  // namespace

std::string progress_text(const message::Body& body, std::uint64_t bytes_before, double seconds) {
  const Sum sum = sum_of(body);
  if (sum.bytes == 0 && sum.entries == 0) return {};
  std::string line = fmt::format("{} entries, {}", sum.entries, size_text(sum.bytes));
  const double moved = sum.bytes > bytes_before ? static_cast<double>(sum.bytes - bytes_before) : 0;
  const bool moves = seconds > 0.5 && moved > 0;
  const double rate = moves ? moved / seconds : 0;
  if (moves) line += fmt::format(", {}/s", size_text(static_cast<std::uint64_t>(rate)));
  if (!sum.all_expected || sum.expected <= sum.bytes) return line;
  line += fmt::format(" of {}{}, {:.0f} %", sum.at_most ? "at most " : "", size_text(sum.expected),
                      100.0 * static_cast<double>(sum.bytes) / static_cast<double>(sum.expected));
  if (moves) {
    const double left = static_cast<double>(sum.expected - sum.bytes) / rate;
    line += fmt::format(", {}{} left", sum.at_most ? "at most " : "",
                        span_text(static_cast<std::int64_t>(std::ceil(left)) * 1'000'000'000));
  }
  return line;
}

void Progress::show(const message::Body& body) {
  if (quiet_ && !terminal_) return;
  std::string stage = field(body, "state");
  if (const auto step = field(body, "step"); !step.empty() && step != stage) stage += " " + step;
  const std::uint64_t bytes = sum_of(body).bytes;
  const auto now = Clock::now();
  const bool new_stage = stage != stage_;
  if (new_stage || !moving_since_) {
    moving_since_ = now;
    bytes_at_start_ = bytes;
  }
  stage_ = stage;

  std::string line = what_;
  if (!stage.empty()) line += ": " + stage;
  const double elapsed = std::chrono::duration<double>(now - *moving_since_).count();
  if (const auto text = progress_text(body, bytes_at_start_, elapsed); !text.empty())
    line += "  " + text;
  if (terminal_) {
    std::fputs(("\r" + line + "\x1b[K").c_str(), stderr);
    std::fflush(stderr);
    open_ = true;
  } else if (line != last_line_ && (new_stage || now - last_shown_ >= std::chrono::seconds{5})) {
    std::fputs((line + "\n").c_str(), stderr);
    last_shown_ = now;
  }
  last_line_ = line;
}

void Progress::finish() {
  if (open_) std::fputs("\r\x1b[K", stderr);
  open_ = false;
}

}  // namespace lockstep::cli
