// Two sides of a stream for tests: a pin of a real tree on one, a kept version on the other, with
// the files component and the kernel's disk. Used in one process, and by stream_peer in processes
// that are killed.
#pragma once

#include <zmq.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

#include "common/clock/clock.hpp"
#include "common/components/files/files.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "common/stream/bulk.hpp"
#include "common/stream/receive.hpp"
#include "common/stream/send.hpp"
#include "tests/support/wired.hpp"

namespace lockstep::test {

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void spit(const std::string& path, const std::string& bytes) {
  std::ofstream(path + ".new", std::ios::binary) << bytes;
  std::filesystem::rename(path + ".new", path);
}

// A row in a file.
class FileLog final : public stream::ResumeLog {
 public:
  explicit FileLog(std::string path) : path_(std::move(path)) {}

  Result<std::optional<stream::ResumeRow>> load() override {
    if (!std::filesystem::exists(path_)) return std::optional<stream::ResumeRow>();
    std::istringstream in(slurp(path_));
    stream::ResumeRow row;
    in >> row.sequence >> row.durable >> row.complete;
    in.get();
    row.state.assign(std::istreambuf_iterator<char>(in), {});
    return std::optional<stream::ResumeRow>(std::move(row));
  }
  Result<void> save(const stream::ResumeRow& row) override {
    std::ostringstream out;
    out << row.sequence << ' ' << row.durable << ' ' << row.complete << '\n' << row.state;
    spit(path_, out.str());
    ++saves;
    return {};
  }
  Result<void> clear() override {
    std::filesystem::remove(path_);
    return {};
  }

  int saves = 0;

 private:
  std::string path_;
};

// One host with a files component. `top` holds everything: "<top>/north/data" is the primary's
// tree,
// "<top>/south/data" the place of its backup.
struct Peers {
  explicit Peers(std::string at) : top(std::move(at)) {
    for (const char* part :
         {"north/data", "south", "state/components", "manifests/north", "manifests/south"})
      std::filesystem::create_directories(top + "/" + part);
    component = files::make_files(surroundings);
  }

  component::DataSet set(const std::string& side) const {
    component::DataSet out;
    out.id = {"orders", "data"};
    out.component = "files";
    out.place.location = top + "/" + side + "/data";
    out.fence_timeout = seconds(60);
    return out;
  }
  component::Context context(const std::string& run) const {
    component::Context out;
    out.run = run;
    return out;
  }
  std::string manifest(const std::string& side, const std::string& run) const {
    return top + "/manifests/" + side + "/" + run;
  }
  std::string log(const std::string& run) const { return top + "/state/" + run + ".log"; }

  // Pins the primary's tree; the version is remembered in a file.
  Result<component::Version> pin(const std::string& run) {
    LOCKSTEP_TRY(auto armed, component->snapshots()->arm(context(run), set("north"), clock->utc()));
    LOCKSTEP_TRY(const component::Pinned pinned, armed->pin());
    LOCKSTEP_TRY(component::Version version, armed->settle(context(run)));
    spit(top + "/state/pin." + run, version.native);
    return version;
  }
  component::Version pinned(const std::string& run) const {
    return {set("north").id, "files", run, slurp(top + "/state/pin." + run)};
  }

  stream::SendJob send_job(const std::string& run, const std::string& base) {
    stream::SendJob job;
    job.transfer = run;
    job.epoch = 7;
    job.manifest = manifest("north", run);
    if (!base.empty()) {
      job.base_manifest = manifest("north", base);
      job.base = pinned(base);
    }
    job.stall = seconds(20);
    job.deadline = seconds(120);
    return job;
  }
  Result<stream::SendOutcome> send(stream::Link& link, stream::SendJob job) {
    LOCKSTEP_TRY(const auto source, component->sources()->open(pinned(job.transfer)));
    job.source = source.get();
    return stream::send_set({*disk, *clock}, link, job);
  }

  stream::ReceiveJob receive_job(const std::string& run, const std::string& base,
                                 stream::ResumeLog& resume_log) {
    stream::ReceiveJob job;
    job.transfer = run;
    job.epoch = 7;
    job.log = &resume_log;
    job.manifest = manifest("south", run);
    if (!base.empty()) job.base_manifest = manifest("south", base);
    job.stage = [this, run, base](bool with_base,
                                  bool resume) -> Result<std::unique_ptr<component::Staging>> {
      component::StageRequest request{set("south"), {}, resume};
      if (with_base) {
        LOCKSTEP_TRY(request.base, component->target()->find(context(base), set("south")));
      }
      return component->target()->stage(context(run), request);
    };
    job.find_sealed = [this, run] { return component->target()->find(context(run), set("south")); };
    job.stall = seconds(20);
    job.deadline = seconds(120);
    return job;
  }
  Result<stream::ReceiveOutcome> receive(stream::Link& link, const stream::ReceiveJob& job) {
    return stream::receive_set({*disk, *clock}, link, job);
  }

  stream::Opening opening(stream::Opening::Kind kind, const std::string& run) const {
    stream::Opening out;
    out.kind = kind;
    out.transfer = run;
    out.service = "orders";
    out.set = "data";
    out.epoch = 7;
    return out;
  }

  std::string top;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  component::Surroundings surroundings{*disk, *processes, *clock, top + "/state/components"};
  std::unique_ptr<component::Component> component;
};

struct Carried {
  Result<stream::SendOutcome> sent;
  Result<stream::ReceiveOutcome> received;
};

// One transfer in this process, by push or by pull.
inline Carried carry(
    Peers& peers, const std::string& run, const std::string& base,
    stream::Opening::Kind kind = stream::Opening::Kind::push,
    const std::function<void(stream::SendJob&, stream::ReceiveJob&)>& adjust = {}) {
  Wired wired(*peers.clock, "ipc://" + peers.top + "/bulk", peers.opening(kind, run));
  FileLog log(peers.log(run));
  stream::SendJob out = peers.send_job(run, base);
  stream::ReceiveJob in = peers.receive_job(run, base, log);
  if (adjust) adjust(out, in);
  const bool push = kind == stream::Opening::Kind::push;
  auto dialling = std::async(std::launch::async, [&] {
    auto link = std::move(wired.dialled);
    return push ? Carried{peers.send(*link, out), make_error(ErrorCode::internal, "")}
                : Carried{make_error(ErrorCode::internal, ""), peers.receive(*link, in)};
  });
  auto link = wired.served();
  Carried mine = push ? Carried{make_error(ErrorCode::internal, ""), peers.receive(*link, in)}
                      : Carried{peers.send(*link, out), make_error(ErrorCode::internal, "")};
  Carried theirs = dialling.get();
  return push ? Carried{std::move(theirs.sent), std::move(mine.received)}
              : Carried{std::move(mine.sent), std::move(theirs.received)};
}

}  // namespace lockstep::test
