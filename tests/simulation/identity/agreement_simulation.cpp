// Three sites, users who promote at once, messages late, lost and doubled, partitions, crashes,
// lost records: whatever happens, one promotion per number, and none that no user asked for.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <random>
#include <set>

#include "common/identity/proposal.hpp"

namespace {

using namespace lockstep::identity;

const std::vector<std::string> kSites{"control", "north", "south"};
const Decision kFirst{1, "first", "north", "", "", false};

struct Message {
  enum class Kind { prepare, promise, accept, acceptance, decide, ask, lesson } kind;
  std::size_t from = 0;
  std::size_t to = 0;
  std::string ballot_token;  // whose try an answer belongs to
  Decision after;
  Decision decision;
  Ballot ballot;
  Answer answer;
  Lesson lesson;
  std::string incarnation;
};

struct Site {
  Record record;  // durable
  bool up = true;
  std::map<std::string, Proposal> tries;  // of this life of the process
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < 3; ++i) {
      sites_[i].record = begin_record(kSites[i], fresh("life"));
    }
  }

  bool chance(int percent) { return static_cast<int>(pick(100)) < percent; }
  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_() % below); }

  void promote(std::size_t at) {
    Site& site = sites_[at];
    if (!site.up || !site.record.known) return;
    Decision wanted{site.record.number() + 1,
                    fresh("promotion"),
                    pick(2) == 0 ? "north" : "south",
                    "user",
                    "",
                    false};
    asked_.insert(wanted.promotion);
    begin_try(at, wanted, 1 + pick(3));
  }

  void begin_try(std::size_t at, const Decision& wanted, std::uint64_t round) {
    Site& site = sites_[at];
    const Ballot ballot{round, fresh("try")};
    site.tries.insert_or_assign(ballot.token, Proposal(wanted, *site.record.last(), ballot));
    for (std::size_t to = 0; to < 3; ++to) {
      Message message{Message::Kind::prepare,
                      at,
                      to,
                      ballot.token,
                      *site.record.last(),
                      wanted,
                      ballot,
                      {},
                      {},
                      {}};
      send(message);
    }
  }

  // A lone survivor, by a person's word.
  void force(std::size_t at) {
    Site& site = sites_[at];
    Decision forced{site.record.number() + 1, fresh("forced"), kSites[at], "user", "", true};
    asked_.insert(forced.promotion);
    decide(site.record, forced);
  }

  void ask_around(std::size_t at) {
    if (!sites_[at].up) return;
    for (std::size_t to = 0; to < 3; ++to) {
      if (to == at) continue;
      Message message{Message::Kind::ask, at, to, {}, {}, {}, {}, {}, {}, {}};
      message.incarnation = sites_[at].record.incarnation;
      send(message);
    }
  }

  void crash(std::size_t at) {
    sites_[at].up = false;
    sites_[at].tries.clear();
  }
  void restart(std::size_t at) { sites_[at].up = true; }
  // Two of three have to know, or nothing is promised: a person decides then.
  bool may_lose_record(std::size_t at) const {
    for (std::size_t other = 0; other < 3; ++other) {
      if (other != at && !sites_[other].record.known) return false;
    }
    return true;
  }
  void lose_record(std::size_t at) {
    if (!may_lose_record(at)) return;
    sites_[at].record = begin_record(kSites[at], fresh("life"));
    sites_[at].tries.clear();
    ++lost;
  }

  void cut(std::size_t one, std::size_t other, bool apart) {
    cut_[one][other] = cut_[other][one] = apart;
  }
  void heal() {
    for (std::size_t i = 0; i < 3; ++i) {
      restart(i);
      for (std::size_t j = 0; j < 3; ++j) cut_[i][j] = false;
    }
  }

  bool deliver_one() {
    if (wire_.empty()) return false;
    const std::size_t at = pick(wire_.size());
    std::swap(wire_[at], wire_.back());
    Message message = std::move(wire_.back());
    if (chance(10)) {
      wire_.back() = message;  // it will come once more
    } else {
      wire_.pop_back();
    }
    if (chance(8) || cut_[message.from][message.to] || !sites_[message.to].up) return true;
    handle(message);
    return true;
  }

  void forget_wire() { wire_.clear(); }
  const Site& site(std::size_t at) const { return sites_[at]; }
  std::size_t decided_numbers() const { return promotions_.size(); }

  int lost = 0;
  bool clashes_allowed = false;

 private:
  std::string fresh(const char* what) { return what + std::to_string(++names_); }
  void send(const Message& message) {
    if (wire_.size() < 200) wire_.push_back(message);
  }

  void handle(const Message& message) {
    Site& site = sites_[message.to];
    Message reply = message;
    std::swap(reply.from, reply.to);
    switch (message.kind) {
      case Message::Kind::prepare:
        reply.kind = Message::Kind::promise;
        reply.answer = prepare(site.record, message.after, message.ballot);
        send(reply);
        break;
      case Message::Kind::accept:
        reply.kind = Message::Kind::acceptance;
        reply.answer = accept(site.record, message.after, message.ballot, message.decision);
        send(reply);
        break;
      case Message::Kind::promise:
      case Message::Kind::acceptance:
        go_on(message);
        break;
      case Message::Kind::decide:
        decide(site.record, message.decision);
        break;
      case Message::Kind::ask:
        reply.kind = Message::Kind::lesson;
        reply.lesson = teach(site.record, kSites[message.from], message.incarnation);
        send(reply);
        break;
      case Message::Kind::lesson: {
        // What another life of this process had asked is not its business.
        if (message.incarnation != site.record.incarnation) break;
        std::vector<std::string> others = kSites;
        std::erase(others, site.record.site);
        learn(site.record, message.lesson, others, kFirst);
        break;
      }
    }
    check(site.record);
  }

  void go_on(const Message& message) {
    Site& site = sites_[message.to];
    const auto found = site.tries.find(message.ballot_token);
    if (found == site.tries.end()) return;
    Proposal& proposal = found->second;
    const auto before = proposal.phase();
    if (message.kind == Message::Kind::promise) {
      proposal.promised(message.answer);
    } else {
      proposal.accepted(message.answer);
    }
    if (proposal.phase() == before) return;
    if (proposal.phase() == Proposal::Phase::outbid) {
      const Decision wanted = proposal.decision();
      const std::uint64_t round = proposal.highest_round() + 1;
      site.tries.erase(found);
      if (site.record.known && wanted.number == site.record.number() + 1 && chance(50)) {
        begin_try(message.to, wanted, round);
      }
      return;
    }
    if (proposal.phase() == Proposal::Phase::overtaken) {
      decide(site.record, proposal.overtaken_by());
      return;
    }
    for (std::size_t to = 0; to < 3; ++to) {
      Message next = message;
      next.from = message.to;
      next.to = to;
      next.kind = proposal.phase() == Proposal::Phase::accepting ? Message::Kind::accept
                                                                 : Message::Kind::decide;
      next.after = proposal.after();
      next.ballot = proposal.ballot();
      next.decision = proposal.decision();
      send(next);
    }
  }

  void check(const Record& record) {
    for (const Decision& decision : record.decided) {
      if (decision.number == 1) {
        if (decision != kFirst) FAIL("another beginning");
        continue;
      }
      if (!asked_.contains(decision.promotion)) FAIL("an identity changed without a user");
      const auto [known, added] = promotions_.try_emplace(decision.number, decision.promotion);
      if (!added && known->second != decision.promotion && !clashes_allowed) {
        FAIL("two promotions under number " << decision.number);
      }
    }
    if (!clashes_allowed && !record.clashes.empty()) FAIL("a clash without a forced promotion");
  }

  std::mt19937_64 random_;
  Site sites_[3];
  bool cut_[3][3] = {};
  std::vector<Message> wire_;
  std::set<std::string> asked_;
  std::map<std::uint64_t, std::string> promotions_;
  std::uint64_t names_ = 0;
};

