// Carries a version from a Source to a Target by nothing but their contracts: what the stream does,
// in memory and in one process, so that a component can be tried without it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/component/component.hpp"

namespace lockstep::test {

struct Carry {
  component::Sources& sources;
  component::Target& target;
  component::DataSet set;  // of the target
  component::Version pin;  // what is carried
  std::string run;
  std::optional<component::Version> base_pin = {};  // both or neither
  std::optional<component::Version> base_version = {};
  bool twice = false;          // everything is applied twice
  std::size_t stop_after = 0;  // the process "dies" after so many steps; 0: never
};

struct Carried {
  component::Version version;
  std::size_t steps = 0;
};

inline Result<std::vector<component::Entry>> entries_of(component::Source& source) {
  std::vector<component::Entry> all;
  LOCKSTEP_TRY(const auto cursor, source.entries());
  for (;;) {
    LOCKSTEP_TRY(auto entry, cursor->next());
    if (!entry) return all;
    all.push_back(std::move(*entry));
  }
}

inline Result<std::string> content_of(component::Source& source, const component::Entry& entry) {
  std::string content(entry.size, '\0');
  LOCKSTEP_TRY(const auto reader, source.open(entry));
  LOCKSTEP_TRY(const std::size_t got, reader->read(0, std::as_writable_bytes(std::span(content))));
  content.resize(got);
  return content;
}

class Carrier {
 public:
  explicit Carrier(const Carry& carry) : carry_(carry) {}

  Result<Carried> run() {
    LOCKSTEP_CHECK(plan());
    component::Context context;
    context.run = carry_.run;
    component::StageRequest request{carry_.set, carry_.base_version, false};
    LOCKSTEP_TRY(auto staging, carry_.target.stage(context, request));
    std::size_t from = 0;
    if (carry_.stop_after != 0) {
      LOCKSTEP_CHECK(apply(*staging, 0, std::min(carry_.stop_after, steps_.size())));
      LOCKSTEP_CHECK(staging->checkpoint());
      staging.reset();
      request.resume = true;
      LOCKSTEP_TRY(staging, carry_.target.stage(context, request));
      // The last ones that were applied may be sent again.
      from = carry_.stop_after > 3 ? std::min(carry_.stop_after, steps_.size()) - 3 : 0;
    }
    LOCKSTEP_CHECK(apply(*staging, from, steps_.size()));
    Carried carried;
    carried.steps = steps_.size();
    LOCKSTEP_TRY(carried.version, staging->seal());
    return carried;
  }

 private:
  using Entry = component::Entry;
  using Step = std::function<Result<void>(component::Staging&)>;

  Result<void> apply(component::Staging& staging, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      LOCKSTEP_CHECK(steps_[i](staging));
      if (carry_.twice) LOCKSTEP_CHECK(steps_[i](staging));
    }
    return {};
  }

  Result<void> plan() {
    LOCKSTEP_TRY(source_, carry_.sources.open(carry_.pin));
    LOCKSTEP_TRY(const std::vector<Entry> now, entries_of(*source_));
    std::map<std::string, Entry> before;
    if (carry_.base_pin) {
      LOCKSTEP_TRY(base_, carry_.sources.open(*carry_.base_pin));
      LOCKSTEP_TRY(std::vector<Entry> listed, entries_of(*base_));
      for (Entry& entry : listed) before.emplace(entry.path, std::move(entry));
    }
    std::set<std::string> present;
    for (const Entry& entry : now) present.insert(entry.path);
    for (const auto& [path, entry] : before) {
      if (present.contains(path)) continue;
      touch(path);
      steps_.push_back([p = path](component::Staging& staging) { return staging.remove(p); });
    }
    for (const Entry& entry : now) {
      const auto found = before.find(entry.path);
      LOCKSTEP_CHECK(plan_entry(entry, found == before.end() ? nullptr : &found->second));
    }
    for (auto entry = now.rbegin(); entry != now.rend(); ++entry) {
      if (entry->kind != component::EntryKind::directory || !touched_.contains(entry->path)) {
        continue;
      }
      steps_.push_back(
          [e = *entry](component::Staging& staging) { return staging.leave_directory(e); });
    }
    return {};
  }

