#include "services/transfer-agent/store_watch.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <semaphore>

using namespace lockstep;
using lockstep::component::DataSet;
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
  void pass(Nanos span) { now += span.count; }
  std::atomic<std::int64_t> now{1};
};

Health well(const DataSet&) { return {true, "well", {}}; }

DataSet place_in(const std::string& kind) {
  DataSet set;
  set.id = {"orders", kind};
  set.component = kind;
  return set;
}

// What is said of `name`; nothing: it is left out.
std::optional<bool> good(const StoreWatch::Told& told, const std::string& name) {
  for (const auto& row : told.rows) {
    if (row.name == name) return row.health.good;
  }
  return std::nullopt;
}

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
                       return Health{looks.fetch_add(1) == 0, "as it is", {}};
                     }}},
                   well, hands);
  for (const bool expected : {true, false, false}) {
    const auto told = watch.look({});
    CHECK(told.rows.size() == 1);
    CHECK(good(told, "hdfs") == expected);
    CHECK_FALSE(told.pending);
  }
  CHECK(asked == 1);
  CHECK(looks == 3);
}

TEST_CASE(
    "A store that does not answer holds nobody up, is pending, and unwell after its silence") {
  Hands hands;
  std::counting_semaphore<> may_end{0};
  StoreWatch watch({{"hdfs",
                     [&]() -> std::optional<Health> {
                       may_end.acquire();
                       return Health{true, "well", {}};
                     }},
                    {"hbase",
                     []() -> std::optional<Health> {
                       return Health{true, "well", {}};
                     }}},
                   well, hands);
  const auto at_first = watch.look({});  // would hang here if it waited for the end of that look
  CHECK_FALSE(good(at_first, "hdfs"));
  CHECK(at_first.pending);
  CHECK(good(at_first, "hbase") == true);
  hands.pass(StoreWatch::kSilence + Nanos{1});
  const auto silent = watch.look({});
  CHECK(good(silent, "hdfs") == false);
  CHECK_FALSE(silent.pending);
  CHECK(good(silent, "hbase") == true);
  may_end.release(2);  // the one that hung, and the next
  CHECK(good(watch.look({}), "hdfs") == true);
  may_end.release(1);
}

TEST_CASE("Places are told by name, and one that hangs holds nobody up") {
  Hands hands;
  std::counting_semaphore<> may_end{0};
  std::atomic<bool> hang = false;
  StoreWatch watch(
      {},
      [&](const DataSet& set) {
        if (hang && set.component == "files") may_end.acquire();
        return Health{set.component == "files", "as it is", {}};
      },
      hands);
  const auto told = watch.look({place_in("files"), place_in("sqlite")});
  CHECK(good(told, "orders/files") == true);
  CHECK(good(told, "orders/sqlite") == false);
  CHECK(watch.look({place_in("sqlite")}).rows.size() == 1);
  hang = true;
  const auto before = watch.look({place_in("files")});
  CHECK(good(before, "orders/files") == std::nullopt);  // the last look was not at it
  hands.pass(StoreWatch::kSilence + Nanos{1});
  CHECK(good(watch.look({place_in("files")}), "data sets") == false);
  hang = false;
  may_end.release(1);
  while (good(watch.look({place_in("files")}), "orders/files") != true) continue;
}

TEST_CASE("Trouble that may come right by itself counts once it has lasted, its places never") {
  Hands hands;
  std::atomic<bool> fails_over = true;
  std::atomic<int> places_asked = 0;
  StoreWatch watch(
      {{"hdfs",
        [&]() -> std::optional<Health> {
          return Health{!fails_over, "no NameNode is active", seconds(30)};
        }}},
      [&](const DataSet&) {
        ++places_asked;
        return Health{false, "would wait for it", {}};
      },
      hands);
  const std::vector<DataSet> places{place_in("hdfs")};
  (void)watch.look({});  // known from here on
  CHECK(good(watch.look(places), "hdfs") == true);
  CHECK(watch.look(places).rows.size() == 1);
  hands.pass(seconds(9));
  CHECK(good(watch.look(places), "hdfs") == true);
  for (int i = 0; i < 3; ++i) {
    hands.pass(seconds(9));
    (void)watch.look(places);
  }
  CHECK(good(watch.look(places), "hdfs") == false);
  CHECK(places_asked == 0);
  fails_over = false;
  CHECK(good(watch.look(places), "hdfs") == true);
  fails_over = true;  // it begins anew
  CHECK(good(watch.look(places), "hdfs") == true);
}

TEST_CASE("Who was not asked for a while is not called silent for it") {
  Hands hands;
  std::counting_semaphore<> may_end{0};
  StoreWatch watch({{"hdfs",
                     [&]() -> std::optional<Health> {
                       may_end.acquire();
                       return Health{true, "well", {}};
                     }}},
                   well, hands);
  may_end.release(1);
  CHECK(good(watch.look({}), "hdfs") == true);
  hands.pass(StoreWatch::kSilence + seconds(60));  // nobody asks
  CHECK(good(watch.look({}), "hdfs") == true);     // slow, and well a minute ago
  hands.pass(StoreWatch::kSilence + Nanos{1});
  CHECK(good(watch.look({}), "hdfs") == false);
  may_end.release(3);
}
