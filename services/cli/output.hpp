// Output: how results, errors and progress are shown to people and to programs.
//
// Colours only on a terminal, and never where NO_COLOR is set (no-color.org). Bytes that are not
// UTF-8, and control characters, are shown escaped: what a file is called must not steer a
// terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::cli {

enum class Colour { plain, good, bad, warn, dim, bold };
bool is_terminal(int fd);
std::string paint(Colour colour, const std::string& text, int fd = 1);

// A field that may hold any bytes, safe to print.
std::string text_of(const message::Body& value);
std::string safe(std::string_view bytes);
std::string safe_lines(std::string_view bytes);  // line ends stay
// `key` of an object as text; "" where it is not there.
std::string field(const message::Body& object, const char* key);

std::string size_text(std::uint64_t bytes);             // "12.3 MiB"
std::string span_text(std::int64_t nanoseconds);        // "1.2 ms", "26h"
std::string short_instant(const std::string& rfc3339);  // to the second

// Columns as wide as their widest cell; headers dim. Cells may be painted.
class Table {
 public:
  explicit Table(std::vector<std::string> headers) : rows_{std::move(headers)} {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

void print(const std::string& text);          // to stdout, with a line end
void print_json(const message::Body& value);  // one line; bytes by docs/protocol.md's rule
void print_notice(const std::string& text);   // a line to stderr
void print_error(const Error& error,
                 bool json);  // to stderr; with `json` also {"error": ...} to stdout

// What a progress body says: "12 entries, 1.2 GiB, 40.0 MiB/s, 34 %, 1m 2s left". `seconds`: how
// long it took to come from `bytes_before` to here; 0: not known. "" where nothing has moved.
std::string progress_text(const message::Body& body, std::uint64_t bytes_before, double seconds);

// Progress of a long request: one line that is rewritten on a terminal, plain lines from time to
// time in a pipe. Shown on stderr.
class Progress {
 public:
  // `quiet`: nothing but on a terminal (for --json).
  explicit Progress(std::string what, bool quiet);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // The body of a progress message: {state?, step?, sets?: [{name, entries, bytes,
  // bytes_expected?, at_most?}]}.
  void show(const message::Body& body);
  void finish();  // ends the line on a terminal

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  bool terminal_;
  bool quiet_;
  bool open_ = false;
  std::string stage_;
  std::optional<Clock::time_point> moving_since_;
  std::uint64_t bytes_at_start_ = 0;
  Clock::time_point last_shown_{};
  std::string last_line_;
};

}  // namespace lockstep::cli
