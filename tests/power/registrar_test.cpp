// Power lost at any write or sync of a registrar at its work: it receives versions, seals points,
// refuses a run that was dropped, deletes a point. The journal, the records, the manifests and the
// versions all lie on the disk whose power goes. After each loss: a record that can be seen means a
// whole point; what was answered is never taken back; what is asked again ends where it would have
// ended without the loss, once; and nothing is left behind.
#include <SQLiteCpp/Database.h>

#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "common/os/durable.hpp"
#include "common/stream/manifest.hpp"
#include "services/transfer-agent/receive_side.hpp"
#include "services/transfer-agent/removal.hpp"
#include "services/transfer-agent/seal.hpp"
#include "tests/power/north.hpp"
#include "tests/power/sweep.hpp"
#include "tests/support/disk_vfs.hpp"
#include "tests/support/rebooted_clock.hpp"
#include "tests/support/transfer_bodies.hpp"
#include "tests/support/wired.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;
using namespace lockstep::transfer;

namespace {

const message::Epoch kEpoch{1, "01936f3a-5b00-7000-8000-000000000001"};

// In the order of time: a point, a run that is dropped, a point on the first.
const std::string kFirst = "01930000-0000-7000-8000-00000000000a";
const std::string kDropped = "01930000-0000-7000-8000-00000000000b";
const std::string kSecond = "01930000-0000-7000-8000-00000000000c";

std::string tree_of(const std::string& run) { return run == kSecond ? "two" : "one"; }

// The registrar from one start to the next: what services/transfer-agent/service.cpp puts together,
// without its sockets.
class South {
 public:
  static Result<std::unique_ptr<South>> start(LosingDisk& place, const DiskVfs& vfs, int boot) {
    auto south = std::unique_ptr<South>(new South(place, boot));
    LOCKSTEP_CHECK(os::make_directories(*place.disk, place.top() + "/state/components"));
    journal::OpenOptions options;
    options.path = place.top() + "/state/journal.db";
    options.source = "south-transfer";
    options.migrations = migrations();
    options.disk = &*place.disk;
    options.vfs = vfs.name();
    LOCKSTEP_TRY(south->journal_, journal::open(options, south->clock_));
    south->components_.add(files::make_files(south->surroundings_));
    LOCKSTEP_TRY(south->epochs_, EpochKeeper::load(*south->journal_, kEpoch));
    LOCKSTEP_TRY(auto key,
                 signing::SigningKey::load_or_make(*place.disk, place.top() + "/state", "south"));
    south->parts_.emplace(*south, std::move(key));
    LOCKSTEP_CHECK(south->parts_->sealer.recover());
    LOCKSTEP_CHECK(south->parts_->remover.recover());
    return south;
  }

  Body set(const std::string& run) const {
    Body one = set_body("files", "files", "/north/files", place_.top() + "/south/orders/files");
    one["version"] = {{"component", "files"}, {"name", run}, {"native", "plain"}};
    if (run == kSecond) one["base"] = kFirst;
    return one;
  }

  // A step of a run, as services/transfer-agent/steps.cpp does it: from the stored reply where
  // there is one.
  Result<Body> step(const std::string& run, const std::string& name, const Body& body,
                    const std::function<Result<Body>(const message::Envelope&)>& work) {
    message::Envelope envelope;
    envelope.run = run;
    envelope.step = name;
    envelope.attempt = 1;
    envelope.epoch = kEpoch;
    envelope.body = body;
    LOCKSTEP_TRY(const auto stored, journal_->find_reply({run, name, 1}));
    if (stored) return stored->body;
    ++done_here;
    return work(envelope);
  }

  Result<Body> transfer(North& north, const std::string& run) {
    const Body body =
        instruction_body(clock_.utc(), "south-transfer", 0, seconds(20), Body::array({set(run)}));
    return step(run, "transfer", body, [&](const message::Envelope& envelope) -> Result<Body> {
      const Job job = jobs_of(envelope, clock_.utc()).front();
      stream::Opening opening = opening_of(job, stream::Opening::Kind::push);
      Wired wired(clock_, "ipc://" + place_.scratch.path() + "/bulk", opening);
      std::stop_source over;
      auto sending = std::async(std::launch::async, [&] {
        auto link = std::move(wired.dialled);
        return north.send(*link, tree_of(run), run, run == kSecond ? kFirst : "", kEpoch.number,
                          over.get_token());
      });
      std::unique_ptr<stream::Link> link;
      ProgressBoard board;
      auto received = receive_one(
          parts_->agent, parts_->book, parts_->records,
          [&]() -> stream::Link& {
            link = wired.served();
            return *link;
          },
          job, {}, board);
      if (!received) over.request_stop();
      sending.wait();
      if (!received) return received.error();
      Body answer = body_of({*received});
      LOCKSTEP_CHECK(
          journal_->transact("step.reply", [&](journal::Transaction& transaction) -> Result<void> {
            transaction.store_reply({run, "transfer", 1}, {true, answer});
            return {};
          }));
      return answer;
    });
  }

