#include "common/components/hdfs/target.hpp"

#include <algorithm>
#include <utility>

#include "common/components/hdfs/aside.hpp"
#include "common/components/hdfs/carried.hpp"
#include "common/components/hdfs/mark.hpp"
#include "common/components/hdfs/restore.hpp"
#include "common/components/hdfs/room.hpp"
#include "common/components/hdfs/snapshot_names.hpp"
#include "common/components/hdfs/source.hpp"

namespace lockstep::hdfs {

using component::Context;
using component::DataSet;
using component::Version;

Result<void> HdfsTarget::make_ready(const DataSet& target) {
  const std::string& directory = target.place.location;
  auto status = hdfs_.status(directory);
  if (!status && status.error().trouble == Trouble::missing) {
    if (auto made = hdfs_.make_directory(directory); !made) {
      return to_error(made.error(), ErrorCode::target_write, "make the directory", directory);
    }
    status = hdfs_.status(directory);
  }
  if (!status) {
    return to_error(status.error(), ErrorCode::target_write, "look at the directory", directory);
  }
  if (status->kind != Status::Kind::directory) {
    return make_error(ErrorCode::not_supported, "what stands at the place is no directory",
                      directory);
  }
  LOCKSTEP_CHECK(need_snapshots(hdfs_, *status, directory, target.place, ErrorCode::not_supported,
                                ErrorCode::target_write));
  return check_own(target);
}

Result<void> HdfsTarget::check_own(const DataSet& target) {
  const std::string& directory = target.place.location;
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, directory));
  if (mark && !marked_attempt(*mark, target.id)) {
    return make_error(ErrorCode::target_overlaps,
                      "another data set is kept there: " + mark->substr(0, mark->rfind('/')),
                      directory);
  }
  if (mark) return {};
  LOCKSTEP_TRY(const auto newest, newest_version(hdfs_, target));
  if (newest) return {};
  auto page = hdfs_.list(directory, {});
  if (!page) return to_error(page.error(), ErrorCode::target_write, "list", directory);
  if (page->statuses.empty()) return {};
  return make_error(
      ErrorCode::target_overlaps,
      "the directory holds what Lockstep did not put there, such as " + page->statuses.front().name,
      directory, "name an empty directory with `to: {path: ...}`, or empty this one");
}

Result<void> HdfsTarget::check(const DataSet& target, std::uint64_t bytes_expected) {
  LOCKSTEP_CHECK(make_ready(target));
  return check_room(hdfs_, target.place.location, bytes_expected);
}

// Begun anew by the same run: what it had adopted was brought at some cost.
Result<void> HdfsTarget::adopt_again(const Context& context, const DataSet& target) {
  const std::string& directory = target.place.location;
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, directory));
  if (!mark || !marks_run(*mark, target.id, context.run)) return {};
  const std::string carried = carried_to(target, context);
  const auto there = hdfs_.status(carried);
  if (there) return give_back_carried(hdfs_, directory, carried, context.stop);
  if (there.error().trouble == Trouble::missing) return {};
  return to_error(there.error(), ErrorCode::target_write, "look at", carried);
}

Result<std::unique_ptr<component::Staging>> HdfsTarget::stage(
    const Context& context, const component::StageRequest& request) {
  const DataSet& target = request.target;
  const std::string& directory = target.place.location;
  LOCKSTEP_TRY(const auto sealed, find_version(hdfs_, Use::point, target, context.run));
  if (request.resume && !sealed) {
    return make_error(ErrorCode::resume_refused,
                      "in HDFS an attempt whose process ended begins anew", directory);
  }
  std::string base;
  std::string base_root;
  if (request.base) {
    LOCKSTEP_TRY(const Native named, native_from_text(request.base->native));
    LOCKSTEP_TRY(const Native native, open_version(hdfs_, use_of(named.snapshot), *request.base,
                                                   ErrorCode::target_write));
    if (native.directory != directory) {
      return make_error(ErrorCode::version_missing, "the base is a snapshot of another directory",
                        native.root());
    }
    base = native.snapshot;
    base_root = native.root();
  }
  LOCKSTEP_CHECK(make_ready(target));
  LOCKSTEP_TRY(const auto own_pin, find_version(hdfs_, Use::pin, target, context.run));
  if (own_pin) {
    return make_error(ErrorCode::target_overlaps,
                      "the run has pinned that very directory: it would be its own backup",
                      directory, "name the other cluster's HDFS, or another directory with `to:`");
  }
  const std::lock_guard lock(mutex_);
  end_work_in(directory);
  std::vector<std::string> caveats;
  if (!request.resume) {
    LOCKSTEP_TRY(const Found found, look_at_directory(hdfs_, crew_, target, base));
    if (found == Found::changed || found == Found::was_source) {
      LOCKSTEP_TRY(const std::string kept, keep_aside(hdfs_, crew_, target, context.run));
      caveats.push_back(found == Found::was_source
                            ? directory + " was the primary's: what it held beyond its newest pin" +
                                  " is kept as " + kept + "."
                            : "Somebody had changed " + directory +
                                  " since the newest point was made of it; that was undone, and" +
                                  " is kept as " + kept + ".");
    }
    LOCKSTEP_CHECK(take_over_carried(hdfs_, target, context));
    if (base.empty()) LOCKSTEP_CHECK(adopt_again(context, target));
    LOCKSTEP_CHECK(put_mark(hdfs_, directory, mark_of(target.id, attempt_of(context))));
    if (found != Found::as_base) LOCKSTEP_CHECK(bring_back(hdfs_, crew_, directory, base));
  }
  auto self = std::make_shared<HdfsStaging*>(nullptr);
  HdfsStaging::Setup setup{target,
                           context,
                           base_root,
                           base.empty() ? carried_to(target, context) : std::string(),
                           std::move(caveats),
                           [this, directory, self] {
                             const std::lock_guard guard(mutex_);
                             const auto found = at_work_.find(directory);
                             if (found != at_work_.end() && found->second == *self) {
                               at_work_.erase(found);
                             }
                           }};
  auto staging = std::make_unique<HdfsStaging>(hdfs_, crew_, std::move(setup));
  *self = staging.get();
  at_work_[directory] = staging.get();
  return std::unique_ptr<component::Staging>(std::move(staging));
}

