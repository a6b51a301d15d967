// Every committed seed, and every input that once broke something (corpus/<target>/broke-*), under
// the properties of its target: what libFuzzer found stays mended with any compiler.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "tests/fuzz/target.hpp"

using namespace lockstep;
namespace fs = std::filesystem;

namespace {

const std::map<std::string, void (*)(std::string_view)> kTargets{
    {"envelope", fuzz::envelope}, {"body", fuzz::body},         {"control", fuzz::control},
    {"pack", fuzz::pack},         {"manifest", fuzz::manifest}, {"policy", fuzz::policy},
    {"site", fuzz::site},         {"scenario", fuzz::scenario}, {"record", fuzz::record}};

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("no committed fuzz input breaks a property of its target") {
  const fs::path source = LOCKSTEP_SOURCE_DIR;
  std::ifstream list(source / "tests/fuzz/targets.txt");
  std::size_t targets = 0;
  for (std::string line; std::getline(list, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string name;
    words >> name;
    const auto found = kTargets.find(name);
    REQUIRE(found != kTargets.end());
    ++targets;
    std::vector<fs::path> folders{source / "tests/fuzz/corpus" / name};
    for (std::string folder; words >> folder;) folders.push_back(source / folder);
    std::size_t inputs = 0;
    for (const fs::path& folder : folders) {
      if (!fs::exists(folder)) continue;
      for (const auto& file : fs::recursive_directory_iterator(folder)) {
        if (!file.is_regular_file()) continue;
        ++inputs;
        INFO(name << ": " << file.path().string());
        const std::string bytes = content(file.path());
        CHECK_NOTHROW(found->second(bytes));
        // Cut short anywhere and with a bit turned, it may be refused, but holds the properties.
        for (std::size_t i = 0; i < 16 && !bytes.empty(); ++i) {
          const std::size_t at = bytes.size() * i / 16;
          std::string turned = bytes;
          turned[at] = static_cast<char>(turned[at] ^ 0x10);
          CHECK_NOTHROW(found->second(bytes.substr(0, at)));
          CHECK_NOTHROW(found->second(turned));
        }
      }
    }
    INFO(name);
    CHECK(inputs > 0);
  }
  CHECK(targets == kTargets.size());
}