void begin_all(World& world) {
  for (int i = 0; i < 200 && !(world.site(0).record.known && world.site(1).record.known &&
                               world.site(2).record.known);
       ++i) {
    world.ask_around(world.pick(3));
    while (world.deliver_one()) {
    }
  }
}

void disasters(World& world, int events) {
  for (int i = 0; i < events; ++i) {
    const std::size_t at = world.pick(3);
    const std::size_t what = world.pick(100);
    if (what < 4) {
      world.promote(at);
      if (world.chance(40)) world.promote(world.pick(3));
    } else if (what < 5) {
      world.crash(at);
    } else if (what < 10) {
      world.restart(at);
    } else if (what < 12) {
      world.lose_record(at);
    } else if (what < 18) {
      world.ask_around(at);
    } else if (what < 19) {
      world.cut(at, (at + 1) % 3, true);
    } else if (what < 24) {
      world.cut(at, (at + 1) % 3, false);
    } else {
      world.deliver_one();
    }
  }
}

void converge(World& world) {
  world.heal();
  for (int i = 0; i < 60; ++i) {
    world.ask_around(world.pick(3));
    for (int n = 0; n < 40 && world.deliver_one(); ++n) {
    }
  }
}

std::uint64_t seeds() {
  const char* full = std::getenv("LOCKSTEP_TEST_FULL");
  return full != nullptr && *full == '1' ? 200'000 : 10'000;
}

}  // namespace

TEST_CASE("Whatever happens, a number has one promotion, and only a user changes an identity") {
  std::size_t numbers = 0;
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    INFO("seed " << seed);
    World world(seed);
    begin_all(world);
    disasters(world, 300);
    converge(world);
    // Healed, everybody knows the same, and a user is obeyed again.
    const Record& one = world.site(0).record;
    for (std::size_t i = 0; i < 3; ++i) {
      const Record& record = world.site(i).record;
      if (!record.known) FAIL(record.site << " never learned again");
    }
    const std::uint64_t before =
        std::max({one.number(), world.site(1).record.number(), world.site(2).record.number()});
    for (int i = 0; i < 30 && world.site(0).record.number() <= before; ++i) {
      world.promote(0);
      converge(world);
    }
    if (world.site(0).record.number() <= before) FAIL("nobody can promote any more");
    converge(world);
    numbers += world.decided_numbers();
    lost += world.lost;
  }
  // The disasters did happen, and did not keep every promotion from being decided.
  CHECK(numbers > seeds() + seeds() / 2);
  CHECK(static_cast<std::uint64_t>(lost) > seeds());
}

TEST_CASE("Two lone survivors that were forced are found out, and the next promotion ends it") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    world.clashes_allowed = true;
    begin_all(world);
    world.forget_wire();
    world.force(1);
    world.force(2);
    converge(world);
    std::size_t noticed = 0;
    for (std::size_t i = 0; i < 3; ++i) noticed += world.site(i).record.clashes.empty() ? 0 : 1;
    CHECK(noticed >= 1);
    const std::uint64_t before = world.site(0).record.number();
    for (int i = 0; i < 30 && world.site(0).record.number() <= before; ++i) {
      world.promote(0);
      converge(world);
    }
    CHECK(world.site(0).record.number() > before);
    const std::string newest = world.site(0).record.last()->promotion;
    converge(world);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(world.site(i).record.last()->number >= before + 1);
      CHECK_FALSE(world.site(i).record.last()->alone);
    }
  }
}
