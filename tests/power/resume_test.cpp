// Power lost at any write or sync of a receiver, with the journal that says how far it had come on
// the same disk: the transfer goes on from its last checkpoint, never from what is not there any
// more, and what was sealed is not asked for again.
#include <catch2/catch.hpp>
#include <future>
#include <random>

#include "common/stream/receive.hpp"
#include "services/transfer-agent/book.hpp"
#include "tests/power/north.hpp"
#include "tests/power/sweep.hpp"
#include "tests/support/disk_vfs.hpp"
#include "tests/support/rebooted_clock.hpp"
#include "tests/support/wired.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

const std::string kRun = "01930000-0000-7000-8000-00000000000a";
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kCheckpoint = 2 * kMiB;
constexpr std::uint64_t kWindow = 4 * kMiB;
constexpr std::uint64_t kPack = kMiB + (kMiB >> 2);  // the last one may be larger than it should

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(size, 0);
  for (char& byte : out) byte = static_cast<char>(random());
  return out;
}

// The secondary's side in one boot.
class Receiver {
 public:
  Receiver(LosingDisk& place, const DiskVfs& vfs, int boot)
      : place_(place), clock_("boot-" + std::to_string(boot)) {
    for (const char* part : {"/south", "/state", "/manifests"})
      fs::create_directories(place.top() + part);
    journal::OpenOptions options;
    options.path = place.top() + "/journal.db";
    options.source = "south-transfer";
    options.migrations = transfer::migrations();
    options.disk = &*place.disk;
    options.vfs = vfs.name();
    if (auto opened = journal::open(options, clock_)) journal_ = std::move(*opened);
    component_ = files::make_files(surroundings_);
    set_.id = {"orders", "files"};
    set_.component = "files";
    set_.place.location = place.top() + "/south/tree";
  }

  bool up() const { return journal_ != nullptr; }

  Result<stream::ReceiveOutcome> receive(North& north) {
    stream::Opening opening;
    opening.transfer = kRun;
    opening.service = "orders";
    opening.set = "files";
    Wired wired(clock_, "ipc://" + place_.scratch.path() + "/bulk", opening);
    std::stop_source over;
    auto sending = std::async(std::launch::async, [&] {
      auto link = std::move(wired.dialled);
      return north.send(*link, "tree", kRun, "", 7, over.get_token());
    });
    transfer::JournalResumeLog log(*journal_, kRun, "files");
    component::Context context;
    context.run = kRun;
    stream::ReceiveJob job;
    job.transfer = kRun;
    job.epoch = 7;
    job.log = &log;
    job.manifest = place_.top() + "/manifests/" + kRun;
    job.window = kWindow;
    job.checkpoint_bytes = kCheckpoint;
    job.checkpoint_time = seconds(86400);
    job.stage = [&](bool, bool resume) {
      return component_->target()->stage(context, {set_, {}, resume});
    };
    job.find_sealed = [&] { return component_->target()->find(context, set_); };
    const auto link = wired.served();
    auto received = stream::receive_set({*place_.disk, clock_}, *link, job);
    if (!received) over.request_stop();
    sending.wait();
    return received;
  }

  stream::ResumeRow row() {
    auto loaded = transfer::JournalResumeLog(*journal_, kRun, "files").load();
    REQUIRE(loaded);
    return loaded->value_or(stream::ResumeRow{});
  }

  std::map<std::string, std::string> content(const component::Version& version) const {
    return FilesBench::contents(component_->target()->path_of(version));
  }

 private:
  LosingDisk& place_;
  RebootedClock clock_;
  std::unique_ptr<os::Processes> processes_ = os::make_system_processes();
  component::Surroundings surroundings_{*place_.disk, *processes_, clock_, place_.top() + "/state"};
  std::unique_ptr<component::Component> component_;
  std::unique_ptr<journal::Journal> journal_;
  component::DataSet set_;
};

}  // namespace

TEST_CASE("after a power loss at any call a transfer goes on from its last checkpoint") {
  North north;
  for (unsigned i = 0; i < 5; ++i)
    north.write("tree", "large/" + std::to_string(i), noise(kMiB + i * 77'777, i));
  north.write("tree", "large/largest", noise(3 * kMiB, 9));
  for (unsigned i = 0; i < 20; ++i)
    north.write("tree", "small/" + std::to_string(i), noise(100 + i, i));
  const auto wanted = FilesBench::contents(north.tree("tree"));
  int resumed = 0;
  sweep("resume", all_of_it() ? 1 : 11, [&](std::uint64_t calls, std::uint64_t seed) {
    CAPTURE(calls, seed);
    LosingDisk place;
    const DiskVfs vfs(*place.disk, "losing");
    place.disk->power_off_after(calls);
    bool finished = false;
    {
      Receiver first(place, vfs, 1);
      finished = first.up() && first.receive(north).has_value();
    }
    place.disk->lose_power(seed);
    place.disk->power_on();

    Receiver second(place, vfs, 2);
    REQUIRE(second.up());
    const stream::ResumeRow row = second.row();
    auto received = second.receive(north);
    if (!received) FAIL(received.error().text());
    CHECK(second.content(received->version) == wanted);
    CHECK(received->resume_refused.empty());
    if (finished) CHECK(received->packs == 0);  // sealed before: nothing is sent again
    if (row.durable > 0 && received->packs > 0) {
      ++resumed;
      CHECK(received->resumed_from == row.durable);
    }
    CHECK(received->bytes_again <= kCheckpoint + kWindow + kPack);
    auto again = second.receive(north);
    REQUIRE(again);
    CHECK(again->packs == 0);
    return finished;
  });
  CHECK(resumed > 0);
}
