#include "services/transfer-agent/store_watch.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <semaphore>

using namespace lockstep;
using lockstep::component::Health;
using lockstep::transfer::StoreWatch;

namespace {

// Goes when it is told to.
class Hands final : public Clock {
 public:
  UtcNanos utc() const override { return {}; }
  MonoNanos mono() const override { return MonoNanos{now.load()}; }
  Wake wait_until(UtcNanos, std::stop_token) const override { return Wake::reached; }
  Wake wait_for(Nanos, std::stop_token) const override { return Wake::reached; }
  Quality quality() const override { return {}; }
  std::atomic<std::int64_t> now{1};
};

}  // namespace

TEST_CASE("Each store is told as it is, and what is no store is asked once") {
  const Hands hands;
  std::atomic<int> asked = 0;
  std::atomic<int> looks = 0;
  StoreWatch watch({{"files",
                     [&]() -> std::optional<Health> {
                       ++asked;
                       return std::nullopt;
                     }},
                    {"hdfs",
                     [&]() -> std::optional<Health> {
                       return Health{looks.fetch_add(1) == 0, "as it is"};
                     }}},
                   hands);
  for (const bool good : {true, false, false}) {
    const auto told = watch.look();
    REQUIRE(told.size() == 1);
    CHECK(told[0].kind == "hdfs");
    CHECK(told[0].health.good == good);
  }
  CHECK(asked == 1);
  CHECK(looks == 3);
}

TEST_CASE("A store that does not answer holds nobody up, and is unwell after its silence") {
  Hands hands;
  std::counting_semaphore<> may_end{0};
  StoreWatch watch({{"hdfs",
                     [&]() -> std::optional<Health> {
                       may_end.acquire();
                       return Health{true, "well"};
                     }},
                    {"hbase",
                     []() -> std::optional<Health> {
                       return Health{true, "well"};
                     }}},
                   hands);
  const auto at_first = watch.look();  // would hang here if it waited for the end of that look
  REQUIRE(at_first.size() == 1);
  CHECK(at_first[0].kind == "hbase");
  hands.now += StoreWatch::kSilence.count + 1;
  const auto silent = watch.look();
  REQUIRE(silent.size() == 2);
  CHECK(silent[0].kind == "hdfs");
  CHECK_FALSE(silent[0].health.good);
  CHECK(silent[1].health.good);
  may_end.release(2);  // the one that hung, and the next
  const auto again = watch.look();
  REQUIRE(again.size() == 2);
  CHECK(again[0].health.good);
  may_end.release(1);
}