  void touch(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    touched_.insert(slash == std::string::npos ? std::string() : path.substr(0, slash));
  }

  Result<void> plan_entry(const Entry& entry, const Entry* before) {
    using component::Action;
    using component::EntryKind;
    const bool same_kind = before != nullptr && before->kind == entry.kind;
    if (entry.kind == EntryKind::hard_link) {
      if (same_kind && before->link_target == entry.link_target &&
          !begun_.contains(entry.link_target)) {
        return {};
      }
      return add(entry, Action::create, std::nullopt);
    }
    if (same_kind && same(*before, entry)) {
      if (entry.kind != EntryKind::regular) return {};
      if (source_->unchanged(*before, entry)) return {};
    }
    if (entry.kind != EntryKind::regular || !same_kind) {
      return add(entry, Action::create, std::nullopt);
    }
    LOCKSTEP_TRY(auto changed, source_->changed_extents(entry, *carry_.base_pin));
    if (changed) {
      if (entry.size > before->size) {
        changed->push_back({before->size, entry.size - before->size});
      }
      return add(entry, Action::patch, std::move(changed));
    }
    LOCKSTEP_TRY(const std::string is, content_of(*source_, entry));
    LOCKSTEP_TRY(const std::string was, content_of(*base_, *before));
    return is == was ? add(entry, Action::metadata, std::vector<component::Extent>{})
                     : add(entry, Action::create, std::nullopt);
  }

  static bool same(const Entry& a, const Entry& b) {
    return a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.mtime_ns == b.mtime_ns &&
           a.size == b.size && a.device == b.device && a.link_target == b.link_target &&
           a.xattrs == b.xattrs;
  }

  Result<void> add(const Entry& entry, component::Action action,
                   std::optional<std::vector<component::Extent>> extents) {
    touch(entry.path);
    if (entry.kind == component::EntryKind::directory) touched_.insert(entry.path);
    begun_.insert(entry.path);
    if (!extents) extents = std::vector<component::Extent>{{0, entry.size}};
    steps_.push_back([this, entry, action, runs = *extents](component::Staging& staging) {
      return send(staging, entry, action, runs);
    });
    return {};
  }

  Result<void> send(component::Staging& staging, const Entry& entry, component::Action action,
                    const std::vector<component::Extent>& runs) {
    LOCKSTEP_CHECK(staging.begin(entry, action));
    if (entry.kind == component::EntryKind::regular && entry.size > 0 && !runs.empty()) {
      LOCKSTEP_TRY(const std::string content, content_of(*source_, entry));
      for (const component::Extent& run : runs) {
        LOCKSTEP_CHECK(send_run(staging, entry, content, run));
      }
    }
    return staging.finish();
  }

  // Without the holes.
  static Result<void> send_run(component::Staging& staging, const Entry& entry,
                               const std::string& content, component::Extent run) {
    const auto bytes = std::as_bytes(std::span(content));
    std::uint64_t at = run.offset;
    const std::uint64_t end = std::min<std::uint64_t>(run.offset + run.length, content.size());
    for (const component::Extent& hole : entry.holes) {
      const std::uint64_t from = std::clamp(hole.offset, at, end);
      if (from > at) LOCKSTEP_CHECK(staging.write(at, bytes.subspan(at, from - at)));
      at = std::clamp(hole.offset + hole.length, from, end);
    }
    return at < end ? staging.write(at, bytes.subspan(at, end - at)) : Result<void>{};
  }

  Carry carry_;
  std::unique_ptr<component::Source> source_;
  std::unique_ptr<component::Source> base_;
  std::vector<Step> steps_;
  std::set<std::string> touched_;
  std::set<std::string> begun_;
};

}  // namespace lockstep::test
