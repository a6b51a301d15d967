#include "services/snapshot-agent/logic/run_state.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace lockstep::snapshot;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

Question ask(Ask what, const std::string& step, int attempt = 1, std::int64_t now = 0) {
  Question question;
  question.ask = what;
  question.step = step;
  question.attempt = attempt;
  question.now = now;
  if (what == Ask::raise || what == Ask::pin) question.sets = {"files", "db"};
  return question;
}

// Armed at second 0 for a moment at second 1, with a lease of ten.
RunState armed(bool fenced = false) {
  RunState state;
  const Question arm = ask(Ask::arm, "arm");
  REQUIRE(state.decide(arm).answer == Answer::act);
  state.begin(arm);
  state.armed({{"files", {.wants_fence = fenced}}, {"db", {.wants_fence = fenced}}}, kSecond,
              10 * kSecond);
  state.done("arm");
  return state;
}

void pin(RunState& state, std::int64_t now = 2 * kSecond) {
  const Question question = ask(Ask::pin, "pin", 1, now);
  REQUIRE(state.decide(question).answer == Answer::act);
  state.begin(question);
  state.pinned(question.sets, now);
  state.done("pin");
}

std::string refusal(const Decision& decision) {
  return decision.answer == Answer::refuse ? decision.code : "";
}

}  // namespace

TEST_CASE("A run that is not known here cannot be pinned, but it can be dropped", "[snapshot]") {
  const RunState unknown;
  CHECK(refusal(unknown.decide(ask(Ask::pin, "pin"))) == "pin-lost");
  CHECK(refusal(unknown.decide(ask(Ask::commit, "commit"))) == "pin-lost");
  CHECK(unknown.decide(ask(Ask::drop, "drop")).answer == Answer::act);
}

TEST_CASE("A step under way is accepted again, one that is done is answered again", "[snapshot]") {
  RunState state = armed();
  CHECK(state.decide(ask(Ask::arm, "arm", 2)).answer == Answer::again);
  state.begin(ask(Ask::pin, "pin"));
  CHECK(state.decide(ask(Ask::pin, "pin")).answer == Answer::accepted);
  CHECK(state.decide(ask(Ask::pin, "pin", 2)).answer == Answer::accepted);
  CHECK(refusal(state.decide(ask(Ask::commit, "commit"))) == "run-busy");
  CHECK(state.decide(ask(Ask::drop, "drop")).answer == Answer::wait_then_act);
}

TEST_CASE("A higher attempt fences lower ones", "[snapshot]") {
  RunState state = armed();
  state.begin(ask(Ask::pin, "pin", 3));
  state.failed("pin");
  CHECK(refusal(state.decide(ask(Ask::pin, "pin", 2))) == "cancelled");
  CHECK(state.decide(ask(Ask::pin, "pin", 3)).answer == Answer::act);
}

TEST_CASE("A set that is to be fenced is pinned only while its fence stands", "[snapshot]") {
  RunState state = armed(true);
  CHECK(refusal(state.decide(ask(Ask::pin, "pin"))) == "fence-failed");
  state.fence_raised("files");
  CHECK(refusal(state.decide(ask(Ask::pin, "pin"))) == "fence-failed");
  state.fence_raised("db");
  CHECK(state.decide(ask(Ask::pin, "pin")).answer == Answer::act);
  state.fence_lowered("db");
  CHECK(refusal(state.decide(ask(Ask::pin, "pin"))) == "fence-failed");
  INFO("a fence does not go up twice");
  CHECK(refusal(state.decide(ask(Ask::raise, "raise"))) == "fence-failed");
}

TEST_CASE("Only a run of which all is pinned and no fence stands is committed", "[snapshot]") {
  RunState state = armed(true);
  CHECK(refusal(state.decide(ask(Ask::commit, "commit"))) == "pin-failed");
  state.fence_raised("files");
  state.fence_raised("db");
  pin(state);
  CHECK(refusal(state.decide(ask(Ask::commit, "commit"))) == "guard");
  state.fence_lowered("files");
  state.fence_lowered("db");
  CHECK(state.decide(ask(Ask::commit, "commit")).answer == Answer::act);
  CHECK(refusal(state.decide(ask(Ask::keep, "keep"))) == "guard");
  state.committed();
  CHECK(state.decide(ask(Ask::keep, "keep")).answer == Answer::act);
  CHECK(refusal(state.decide(ask(Ask::pin, "pin.2"))) == "guard");
}

