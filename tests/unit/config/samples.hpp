// The samples in docs/samples: valid ones load; each invalid one begins with
// `# expect: LINE:COLUMN CODE TEXT`, its first finding (TEXT stands in the message or its hint).
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/error/error.hpp"

namespace lockstep::test {

struct Sample {
  std::string path;
  std::string name;
  std::string text;
};

inline std::vector<Sample> samples(const std::string& directory, const std::string& prefix) {
  std::vector<Sample> out;
  for (const auto& entry : std::filesystem::directory_iterator{directory}) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(prefix) || entry.path().extension() != ".yaml") continue;
    std::ifstream in{entry.path()};
    std::ostringstream text;
    text << in.rdbuf();
    out.push_back({entry.path().string(), name, text.str()});
  }
  REQUIRE_FALSE(out.empty());
  return out;
}

inline void check_first_finding(const Sample& sample, const Error& error) {
  std::istringstream header{sample.text};
  std::string hash, expect, place, code, text;
  header >> hash >> expect >> place >> code;
  std::getline(header >> std::ws, text);
  REQUIRE(expect == "expect:");
  INFO(sample.name << ": " << error.text() << " | " << error.advice());
  CHECK(error.where == sample.name + ":" + place);
  CHECK(error_info(error.code).name == code);
  const std::string first_hint = error.hint.substr(0, error.hint.find("\nalso "));
  CHECK((error.what + " " + first_hint).find(text) != std::string::npos);
}

}  // namespace lockstep::test
