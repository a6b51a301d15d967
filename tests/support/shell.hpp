// Commands of the shell, for what a test does to a file system and reads back of it.
#pragma once

#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

namespace lockstep::test {

// What the command printed; where it failed, with its exit status at the end.
inline std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  if (status != 0) text += "[exit status " + std::to_string(WEXITSTATUS(status)) + "]";
  return text;
}

// Commands that must succeed and have nothing to say.
inline void shell(const std::string& command) {
  INFO(command);
  REQUIRE(output_of("exec 2>&1; set -e; " + command) == "");
}

}  // namespace lockstep::test