  Result<Body> seal(const std::string& run, const Body& transferred) {
    const Body body = test::seal_body(run, kEpoch, clock_.utc(), {set(run)}, transferred);
    return step(run, "seal", body,
                [&](const message::Envelope& envelope) { return parts_->sealer.seal(envelope); });
  }

  Result<Body> drop(const std::string& run) {
    const Body body{{"service", "orders"}, {"sets", Body::array({set(run)})}};
    return step(run, "drop.transfer", body, [&](const message::Envelope& envelope) {
      return parts_->remover.drop_run(envelope);
    });
  }

  // A command outside a run: nothing is stored, asked again it is done again.
  Result<Body> remove(const std::string& point) {
    message::Envelope envelope;
    envelope.epoch = kEpoch;
    envelope.body = {{"id", point}, {"service", "orders"}, {"even_newest", false}};
    return parts_->remover.delete_point(envelope);
  }

  bool point(const std::string& run) const { return *parts_->records.exists({"orders", run}); }

  // What is wrong with a point whose record can be seen; empty: nothing.
  std::string problem(const std::string& run, const std::string& tree) {
    const auto record = parts_->records.read({"orders", run});
    if (!record) return record.error().text();
    if (const auto wrong = record_problems(*record); !wrong.empty()) return wrong.front();
    const Body& set = record->at("sets").front();
    const auto summary = stream::read_manifest_summary(*place_.disk, manifest_in(set));
    if (!summary) return summary.error().text();
    if (stream::to_hex(summary->root) != set.at("root")) return "the manifest has another root";
    const auto& target = *components_.find("files")->target();
    const std::string content = target.path_of(version_in(*record, set));
    if (!fs::exists(content)) return "its version is not there";
    if (FilesBench::contents(content) != FilesBench::contents(tree)) return "its content differs";
    return {};
  }

  std::size_t events(const std::string& type, const std::string& id) const {
    const auto all = journal_->events_after(0, 1000);
    std::size_t count = 0;
    for (const auto& event : *all) count += event.type == type && event.data.at("id") == id ? 1 : 0;
    return count;
  }

  // Names below the cluster's root that hold a run's traces.
  std::vector<std::string> traces(const std::string& run) const {
    std::vector<std::string> found;
    if (!fs::exists(place_.top() + "/south")) return found;
    for (const auto& entry : fs::recursive_directory_iterator(place_.top() + "/south")) {
      if (entry.path().filename().string().starts_with(run)) found.push_back(entry.path());
    }
    return found;
  }

  int done_here = 0;  // steps that were done and not answered from the store

 private:
  South(LosingDisk& place, int boot) : place_(place), clock_("boot-" + std::to_string(boot)) {}

  struct Parts {
    Parts(South& south, signing::SigningKey made)
        : agent{"south-transfer",
                "south",
                south.place_.top() + "/south",
                Nanos{0},
                true,
                *south.place_.disk,
                south.clock_,
                *south.journal_,
                south.components_},
          key(std::move(made)),
          book(*south.journal_),
          records(agent),
          sealer(agent, book, records, *south.epochs_, key),
          drills(agent, records, *south.processes_),
          remover(agent, book, records, *south.epochs_, tasks, drills) {}
    Agent agent;
    signing::SigningKey key;
    Book book;
    RecordStore records;
    Tasks tasks;
    Sealer sealer;
    Drills drills;
    Remover remover;
  };