void HdfsTarget::end_work_in(const std::string& directory) {
  const auto other = at_work_.find(directory);
  if (other != at_work_.end()) other->second->revoke();
}

Result<std::optional<Version>> HdfsTarget::find(const Context& context, const DataSet& target) {
  LOCKSTEP_TRY(auto made, find_version(hdfs_, Use::point, target, context.run));
  if (!made) return made;
  // A crash may have come between the snapshot and what seal() does after it.
  LOCKSTEP_TRY(const auto carried, list_carried(hdfs_, target));
  for (const std::string& attempt : carried) {
    if (!attempt.starts_with(context.run + ".")) continue;
    LOCKSTEP_CHECK(remove_carried_of(hdfs_, target, attempt));
  }
  return made;
}

Result<std::vector<Version>> HdfsTarget::list(const DataSet& target) {
  LOCKSTEP_TRY(std::vector<Version> all, list_versions(hdfs_, Use::point, target));
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, target.place.location));
  // A staging is what the mark names without a version, or what an engine brought too late.
  LOCKSTEP_TRY(std::vector<std::string> attempts, list_carried(hdfs_, target));
  const bool made = mark && std::any_of(all.begin(), all.end(), [&](const Version& one) {
                      return marks_run(*mark, target.id, one.name);
                    });
  const auto marked = mark && !made ? marked_attempt(*mark, target.id) : std::nullopt;
  if (marked) attempts.push_back(*marked);
  std::sort(attempts.begin(), attempts.end());
  attempts.erase(std::unique(attempts.begin(), attempts.end()), attempts.end());
  for (const std::string& attempt : attempts) {
    Native native;
    native.directory = target.place.location;
    native.attempt = attempt;
    all.push_back({target.id, target.component, run_of_attempt(attempt), to_text(native)});
  }
  return all;
}

Result<void> HdfsTarget::check_version(const Version& version) {
  LOCKSTEP_CHECK(open_version(hdfs_, Use::point, version, ErrorCode::source_read));
  return {};
}

Result<component::Target::RestoreResult> HdfsTarget::restore(const Context& context,
                                                             const Version& version,
                                                             const component::Place& place,
                                                             const std::string& path,
                                                             bool replace) {
  LOCKSTEP_TRY(const Native native,
               open_version(hdfs_, Use::point, version, ErrorCode::source_read));
  const std::string& to = place.location;
  if (to == native.directory || (to + "/").starts_with(native.directory + "/")) {
    return make_error(ErrorCode::target_overlaps,
                      "the points of the data set are snapshots of that directory", to,
                      "restore to another directory of HDFS");
  }
  HdfsSource source(hdfs_, crew_, native, version.name);
  return restore_tree(hdfs_, source, context, {to, path, replace}, clock_.utc());
}

