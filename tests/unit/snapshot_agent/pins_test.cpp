#include "services/snapshot-agent/pins.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <mutex>

#include "common/clock/clock.hpp"
#include "common/journal/journal.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using snapshot::FenceWish;

namespace {

// What was asked of the sets of a store, one after the other: "fence a", "ready a", "pin a".
class Story {
 public:
  void tell(const std::string& what, const std::string& set) {
    const std::lock_guard lock(mutex_);
    told_.push_back(what + " " + set);
  }
  std::vector<std::string> told() const { return told_; }
  bool has(const std::string& what) const { return std::ranges::count(told_, what) > 0; }
  // All are there, and every one of those in `before` comes ahead of every one in `after`.
  bool in_order(const std::vector<std::string>& before,
                const std::vector<std::string>& after) const {
    const auto there = [&](const std::string& one) { return has(one); };
    if (!std::ranges::all_of(before, there) || !std::ranges::all_of(after, there)) return false;
    const auto last = [&](const std::string& what) {
      return std::find(told_.rbegin(), told_.rend(), what).base() - told_.begin() - 1;
    };
    const auto first = [&](const std::string& what) {
      return std::ranges::find(told_, what) - told_.begin();
    };
    return std::ranges::all_of(before, [&](const std::string& one) {
      return std::ranges::all_of(
          after, [&](const std::string& other) { return last(one) < first(other); });
    });
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> told_;
};

class ToldSet final : public component::Armed {
 public:
  ToldSet(Story& story, std::string name, int unready_at)
      : story_(story), name_(std::move(name)), unready_at_(unready_at) {
    estimate_.has_own_fence = true;
  }
  const component::Estimate& estimate() const override { return estimate_; }
  Result<Interval> raise_fence(Nanos) override {
    story_.tell("fence", name_);
    return Interval{};
  }
  Result<void> ready() override {
    story_.tell("ready", name_);
    if (++times_ == unready_at_) return make_error(ErrorCode::io, "the disk is gone", "/data");
    return {};
  }
  Result<component::Pinned> pin() override {
    story_.tell("pin", name_);
    return component::Pinned{};
  }
  Result<component::FenceEnd> lower_fence() override {
    story_.tell("lower", name_);
    return component::FenceEnd{};
  }
  Result<component::Version> settle(const component::Context&) override {
    return component::Version{};
  }

 private:
  Story& story_;
  std::string name_;
  int unready_at_;
  int times_ = 0;
  component::Estimate estimate_;
};

class ToldStore final : public component::Component, public component::Snapshots {
 public:
  explicit ToldStore(Story& story) : story_(story) {}
  int unready_at = 0;  // the call of ready() that fails; 0: none

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return true; }
  component::Snapshots* snapshots() override { return this; }
  component::Sources* sources() override { return nullptr; }
  component::Target* target() override { return nullptr; }
  component::Health health(const component::DataSet&) override { return {}; }
  Result<std::unique_ptr<component::Armed>> arm(const component::Context&,
                                                const component::DataSet& set, UtcNanos) override {
    return std::unique_ptr<component::Armed>(
        std::make_unique<ToldSet>(story_, set.id.set, unready_at));
  }
  Result<std::optional<component::Version>> find(const component::Context&,
                                                 const component::DataSet&) override {
    return std::optional<component::Version>();
  }
  Result<std::vector<component::Version>> list(const component::DataSet&) override {
    return std::vector<component::Version>();
  }
  Result<void> drop(const component::Context&, const component::Version&) override { return {}; }

 private:
  Story& story_;
  std::string kind_ = "told";
};

struct Agent {
  Agent() {
    auto made = std::make_unique<ToldStore>(story);
    store = made.get();
    components.add(std::move(made));
    journal::OpenOptions options;
    options.path = scratch / "journal";
    options.source = "north-snapshot";
    auto opened = journal::open(options, *clock);
    REQUIRE(opened);
    journal = std::move(*opened);
    tools.emplace(snapshot::Tools{"north", scratch.path(), scratch.path(), "", *disk, *processes,
                                  *clock, *journal, components});
    pins.emplace(*tools, "orders", "01930000-0000-7000-8000-000000000001");
  }
  static snapshot::OwnSet set(const std::string& name, FenceWish::Kind fence) {
    snapshot::OwnSet out;
    out.data.id = {"orders", name};
    out.data.component = "told";
    out.fence.kind = fence;
    return out;
  }

  Story story;
  ToldStore* store = nullptr;
  const test::Scratch scratch;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  component::Components components;
  std::unique_ptr<journal::Journal> journal;
  std::optional<snapshot::Tools> tools;
  std::optional<snapshot::Pins> pins;
};

}  // namespace

TEST_CASE("no set is pinned before all are ready, once before the fences and once under them") {
  Agent agent;
  REQUIRE(agent.pins->arm(
      {Agent::set("a", FenceWish::Kind::own_lock), Agent::set("b", FenceWish::Kind::own_lock),
       Agent::set("c", FenceWish::Kind::none)},
      UtcNanos{}, std::nullopt, {}));
  REQUIRE(agent.pins->raise({"a", "b"}, UtcNanos{}, {}));
  const auto told = agent.story.told();
  for (const std::string name : {"a", "b", "c"}) {
    CHECK(std::ranges::count(told, "ready " + name) == 2);
    CHECK(std::ranges::find(told, "ready " + name) < std::ranges::find(told, "fence a"));
  }
  REQUIRE(agent.pins->pin({"a", "b"}, UtcNanos{}, {}));
  REQUIRE(agent.pins->pin({"c"}, UtcNanos{}, {}));
  CHECK(agent.story.in_order({"fence a", "fence b", "ready a", "ready b", "ready c"},
                             {"pin a", "pin b", "pin c"}));
}

TEST_CASE("sets without fences are made ready where there is time before the pin, else not") {
  Agent agent;
  REQUIRE(agent.pins->arm({Agent::set("a", FenceWish::Kind::none)}, UtcNanos{}, std::nullopt, {}));
  SECTION("there is") {
    REQUIRE(agent.pins->pin({"a"}, agent.clock->utc() + milliseconds(600), {}));
    CHECK(agent.story.in_order({"ready a"}, {"pin a"}));
  }
  SECTION("there is none") {
    REQUIRE(agent.pins->pin({"a"}, agent.clock->utc(), {}));
    CHECK(agent.story.told() == std::vector<std::string>{"pin a"});
  }
}

TEST_CASE("a set that cannot be made ready holds no writers, and the run hears why") {
  const bool before = GENERATE(true, false);
  Agent agent;
  agent.store->unready_at = before ? 1 : 2;
  REQUIRE(
      agent.pins->arm({Agent::set("a", FenceWish::Kind::own_lock)}, UtcNanos{}, std::nullopt, {}));
  const auto raised = agent.pins->raise({"a"}, UtcNanos{}, {});
  REQUIRE_FALSE(raised);
  CHECK(raised.error().code == ErrorCode::io);
  CHECK_THAT(raised.error().what, Catch::StartsWith("data set a: "));
  CHECK(agent.story.has("fence a") != before);
  CHECK(agent.story.has("lower a") != before);
}
