// Simulated agents: what docs/protocol.md promises of them, and what truly happened to the data.
//
// Durable and volatile things are kept apart: crash() loses the volatile ones. What the truth was
// (true instants of pins and fences) is written down for the invariants alone; no decision reads
// it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "tests/simulation/wire.hpp"

namespace lockstep::simulation {

struct TrueSpan {
  Instant from = 0;
  Instant to = 0;
};

struct Pin {
  std::string service;
  std::string set;
  Instant moment = 0;
  TrueSpan truth;
  bool committed = false;
  Instant lease_until = 0;  // true time
};

// What really was; shared by all agents of a world.
struct Truth {
  using RunSet = std::pair<std::string, std::string>;
  std::map<RunSet, TrueSpan> pins;
  // Until when what a pin shows could change: its end, or its beginning where nothing changed
  // meanwhile.
  std::map<RunSet, Instant> shown_until;
  std::map<RunSet, TrueSpan> fences;  // `to`: when writers could write again
  std::map<RunSet, int> pinned;       // how often
  std::map<std::string, int> transferred;
  std::map<std::string, int> sealed;
};

// What both kinds share: being up or down, stored replies, tombstones, attempts that fence.
class SimulatedAgent : public Agent {
 public:
  SimulatedAgent(World& world, Wire& wire, Truth& truth, std::string name, Host& host)
      : world_(world), wire_(wire), truth_(truth), name_(std::move(name)), host_(host) {}

  void receive(const Letter& letter) final;
  void crash(Span away);
  bool up() const { return up_; }
  const std::string& name() const { return name_; }

  double crash_at_write = 0;

  // Kept; what is asked under an older one from now on has no effect.
  void learn_epoch(std::uint64_t number);

 protected:
  // Does it, now or later; ends in answer() or fail().
  virtual void handle(const Letter& letter) = 0;
  virtual void lose_volatile() = 0;
  virtual void recover() = 0;

  // Runs `happening` after `span`, unless the agent has crashed meanwhile.
  void later(Span span, std::function<void()> happening);
  void later_at(Instant instant, std::function<void()> happening);
  // Journals the outcome and answers; a crash may come before or after the write. Returns false
  // where it came before: then the caller's durable effect must not have happened either.
  bool answer(const Letter& letter, run::Facts facts);
  void fail(const Letter& letter, const std::string& code, const std::string& what);
  bool crashed_by_write();

  World& world_;
  Wire& wire_;
  Truth& truth_;
  std::string name_;
  Host& host_;

  // durable
  std::set<std::string> tombstones_;
  std::uint64_t epoch_ = 1;

 private:
  using Key = std::tuple<std::string, std::string, int>;  // run, step, attempt
  static Key key_of(const Letter& letter) {
    return {letter.plan->run, run::step_name(letter.ask.key), letter.ask.attempt};
  }
  std::map<Key, std::variant<run::Facts, run::Failure>> replies_;       // durable
  std::map<std::pair<std::string, std::string>, int> highest_attempt_;  // durable
  std::map<Key, std::uint64_t> under_way_;                              // volatile: who asked last
  bool up_ = true;
  std::uint64_t life_ = 0;
};

class SnapshotAgent final : public SimulatedAgent {
 public:
  using SimulatedAgent::SimulatedAgent;
  using RunSet = Truth::RunSet;

  const std::map<RunSet, Pin>& pins() const { return pins_; }
  const std::map<std::string, std::string>& bases() const { return bases_; }
  bool fences_up() const { return !fences_.empty(); }
  double pin_fails = 0;
  double fence_breaks = 0;

 private:
  struct Fence {
    TrueSpan truth;
    bool broken = false;
  };
  void handle(const Letter& letter) override;
  void lose_volatile() override;
  void recover() override;

  void arm(const Letter& letter);
  void raise(const Letter& letter);
  void pin(const Letter& letter);
  void lower(const Letter& letter);
  void commit(const Letter& letter);
  void drop(const Letter& letter);
  void keep(const Letter& letter);
  void watch_lease(const RunSet& which);
  void fall(const RunSet& which, Fence& fence);
  std::vector<const run::Member*> own(const Letter& letter,
                                      const std::vector<std::string>& names) const;

  // durable
  std::map<RunSet, Pin> pins_;
  std::map<std::string, std::string> bases_;  // service: run
  std::map<std::string, Instant> base_moments_;
  // volatile
  std::set<std::string> armed_;
  std::map<RunSet, Fence> fences_;
};

struct Point {
  std::string service;
  Instant moment = 0;
  std::set<std::string> sets;
  Instant sealed_at = 0;
  bool good = true;  // false: its verification found it damaged
};

class TransferAgent final : public SimulatedAgent {
 public:
  using SimulatedAgent::SimulatedAgent;

  std::vector<SnapshotAgent*> sources;  // where the pins are
  TransferAgent* receiver = nullptr;    // of the secondary; may be this
  TransferAgent* sender = nullptr;

  const std::map<std::string, Point>& points() const { return points_; }
  const std::map<std::string, Point>& staged() const { return staged_; }
  const std::map<std::string, Point>& deleted() const { return deleted_; }
  double transfer_fails = 0;
  double points_are_damaged = 0;
  Span lock = 0;  // how old a point must be to be deleted

  // point.delete, under the real guards.
  void delete_point(const std::string& run);

 private:
  void handle(const Letter& letter) override;
  void lose_volatile() override {}
  void recover() override {}

  void transfer(const Letter& letter);
  void transfer_ends(const Letter& letter);
  void seal(const Letter& letter);

  // durable
  std::map<std::string, Point> staged_;   // run
  std::map<std::string, Point> points_;   // run
  std::map<std::string, Point> deleted_;  // for the invariants alone
};

}  // namespace lockstep::simulation
