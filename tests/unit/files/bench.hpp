// A component of files over a disk of the test's own, and a small tree to carry.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "common/clock/clock.hpp"
#include "common/components/files/files.hpp"
#include "common/components/files/native.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/carry.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::test {

namespace fs = std::filesystem;

inline const std::string kRunOne = "01930000-0000-7000-8000-000000000001";
inline const std::string kRunTwo = "01930000-0000-7000-8000-000000000002";

struct FilesBench {
  explicit FilesBench(os::Disk& disk, const std::string& under = "/tmp") : top(under) {
    fs::create_directories(top / "north/tree");
    fs::create_directories(top / "south");
    fs::create_directories(top / "state");
    surroundings.emplace(component::Surroundings{disk, *processes, *clock, top / "state"});
    component = files::make_files(*surroundings);
    target.id = {"orders", "invoices"};
    target.component = "files";
    target.place.location = top / "south/tree";
  }

  std::string tree() const { return top / "north/tree"; }
  void write(const std::string& path, const std::string& content) const {
    fs::create_directories(fs::path(tree() + "/" + path).parent_path());
    std::ofstream(tree() + "/" + path, std::ios::binary) << content;
  }

  // The tree as it stands: nobody else writes there.
  component::Version version(const std::string& run) const {
    files::Native native;
    native.tree = tree();
    native.hold = tree();
    native.form = "plain";
    return {target.id, "files", run, files::to_text(native)};
  }

  Carry carry(const std::string& run) {
    return {*component->sources(), *component->target(), target, version(run), run};
  }

  // Every path below `root`, with its content.
  static std::map<std::string, std::string> contents(const std::string& root) {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      std::string content = "directory";
      if (entry.is_regular_file()) {
        std::ifstream file(entry.path(), std::ios::binary);
        content = std::string(std::istreambuf_iterator<char>(file), {});
      }
      out[entry.path().lexically_relative(root)] = content;
    }
    return out;
  }

  Scratch top;
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  std::optional<component::Surroundings> surroundings;
  std::unique_ptr<component::Component> component;
  component::DataSet target;
};

}  // namespace lockstep::test
