// The primary's side of a transfer, on a disk that never fails: trees, and the streams of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "common/components/files/files.hpp"
#include "common/components/files/native.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "common/stream/send.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::test {

class North {
 public:
  North() {
    std::filesystem::create_directories(top_ / "state");
    std::filesystem::create_directories(top_ / "manifests");
    component_ = files::make_files(surroundings_);
  }

  std::string tree(const std::string& name) const { return top_ / name; }
  void write(const std::string& name, const std::string& path, const std::string& content) const {
    const std::string file = tree(name) + "/" + path;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }

  // The tree as it stands, as the version of a run. `base`: an earlier run that was sent; or empty.
  Result<stream::SendOutcome> send(stream::Link& link, const std::string& name,
                                   const std::string& run, const std::string& base,
                                   std::uint64_t epoch, std::stop_token stop) {
    files::Native native;
    native.tree = native.hold = tree(name);
    native.form = "plain";
    LOCKSTEP_TRY(
        const auto source,
        component_->sources()->open({{"orders", "files"}, "files", run, files::to_text(native)}));
    stream::SendJob job;
    job.transfer = run;
    job.epoch = epoch;
    job.source = source.get();
    job.manifest = top_ / ("manifests/" + run);
    if (!base.empty()) job.base_manifest = top_ / ("manifests/" + base);
    job.stop = stop;
    return stream::send_set({*disk_, *clock_}, link, job);
  }

 private:
  Scratch top_;
  std::unique_ptr<os::Disk> disk_ = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes_ = os::make_system_processes();
  std::unique_ptr<Clock> clock_ = make_system_clock();
  component::Surroundings surroundings_{*disk_, *processes_, *clock_, top_ / "state"};
  std::unique_ptr<component::Component> component_;
};

}  // namespace lockstep::test