TEST_CASE("The lease counts from the moment, then from the pin, and not while a step is under way",
          "[snapshot]") {
  RunState state = armed();
  CHECK_FALSE(state.lease_over(11 * kSecond));
  CHECK(state.lease_over(11 * kSecond + 1));
  pin(state, 5 * kSecond);
  CHECK_FALSE(state.lease_over(15 * kSecond));
  CHECK(state.lease_over(15 * kSecond + 1));
  state.begin(ask(Ask::commit, "commit"));
  CHECK_FALSE(state.lease_over(100 * kSecond));
  state.committed();
  state.done("commit");
  CHECK_FALSE(state.lease_over(100 * kSecond));
}

TEST_CASE("What is over stays over, and says how", "[snapshot]") {
  const auto answer = [](Over over, Ask what) {
    return RunState::ended(over).decide(ask(what, "any"));
  };
  CHECK(refusal(answer(Over::dropped, Ask::arm)) == "pin-dropped");
  CHECK(refusal(answer(Over::dropped, Ask::commit)) == "pin-dropped");
  CHECK(answer(Over::expired, Ask::commit).answer == Answer::expired);
  CHECK(refusal(answer(Over::expired, Ask::pin)) == "pin-expired");
  CHECK(refusal(answer(Over::lost, Ask::commit)) == "pin-lost");
  CHECK(refusal(answer(Over::failed, Ask::commit)) == "pin-failed");
  for (const Over over : {Over::dropped, Over::expired, Over::lost, Over::failed}) {
    CHECK(answer(over, Ask::drop).answer == Answer::act);
    CHECK(over_from_name(over_name(over)) == over);
  }
}

TEST_CASE("A step whose deadline had passed is not begun", "[snapshot]") {
  RunState state = armed();
  Question late = ask(Ask::pin, "pin", 1, 100);
  late.deadline = 99;
  CHECK(refusal(state.decide(late)) == "deadline");
}

// Whatever comes in whatever order: nothing is begun for a run that is over, no two steps overlap
// but for a drop that waits, and nothing is committed that was not pinned.
TEST_CASE("Random messages never break the rules", "[snapshot]") {
  std::mt19937 random(7);  // seeded: a failure can be seen again
  const std::vector<std::pair<Ask, std::string>> all = {
      {Ask::arm, "arm"},       {Ask::raise, "raise"}, {Ask::pin, "pin"},  {Ask::lower, "lower"},
      {Ask::commit, "commit"}, {Ask::keep, "keep"},   {Ask::drop, "drop"}};
  for (int round = 0; round < 2000; ++round) {
    RunState state;
    std::optional<Question> under_way;
    bool over = false;
    for (int i = 0; i < 40; ++i) {
      if (under_way && random() % 2 == 0) {
        const Question question = *std::exchange(under_way, std::nullopt);
        if (random() % 5 == 0) {
          state.failed(question.step);
        } else {
          if (question.ask == Ask::arm) state.armed({{"files", {}}, {"db", {}}}, 0, kSecond);
          if (question.ask == Ask::raise) {
            for (const std::string& set : question.sets) state.fence_raised(set);
          }
          if (question.ask == Ask::lower) {
            for (const auto& [name, set] : std::map(state.sets())) state.fence_lowered(name);
          }
          if (question.ask == Ask::pin) state.pinned(question.sets, i);
          if (question.ask == Ask::commit) {
            for (const auto& [name, set] : state.sets()) REQUIRE((set.pinned && !set.fence_up));
            state.committed();
          }
          if (question.ask == Ask::drop) {
            state.ended_as(Over::dropped);
            over = true;
          }
          state.done(question.step);
        }
        continue;
      }
      const auto& [what, step] = all[random() % all.size()];
      const Question question = ask(what, step, static_cast<int>(random() % 3) + 1, i);
      const Decision decision = state.decide(question);
      if (decision.answer == Answer::act) {
        REQUIRE_FALSE(under_way);
        REQUIRE((!over || what == Ask::drop));
        state.begin(question);
        under_way = question;
      } else if (decision.answer == Answer::wait_then_act) {
        REQUIRE(under_way);
        REQUIRE(what == Ask::drop);
      } else if (decision.answer == Answer::accepted) {
        REQUIRE(under_way);
        REQUIRE(under_way->step == step);
      } else if (decision.answer == Answer::refuse) {
        REQUIRE_FALSE(decision.code.empty());
      }
    }
  }
}