// The directory is the view of the version that its mark names: it goes back to the one before. Not
// where an application works there: make_live() took the mark away.
Result<void> HdfsTarget::drop_point(const DataSet& target, const Version& version,
                                    const std::string& snapshot) {
  const std::string& directory = target.place.location;
  const std::lock_guard lock(mutex_);
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, directory));
  if (!mark || !marks_run(*mark, target.id, version.name)) {
    return drop_version(hdfs_, Use::point, version);
  }
  LOCKSTEP_TRY(const auto there, find_version(hdfs_, Use::point, target, version.name));
  if (there) {
    LOCKSTEP_TRY(const Departure since, departure_from(hdfs_, crew_, directory, snapshot));
    const bool touched = since == Departure::content;
    // That is somebody's: the next attempt keeps it aside, and says so; where no version is left
    // the directory is nobody's of ours any more.
    if (touched) LOCKSTEP_CHECK(clear_mark(hdfs_, directory));
    LOCKSTEP_CHECK(drop_version(hdfs_, Use::point, version));
    if (touched) return {};
  }
  end_work_in(directory);
  return undo_attempt(hdfs_, crew_, target);
}

Result<void> HdfsTarget::drop(const Context&, const Version& version) {
  LOCKSTEP_TRY(const Native native, native_from_text(version.native));
  DataSet target;
  target.id = version.id;
  target.component = version.component;
  target.place.location = native.directory;
  if (!native.snapshot.empty()) return drop_point(target, version, native.snapshot);
  const std::lock_guard lock(mutex_);
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, native.directory));
  if (!mark || marked_attempt(*mark, target.id) != native.attempt) {
    return remove_carried_of(hdfs_, target, native.attempt);
  }
  end_work_in(native.directory);
  return undo_attempt(hdfs_, crew_, target);
}

Result<void> HdfsTarget::discard(const component::Place& place) {
  auto gone = hdfs_.remove(place.location);
  if (gone) return {};
  return to_error(gone.error(), ErrorCode::target_write, "remove", place.location);
}

// A file that was open at such a pin may have grown in it since it was sent.
bool HdfsTarget::may_start_from(const Version& version) const {
  const auto native = native_from_text(version.native);
  return native && (use_of(native->snapshot) != Use::pin || native->captures_open_files);
}

bool HdfsTarget::is_within_reach(const DataSet& target, const Version& version) const {
  const auto native = native_from_text(version.native);
  return native && native->directory == target.place.location;
}

Result<std::optional<std::vector<HdfsTarget::KeptAside>>> HdfsTarget::kept_aside(
    const DataSet& place, const std::string& since) {
  std::vector<KeptAside> out;
  LOCKSTEP_TRY(std::vector<Version> kept, list_versions(hdfs_, Use::aside, place));
  std::sort(kept.begin(), kept.end(),
            [](const Version& a, const Version& b) { return a.name < b.name; });
  for (Version& version : kept) {
    if (version.name <= since) continue;
    std::string where = join(place.place.location,
                             ".snapshot/" + snapshot_name(Use::aside, place.id, version.name));
    out.push_back({std::move(version), std::move(where)});
  }
  LOCKSTEP_TRY(const std::vector<Version> received, list(place));
  if (out.empty() && std::none_of(received.begin(), received.end(),
                                  [&](const Version& one) { return one.name > since; })) {
    return std::optional<std::vector<KeptAside>>();
  }
  return std::optional(std::move(out));
}

// The directory is the working tree already: it is brought to the point's snapshot, which after a
// clean end of the last run costs nothing.
Result<component::Target::RestoreResult> HdfsTarget::make_live(const Context&,
                                                               const Version& version,
                                                               const component::Place& place) {
  LOCKSTEP_TRY(const Native native,
               open_version(hdfs_, Use::point, version, ErrorCode::target_write));
  const std::string& directory = native.directory;
  if (place.location != directory) {
    return make_error(ErrorCode::not_supported,
                      "a point in HDFS can be made live in its own directory only", place.location,
                      "restore it there instead");
  }
  const std::lock_guard lock(mutex_);
  end_work_in(directory);
  RestoreResult done;
  DataSet set;
  set.id = version.id;
  set.place = place;
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs_, directory));
  LOCKSTEP_TRY(const bool unfinished, is_unfinished(hdfs_, set, mark));
  LOCKSTEP_TRY(const Departure since, departure_from(hdfs_, crew_, directory, native.snapshot));
  if (since == Departure::content && !unfinished) {
    // No attempt of ours did that, or a later point holds it: it is kept either way.
    LOCKSTEP_TRY(done.moved_aside, keep_aside(hdfs_, crew_, set, version.name));
  }
  const bool shown = since == Departure::none && mark && marks_run(*mark, set.id, version.name);
  if (!shown) {
    LOCKSTEP_TRY(done.entries, bring_back(hdfs_, crew_, directory, native.snapshot));
  }
  LOCKSTEP_CHECK(clear_mark(hdfs_, directory));
  return done;
}

}  // namespace lockstep::hdfs
