// The two sides of a transfer, one of which a test speaks for: a receiver that is told what the
// test says, and a sender.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/stream/control.hpp"
#include "common/stream/pack.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/stream/peers.hpp"
#include "tests/unit/stream/trees.hpp"

namespace lockstep::test {

using namespace lockstep::stream;
using component::Action;
using component::EntryKind;

inline const std::string kRun = "01930000-0000-7000-8000-000000000001";

inline Entry entry(const std::string& path, EntryKind kind, std::uint64_t size = 0) {
  Entry out;
  out.path = path;
  out.kind = kind;
  out.mode = 0700;
  out.uid = ::getuid();
  out.gid = ::getgid();
  out.size = size;
  return out;
}

// A channel whose other end is the test.
class Scripted final : public Channel {
 public:
  Result<void> send(Frame frame) override {
    const std::lock_guard lock(mutex_);
    const bool pack = looks_like_pack(frame.head.bytes());
    auto control = pack ? std::nullopt : Control::decode(frame.head.text());
    if (pack ? lost_at == "pack" : control && control->type() == lost_at) {
      if (last_words) push({last_words->encode(), {}});
      return make_error(ErrorCode::stream_peer_lost, "the connection is cut");
    }
    if (pack && packs) packs->push_back(decode_header(frame.head.bytes()).header.sequence);
    if (control) said_.push_back(*control);
    if (control && on_control) on_control(*control);
    return {};
  }
  Result<std::optional<Frame>> receive(Nanos timeout, std::stop_token) override {
    {
      const std::lock_guard lock(mutex_);
      if (!frames_.empty() && count("start") >= frames_.front().starts) {
        Frame frame = std::move(frames_.front().frame);
        frames_.pop_front();
        return std::optional<Frame>(std::move(frame));
      }
    }
    std::this_thread::sleep_for(
        std::chrono::nanoseconds(std::min<std::int64_t>(timeout.count, 1'000'000)));
    return std::optional<Frame>();
  }
  std::uint64_t backlog() const override { return 0; }

  void says(const Control& control) { push({control.encode(), {}}); }
  void says(RawPack pack) {
    auto head = std::make_unique<Buffer>(encode_header(pack.header));
    push({Blob(std::move(head)), Blob(std::move(pack.body))});
  }
  void says(const std::string& head, const std::string& body) {
    push({Blob(std::string_view(head)), Blob(std::string_view(body))});
  }
  // What is said from here on comes when the receiver has said as many as `starts` of its `start`.
  void waits_for(std::size_t starts) { starts_ = starts; }
  std::string lost_at;  // what cannot be said any more: a control frame's type, or "pack"
  std::optional<Control> last_words;  // of the peer, which lie there when that fails
  std::shared_ptr<std::vector<std::uint64_t>> packs;  // the sequences of those that were sent
  std::function<void(const Control&)> on_control;     // what it is told
  bool heard(const std::string& type) {
    const std::lock_guard lock(mutex_);
    return count(type) > 0;
  }

 private:
  struct Line {
    Frame frame;
    std::size_t starts;
  };
  void push(Frame frame) { frames_.push_back({std::move(frame), starts_}); }
  std::size_t count(const std::string& type) const {
    return static_cast<std::size_t>(std::count_if(
        said_.begin(), said_.end(), [&](const Control& one) { return one.type() == type; }));
  }

  std::mutex mutex_;
  std::deque<Line> frames_;
  std::size_t starts_ = 0;
  std::vector<Control> said_;
};

class ScriptedLink final : public Link {
 public:
  Result<std::unique_ptr<Channel>> open(Nanos, std::stop_token) override {
    if (!channel) return make_error(ErrorCode::stream_peer_lost, "the script is over");
    return std::unique_ptr<Channel>(std::exchange(channel, std::move(next)));
  }
  std::unique_ptr<Scripted> channel = std::make_unique<Scripted>();
  std::unique_ptr<Scripted> next;  // of the second connection
};

// The greeting of a sender that has no base.
inline Control hello() {
  Control out("hello");
  out.set("v", 1).text("transfer", kRun).set("epoch", 7);
  return out;
}

// A receiver that is told what a test says.
struct Victim {
  Victim() : peers(scratch.path()) { link.channel->says(hello()); }
  Scripted& sender() { return *link.channel; }

  Error outcome() {
    FileLog log(peers.log(kRun));
    auto job = peers.receive_job(kRun, "", log);
    job.stall = seconds(2);
    job.window = window;
    const auto received = peers.receive(link, job);
    if (received) return make_error(ErrorCode::internal, "it was taken");
    // Nothing is left of it.
    const auto versions = peers.component->target()->list(peers.set("south"));
    if (received.error().code != ErrorCode::stalled) {
      CHECK(versions->empty());
      CHECK_FALSE(fs::exists(peers.log(kRun)));
    }
    CHECK_FALSE(fs::exists(peers.manifest("south", kRun)));
    return received.error();
  }
  // The packs that `make` builds, the root before them.
  Error records(const std::function<void(PackBuilder&)>& make) {
    PackBuilder builder(kRun, 7, [&](RawPack pack) -> Result<void> {
      sender().says(std::move(pack));
      return {};
    });
    REQUIRE(builder.entry(entry("", EntryKind::directory), Action::create));
    make(builder);
    REQUIRE(builder.finish());
    return outcome();
  }

  Scratch scratch;
  Peers peers;
  ScriptedLink link;
  std::uint64_t window = 16 << 20;
};

// A sender that is told what a test says.
struct SendingVictim {
  SendingVictim() : peers(scratch.path()) {
    write(peers.top + "/north/data/file", "content");
    REQUIRE(peers.pin(kRun));
  }
  Scripted& receiver() { return *link.channel; }

  Scratch scratch;
  Peers peers;
  ScriptedLink link;
};

// What a receiver says that has nothing yet.
inline Control start_of_all() {
  Control start("start");
  start.set("base", 0).set("window", 16 << 20).set("sequence", 0).digest("chain", Digest128{});
  return start;
}

// The code of an error in text, so that a failed check says more than a number.
inline std::string name(const Error& error) {
  return std::string(error_info(error.code).name) + ": " + error.what;
}

}  // namespace lockstep::test
