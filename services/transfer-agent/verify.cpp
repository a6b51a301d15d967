// Verifying a point: what its record says is held against what lies on disk.
#include "common/stream/verify.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/message/bytes.hpp"
#include "services/transfer-agent/points.hpp"
#include "services/transfer-agent/record.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

struct SetResult {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> problems;
};

// Errors are what ends the whole verification (a stop); all else is a problem of the set.
Result<SetResult> verify_set(const Agent& agent, const Body& record, const Body& set,
                             const stream::VerifyOptions& options) {
  SetResult result;
  const auto version = version_in(record, set);
  auto* component = agent.components.find(version.component);
  if (component == nullptr || component->sources() == nullptr || component->target() == nullptr) {
    result.problems.push_back("this agent cannot read the component " + version.component);
    return result;
  }
  auto source = component->sources()->open(version);
  if (!source) {
    result.problems.push_back(source.error().text());
    return result;
  }
  auto outcome = stream::verify_version(agent.disk, **source, manifest_in(set), options);
  if (!outcome) {
    if (outcome.error().code == ErrorCode::cancelled) return outcome.error();
    result.problems.push_back(outcome.error().text());
    return result;
  }
  result.entries = outcome->entries;
  result.bytes = outcome->bytes;
  result.problems = outcome->problems;
  const auto listed = static_cast<std::uint64_t>(result.problems.size());
  if (outcome->problem_count > listed) {
    result.problems.push_back(fmt::format("and {} more", outcome->problem_count - listed));
  }
  const std::string root = stream::to_hex(outcome->root);
  const std::string wanted = set.at("root").get<std::string>();
  if (stream::to_hex(outcome->expected_root) != wanted) {
    result.problems.push_back("the manifest is of another version than the record");
  }
  if (root != wanted) {
    result.problems.push_back(fmt::format("the root is {}, the record says {}", root, wanted));
  }
  if (auto own = component->target()->check_version(version); !own) {
    result.problems.push_back(own.error().text());
  }
  return result;
}

Body body_of_set(const std::string& name, const SetResult& result) {
  Body problems = Body::array();
  for (const auto& problem : result.problems) problems.push_back(message::text_or_bytes(problem));
  return {{"name", name},
          {"ok", result.problems.empty()},
          {"entries", result.entries},
          {"bytes", result.bytes},
          {"problems", std::move(problems)}};
}

}  // namespace

Result<Body> verify_point(const Agent& agent, const RecordStore& records, const Body& request,
                          std::stop_token stop, ProgressBoard& board) {
  const std::string id = request.at("id").get<std::string>();
  LOCKSTEP_TRY(const Body record, records.find(id));
  const auto of_record = record_problems(record);
  std::uint64_t problem_count = of_record.size();
  Body sets = Body::array();
  for (const auto& set : record.at("sets")) {
    const std::string name = set.at("name").get<std::string>();
    stream::VerifyOptions options;
    options.sample = request.at("sample").get<unsigned>();
    options.seed = static_cast<std::uint64_t>(agent.clock.utc().count);
    options.stop = stop;
    const auto kept = set.at("bytes").get<std::uint64_t>();
    const std::uint64_t expected = kept / 100 * options.sample + kept % 100 * options.sample / 100;
    options.progress = [&, expected](std::uint64_t entries, std::uint64_t bytes) {
      board.put(name, {entries, bytes, expected, options.sample < 100});
    };
    LOCKSTEP_TRY(auto result, verify_set(agent, record, set, options));
    // What is wrong with the record itself is wrong with each of its sets.
    result.problems.insert(result.problems.begin(), of_record.begin(), of_record.end());
    problem_count += result.problems.size() - of_record.size();
    sets.push_back(body_of_set(name, result));
  }
  const bool ok = problem_count == 0;
  const std::string service = record.at("service").get<std::string>();
  LOCKSTEP_CHECK(agent.journal.transact(
      "point.verified", [&](journal::Transaction& transaction) -> Result<void> {
        Book::put_verified(transaction, id, {agent.clock.utc(), ok});
        transaction.emit(
            "point.verified", service,
            {{"id", id}, {"service", service}, {"ok", ok}, {"problems", problem_count}});
        return {};
      }));
  if (!ok) spdlog::error("point {} of {} is damaged: {} problems", id, service, problem_count);
  return Body{{"id", id}, {"ok", ok}, {"sets", std::move(sets)}};
}

}  // namespace lockstep::transfer
