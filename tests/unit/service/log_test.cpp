#include "common/service/log.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/message/log_scope.hpp"
#include "common/os/fd.hpp"

using namespace lockstep;
using namespace lockstep::service;

namespace {

// What `work` writes to stderr.
std::string captured(const std::function<void()>& work) {
  const auto path =
      std::filesystem::temp_directory_path() / ("lockstep-log-" + std::to_string(::getpid()));
  {
    const os::Fd file{::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600)};
    const os::Fd saved{::dup(STDERR_FILENO)};
    ::dup2(file.get(), STDERR_FILENO);
    work();
    ::dup2(saved.get(), STDERR_FILENO);
  }
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(path);
  return text;
}

}  // namespace

TEST_CASE("a JSON line holds time, level, service, the run and step at work, and any bytes") {
  const std::string text = captured([] {
    REQUIRE(set_up_log("scheduler", "json", "info").has_value());
    const message::LogScope scope("0193a5f0-1234-7abc-8def-0123456789ab", "pin");
    spdlog::warn("two\nlines \xff \"quoted\"");
    spdlog::debug("below the level");
  });
  const auto row = nlohmann::json::parse(text);
  CHECK(row["level"] == "warning");
  CHECK(row["service"] == "scheduler");
  CHECK(row["run"] == "0193a5f0-1234-7abc-8def-0123456789ab");
  CHECK(row["step"] == "pin");
  CHECK(row["text"] == "two\nlines \\xff \"quoted\"");
  CHECK(row["time"].get<std::string>().back() == 'Z');
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("scopes nest, and end") {
  const std::string text = captured([] {
    REQUIRE(set_up_log("policy", "text", "info").has_value());
    {
      const message::LogScope outer("r1", "arm");
      {
        const message::LogScope inner("r2", "pin");
        spdlog::info("inner");
      }
      spdlog::info("outer");
    }
    spdlog::info("none\nof\x1b[31m these");
  });
  CHECK(text.find("info policy [r2 pin]: inner\n") != std::string::npos);
  CHECK(text.find("info policy [r1 arm]: outer\n") != std::string::npos);
  CHECK(text.find("info policy: none\\nof?[31m these\n") != std::string::npos);
}

TEST_CASE("formats and levels that do not exist are told") {
  CHECK(set_up_log("a", "xml", "info").error().code == ErrorCode::config_bad_value);
  CHECK(set_up_log("a", "text", "loud").error().code == ErrorCode::config_bad_value);
}
