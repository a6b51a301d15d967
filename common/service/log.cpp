#include "common/service/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "common/clock/moment.hpp"
#include "common/message/bytes.hpp"
#include "common/message/log_scope.hpp"

namespace lockstep::service {

namespace {

std::string time_of(const spdlog::details::log_msg& line) {
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(line.time.time_since_epoch());
  return to_rfc3339(UtcNanos{since.count() * 1000});
}

std::string text_of(const spdlog::string_view_t& view) {
  return message::show(std::string_view(view.data(), view.size()));
}

void append(spdlog::memory_buf_t& out, const std::string& text) {
  out.append(text.data(), text.data() + text.size());
}

class JsonLine final : public spdlog::formatter {
 public:
  explicit JsonLine(std::string service) : service_(std::move(service)) {}

  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    nlohmann::ordered_json row{{"time", time_of(line)},
                               {"level", text_of(spdlog::level::to_string_view(line.level))},
                               {"service", service_}};
    if (!message::LogScope::run().empty()) row["run"] = message::LogScope::run();
    if (!message::LogScope::step().empty()) row["step"] = message::LogScope::step();
    row["text"] = text_of(line.payload);
    append(out, row.dump() + "\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonLine>(service_);
  }

 private:
  std::string service_;
};

// What a peer sent may stand in a line, and must not look like two.
std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

class TextLine final : public spdlog::formatter {
 public:
  explicit TextLine(std::string service) : service_(std::move(service)) {}

  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    std::string text =
        time_of(line) + " " + text_of(spdlog::level::to_string_view(line.level)) + " " + service_;
    const std::string& run = message::LogScope::run();
    if (!run.empty()) text += " [" + run + " " + message::LogScope::step() + "]";
    append(out, text + ": " + one_line(text_of(line.payload)) + "\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextLine>(service_);
  }

 private:
  std::string service_;
};

}  // namespace

Result<void> set_up_log(const std::string& service, const std::string& format,
                        const std::string& level) {
  const auto known = spdlog::level::from_str(level);
  if ((known == spdlog::level::off && level != "off") || (format != "text" && format != "json")) {
    return make_error(ErrorCode::config_bad_value, "no such log format or level",
                      format + ", " + level,
                      "format: text or json; level: debug, info, warning, error");
  }
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  if (format == "json") {
    sink->set_formatter(std::make_unique<JsonLine>(service));
  } else {
    sink->set_formatter(std::make_unique<TextLine>(service));
  }
  auto logger = std::make_shared<spdlog::logger>(service, std::move(sink));
  logger->set_level(known);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

void log_error(const Error& error) { spdlog::error("{}; {}", error.text(), error.advice()); }

}  // namespace lockstep::service