  LosingDisk& place_;
  RebootedClock clock_;
  std::unique_ptr<os::Processes> processes_ = os::make_system_processes();
  component::Surroundings surroundings_{*place_.disk, *processes_, clock_,
                                        place_.top() + "/state/components"};
  component::Components components_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<EpochKeeper> epochs_;
  std::optional<Parts> parts_;
};

// What was answered before the power went.
struct Told {
  std::map<std::string, Body> answers;  // "<run> seal", ...
};

// Everything, from wherever it stands. Error: the power went.
Result<void> work(South& south, North& north, Told& told) {
  const auto note = [&](const std::string& what, Result<Body> answer) -> Result<Body> {
    if (answer) {
      const auto [at, first] = told.answers.emplace(what, *answer);
      if (!first) CHECK(at->second == *answer);
    }
    return answer;
  };
  LOCKSTEP_TRY(const Body first, note("first transfer", south.transfer(north, kFirst)));
  LOCKSTEP_TRY(const Body sealed, note("first seal", south.seal(kFirst, first)));
  CHECK(sealed.at("state") == "sealed");
  if (!told.answers.contains("drop")) {
    auto moved = south.transfer(north, kDropped);
    if (!moved && moved.error().code != ErrorCode::pin_dropped) return moved.error();
    if (moved) told.answers.emplace("dropped transfer", *moved);
  }
  LOCKSTEP_CHECK(note("drop", south.drop(kDropped)));
  const Body dropped = told.answers.contains("dropped transfer")
                           ? told.answers.at("dropped transfer")
                           : first;  // its answer was never heard: any will be refused
  LOCKSTEP_TRY(const Body refused, note("dropped seal", south.seal(kDropped, dropped)));
  CHECK(refused.at("state") == "refused");
  LOCKSTEP_TRY(const Body second, note("second transfer", south.transfer(north, kSecond)));
  LOCKSTEP_TRY(const Body resealed, note("second seal", south.seal(kSecond, second)));
  CHECK(resealed.at("state") == "sealed");
  auto removed = south.remove(kFirst);
  if (!removed && removed.error().code == ErrorCode::point_missing) return {};
  LOCKSTEP_CHECK(note("delete", std::move(removed)));
  return {};
}

void check(South& south, const North& north, const Told& told) {
  for (const std::string& run : {kFirst, kDropped, kSecond}) {
    CAPTURE(run);
    if (south.point(run)) CHECK(south.problem(run, north.tree(tree_of(run))).empty());
    CHECK(south.events("point.sealed", run) <= 1);
  }
  CHECK_FALSE(south.point(kDropped));
  if (told.answers.contains("second seal")) {
    CHECK(south.point(kSecond));
    CHECK(south.events("point.sealed", kSecond) == 1);
  } else if (told.answers.contains("first seal")) {
    CHECK(south.point(kFirst));  // it may be gone only after the second was sealed
    CHECK(south.events("point.sealed", kFirst) == 1);
  }
  if (told.answers.contains("delete")) CHECK_FALSE(south.point(kFirst));
}

void check_end(South& south, const North& north) {
  CHECK(south.traces(kFirst) == std::vector<std::string>{});
  CHECK(south.traces(kDropped) == std::vector<std::string>{});
  CHECK(south.point(kSecond));
  CHECK(south.problem(kSecond, north.tree("two")).empty());
  for (const std::string& run : {kFirst, kSecond}) CHECK(south.events("point.sealed", run) == 1);
  CHECK(south.events("point.deleted", kFirst) == 1);
}

}  // namespace

TEST_CASE("after a power loss at any call of the registrar a visible record means a whole point") {
  sweep("registrar", all_of_it() ? 1 : 7, [](std::uint64_t calls, std::uint64_t seed) {
    CAPTURE(calls, seed);
    LosingDisk place;
    fs::create_directories(place.top() + "/south");
    fs::create_directories(place.top() + "/state");
    const DiskVfs vfs(*place.disk, "losing");
    North north;
    for (const char* tree : {"one", "two"}) {
      north.write(tree, "a/one", "first");
      north.write(tree, "a/two", std::string(9000, 'x'));
      north.write(tree, "b/three", tree);
    }
    north.write("two", "c/new", "fresh");
    Told told;
    bool finished = false;
    place.disk->power_off_after(calls);
    if (auto south = South::start(place, vfs, 1)) {
      finished = work(**south, north, told).has_value();
    }
    place.disk->lose_power(seed);
    place.disk->power_on();

    auto south = South::start(place, vfs, 2);
    if (!south) FAIL(south.error().text());
    check(**south, north, told);
    if (auto done = work(**south, north, told); !done) FAIL(done.error().text());
    check(**south, north, told);
    check_end(**south, north);
    const int done_before = (*south)->done_here;
    if (auto again = work(**south, north, told); !again) FAIL(again.error().text());
    CHECK((*south)->done_here == done_before);  // what was done is not done again
    (*south).reset();
    // And after a start without any loss.
    auto later = South::start(place, vfs, 3);
    REQUIRE(later);
    check_end(**later, north);
    return finished;
  });
}
