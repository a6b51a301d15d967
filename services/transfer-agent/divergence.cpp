#include "services/transfer-agent/divergence.hpp"

#include "common/component/keeps_aside.hpp"
#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/stream/planner.hpp"
#include "services/transfer-agent/receive_side.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

constexpr std::size_t kNamed = 1000;  // paths told; the rest is counted

// What a transfer would send is what differs: its records are read here instead of being sent.
class Differences {
 public:
  Result<void> take(const stream::RawPack& pack) {
    stream::RecordReader reader(*pack.body);
    while (!reader.done()) {
      LOCKSTEP_TRY(const stream::Record record, reader.next());
      if (record.kind == stream::RecordKind::remove) {
        ++removed_;
        name(record.path, "removed");
      } else if (record.kind == stream::RecordKind::entry && counts(record)) {
        ++written_;
        name(record.entry.path, "written");
      }
    }
    return {};
  }

  Body body() && {
    return {{"written", written_}, {"removed", removed_}, {"entries", std::move(entries_)}};
  }

 private:
  // A directory whose own times moved because of what lies in it is no news.
  static bool counts(const stream::Record& record) {
    return record.entry.kind != component::EntryKind::directory ||
           record.action == component::Action::create;
  }

  void name(const std::string& path, const char* what) {
    if (entries_.size() < kNamed) {
      entries_.push_back({{"path", message::text_or_bytes(path)}, {"what", what}});
    }
  }

  std::uint64_t written_ = 0;
  std::uint64_t removed_ = 0;
  Body entries_ = Body::array();
};

// What was written may have been taken out of the transfers' way already.
Result<std::optional<std::vector<component::KeepsAside::KeptAside>>> kept_aside(
    component::Component& component, const std::string& service, const Body& set) {
  auto* keeper = dynamic_cast<component::KeepsAside*>(component.target());
  const auto base = base_of(set);
  if (keeper == nullptr || !base) {
    return std::optional<std::vector<component::KeepsAside::KeptAside>>();
  }
  return keeper->kept_aside(data_set_of(service, set, End::from), *base);
}

Result<Body> list_set(const Agent& agent, Book& book, const std::string& service, const Body& set,
                      std::stop_token stop, ProgressBoard& board) {
  const component::SetId id{service, set.at("name").get<std::string>()};
  auto version = version_of(id, set.at("version"));
  auto* component = agent.components.find(version.component);
  if (component == nullptr || component->sources() == nullptr) {
    return make_error(ErrorCode::not_supported, "this agent cannot read that component",
                      version.component);
  }
  LOCKSTEP_TRY(const auto kept, kept_aside(*component, service, set));
  if (kept) {
    if (kept->empty()) {
      Body row = Differences{}.body();
      row["name"] = id.set;
      row["base"] = *base_of(set);
      return row;
    }
    // Later ones came of what went on writing between the transfers.
    version = kept->front().version;
  }
  LOCKSTEP_TRY(const auto source, component->sources()->open(version));
  LOCKSTEP_CHECK(os::make_directories(agent.disk, agent.manifest_directory(id.service, id.set)));
  const std::string part = agent.manifest_path(id.service, id.set, version.name) + ".divergence";

  stream::PlanJob job;
  job.source = source.get();
  job.manifest_part = part;
  job.stop = stop;
  job.walked = [&](std::uint64_t entries) { board.put(id.set, {entries, 0}); };
  std::optional<std::string> base;
  if (const auto run = base_of(set)) {
    LOCKSTEP_TRY(const auto sent, book.find_sent(*run, id.set));
    if (sent && agent.disk.stat_at(os::kCwd, sent->manifest)) {
      base = run;
      job.base_manifest = sent->manifest;
      if (auto held = component->sources()->open(sent->version)) job.base = sent->version;
    }
  }
  Differences differences;
  stream::PackBuilder builder(version.name, 0,
                              [&](stream::RawPack pack) { return differences.take(pack); });
  const auto compare = [&]() -> Result<void> {
    LOCKSTEP_CHECK(stream::plan(agent.disk, job, builder));
    return builder.finish();
  };
  const auto compared = compare();
  LOCKSTEP_CHECK(os::remove_durably(agent.disk, part));
  LOCKSTEP_CHECK(compared);

  Body row = std::move(differences).body();
  row["name"] = id.set;
  if (base) row["base"] = *base;
  if (kept) {
    row["path"] = message::text_or_bytes(kept->front().where);
  } else if (component->target() != nullptr) {
    row["path"] = message::text_or_bytes(component->target()->path_of(version));
  }
  return row;
}

}  // namespace

Result<Body> list_divergence(const Agent& agent, Book& book, const Body& request,
                             std::stop_token stop, ProgressBoard& board) {
  const std::string service = request.at("service").get<std::string>();
  Body sets = Body::array();
  for (const Body& set : request.at("sets")) {
    LOCKSTEP_TRY(Body row, list_set(agent, book, service, set, stop, board));
    sets.push_back(std::move(row));
  }
  return Body{{"sets", std::move(sets)}};
}

}  // namespace lockstep::transfer
