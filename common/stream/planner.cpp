#include "common/stream/planner.hpp"

#include "common/stream/entry_codec.hpp"
#include "common/stream/file_planner.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/read_ahead.hpp"
#include "common/stream/sent_names.hpp"

namespace lockstep::stream {
namespace {

using component::Action;
using component::EntryKind;
using At = ManifestReader::At;

class Planner {
 public:
  Planner(const PlanJob& job, std::optional<ManifestReader> base, ManifestWriter manifest,
          PackBuilder& builder)
      : job_(job),
        base_(std::move(base)),
        manifest_(std::move(manifest)),
        builder_(builder),
        files_(*job.source, manifest_, builder, job.stop, job.walked) {}

  Result<ManifestSummary> run() {
    std::unique_ptr<component::ChangeCursor> changes;
    if (base_ && job_.base && base_->has_native()) {
      LOCKSTEP_TRY(changes, job_.source->changes(*job_.base));
    }
    LOCKSTEP_CHECK(advance_base());
    if (changes) {
      // What is told of has changed, as a rule.
      ReadAhead ahead(
          *job_.source, [&] { return changes->next(); }, ReadAhead::Content::of_small_files,
          job_.stop);
      LOCKSTEP_CHECK(plan_changes(ahead));
    } else {
      LOCKSTEP_TRY(const auto cursor, job_.source->entries());
      const auto list = [&]() -> Result<std::optional<component::Change>> {
        LOCKSTEP_TRY(auto entry, cursor->next());
        if (!entry) return std::optional<component::Change>();
        std::string path = entry->path;
        return std::optional(component::Change{std::move(path), std::move(entry)});
      };
      // With a base most entries have not changed, and are not read.
      const bool read = !base_ && !job_.sum_of_carried;
      ReadAhead ahead(*job_.source, list,
                      read ? ReadAhead::Content::of_small_files : ReadAhead::Content::of_none,
                      job_.stop, job_.moved, base_ ? nullptr : job_.sum_of_carried);
      LOCKSTEP_CHECK(plan_all(ahead));
    }
    if (manifest_.entries() == 0)
      return make_error(ErrorCode::source_read, "the version holds nothing, not even its root");
    LOCKSTEP_TRY(const ManifestSummary summary, manifest_.finish());
    // Who receives has the last pack while the manifest goes to the disk; the end is told after.
    LOCKSTEP_CHECK(builder_.finish());
    LOCKSTEP_CHECK(manifest_.sync());
    return summary;
  }

 private:
  Result<void> plan_all(ReadAhead& ahead) {
    while (true) {
      LOCKSTEP_CHECK(check_stop());
      LOCKSTEP_TRY(auto item, ahead.next());
      if (!item) break;
      LOCKSTEP_CHECK(remove_before(item->change.path));
      LOCKSTEP_CHECK(take(*item));
    }
    while (base_at_entry()) LOCKSTEP_CHECK(remove_base());
    return {};
  }

  // The same from where the version may differ alone: what lies between is as in the base.
  Result<void> plan_changes(ReadAhead& ahead) {
    std::optional<std::string> below;  // the last directory that is listed with all it holds
    while (true) {
      LOCKSTEP_CHECK(check_stop());
      LOCKSTEP_TRY(auto item, ahead.next());
      const component::Change* change = item ? &item->change : nullptr;
      while (base_at_entry() &&
             (!change || component::path_less(base_->entry().path, change->path))) {
        const bool gone = below && component::path_inside(base_->entry().path, *below);
        const bool whole = !change || !component::path_inside(change->path, base_->entry().path);
        LOCKSTEP_CHECK(gone ? remove_base() : keep_base(whole));
      }
      if (!change) return {};
      if (change->below) below = change->path;
      if (change->now) {
        LOCKSTEP_CHECK(take(*item));
      } else if (base_at_entry() && base_->entry().path == change->path) {
        LOCKSTEP_CHECK(remove_base());
      }
    }
  }

  Result<void> check_stop() const {
    if (!job_.stop.stop_requested()) return {};
    return make_error(ErrorCode::cancelled, "sending was stopped");
  }

  Result<void> leave_until(const std::string& path) {
    LOCKSTEP_TRY(const bool fits, manifest_.leave_until(path));
    if (fits) return {};
    return make_error(ErrorCode::source_read, "the component lists entries out of order", path);
  }

  Result<void> take(const ReadAhead::Item& item) {
    const Entry& entry = *item.change.now;
    LOCKSTEP_CHECK(leave_until(entry.path));
    LOCKSTEP_TRY(const std::string sum, item.sum);
    LOCKSTEP_CHECK(sum.empty() ? plan_entry(entry, item.content) : plan_brought(entry, sum));
    return walked();
  }

  // The base's entry at hand is the version's too, and with `whole` all that lies in it.
  Result<void> keep_base(bool whole) {
    LOCKSTEP_CHECK(check_stop());
    LOCKSTEP_CHECK(leave_until(base_->entry().path));
    if (base_->entry().kind == EntryKind::hard_link) {
      const Entry entry = base_->entry();
      LOCKSTEP_CHECK(plan_other(entry, true));
    } else if (whole && manifest_.copies_trees_of(*base_)) {
      LOCKSTEP_CHECK(manifest_.copy_tree(
          *base_,
          [this](const Entry& entry) -> Result<void> {
            LOCKSTEP_CHECK(builder_.passed(manifest_.entries()));
            return link_again(entry);
          },
          [this] { return copied_some(); }));
    } else {
      LOCKSTEP_CHECK(manifest_.copy(*base_));
    }
    LOCKSTEP_CHECK(walked());
    return advance_base();
  }

  void tell_walked() const {
    if (job_.walked) job_.walked(manifest_.entries());
  }

  Result<void> walked() {
    tell_walked();
    return builder_.passed(manifest_.entries());
  }

  // Some of a directory was copied that may be all there is.
  Result<void> copied_some() {
    LOCKSTEP_CHECK(check_stop());
    tell_walked();
    return {};
  }

  bool base_at_entry() const { return base_ && base_->at() == At::entry; }

  Result<void> advance_base() {
    if (base_) LOCKSTEP_CHECK(base_->next_entry());
    return {};
  }

  // Past the entry at hand and all that lies in it.
  Result<void> skip_base_tree() {
    const std::string top = base_->entry().path;
    do {
      LOCKSTEP_CHECK(advance_base());
    } while (base_at_entry() && component::path_inside(base_->entry().path, top));
    return {};
  }

  Result<void> remove_base() {
    LOCKSTEP_CHECK(builder_.remove(base_->entry().path));
    return skip_base_tree();
  }

  Result<void> remove_before(const std::string& path) {
    while (base_at_entry() && component::path_less(base_->entry().path, path))
      LOCKSTEP_CHECK(remove_base());
    return {};
  }

  Result<void> plan_entry(const Entry& entry, const WholeContent& content) {
    const bool match = base_at_entry() && base_->entry().path == entry.path;
    const bool same_kind = match && base_->entry().kind == entry.kind;
    if (entry.kind == EntryKind::directory)
      LOCKSTEP_CHECK(plan_directory(entry, same_kind));
    else if (entry.kind == EntryKind::regular)
      LOCKSTEP_CHECK(plan_file(entry, same_kind, content));
    else
      LOCKSTEP_CHECK(plan_other(entry, same_kind));
    if (!match) return {};
    // Creating replaces whatever had the path: what lay in a directory that became something else
    // needs no removal.
    return same_kind ? advance_base() : skip_base_tree();
  }

  Result<void> plan_directory(const Entry& entry, bool in_base) {
    if (!in_base)
      LOCKSTEP_CHECK(builder_.entry(entry, Action::create));
    else if (!same_metadata(base_->entry(), entry))
      LOCKSTEP_CHECK(builder_.entry(entry, Action::metadata));
    return manifest_.begin(entry);
  }

  Result<void> plan_file(const Entry& entry, bool in_base, const WholeContent& content) {
    const bool same_size = in_base && base_->entry().size == entry.size;
    if (same_size && base_->has_native() && job_.source->unchanged(base_->entry(), entry)) {
      Entry same = entry;  // its native part may be new
      same.sum = base_->entry().sum;
      return manifest_.copy(*base_, same);
    }
    if (base_ && job_.sum_of_carried && entry.size > 0) {
      LOCKSTEP_TRY(const std::string sum, job_.sum_of_carried(entry));
      if (!sum.empty()) return plan_brought(entry, sum);
    }
    const bool summed = in_base && !base_->entry().sum.empty();
    if (summed && same_size) {  // what the store itself says of it spares reading it
      LOCKSTEP_TRY(const std::string sum, job_.source->kept_sum(entry));
      if (sum == base_->entry().sum) return keep_content(entry);
    }
    std::optional<FilePlanner::Extents> candidates;
    if (summed && job_.base) {
      LOCKSTEP_TRY(candidates, job_.source->compared_extents(entry, *job_.base));
      if (same_size && candidates && candidates->empty()) return keep_content(entry);
    } else if (in_base && job_.base && has_leaves(base_->entry()) && has_leaves(entry)) {
      LOCKSTEP_TRY(candidates, job_.source->changed_extents(entry, *job_.base));
    }
    LOCKSTEP_TRY(const bool sent,
                 files_.plan(entry, in_base ? &*base_ : nullptr, candidates, content));
    if (sent) sent_.add(entry.path);
    return {};
  }

  // The base's file has the same content, and its checksum stands for it.
  Result<void> keep_content(Entry entry) {
    const bool same = same_metadata(base_->entry(), entry);
    entry.sum = base_->entry().sum;
    return same ? manifest_.copy(*base_, entry) : plan_summed(entry, Action::metadata);
  }

  Result<void> plan_brought(Entry entry, const std::string& sum) {
    entry.sum = sum;
    return plan_summed(entry, Action::adopt);
  }

  // Of what is known by its checksum no content is sent: it stays, or an engine brought it.
  Result<void> plan_summed(const Entry& entry, Action action) {
    LOCKSTEP_CHECK(manifest_.begin(entry));
    const Digest256 content = content_of_sum(entry.size, entry.sum);
    LOCKSTEP_CHECK(manifest_.end(content));
    LOCKSTEP_CHECK(builder_.entry(entry, action));
    sent_.add(entry.path);
    return builder_.close(content);
  }

  Result<void> send(const Entry& entry) {
    LOCKSTEP_CHECK(builder_.entry(entry, Action::create));
    sent_.add(entry.path);
    return {};
  }

  // A hard link that is in the base: of a further name only the first name counts, and where that
  // was sent its file may be a new one.
  Result<void> link_again(const Entry& entry) {
    return sent_.may_hold(entry.link_target) ? send(entry) : Result<void>{};
  }

  Result<void> plan_other(const Entry& entry, bool in_base) {
    if (entry.kind == EntryKind::hard_link) {
      const bool same = in_base && base_->entry().link_target == entry.link_target;
      LOCKSTEP_CHECK(same ? link_again(entry) : send(entry));
    } else if (!in_base || !same_metadata(base_->entry(), entry)) {
      LOCKSTEP_CHECK(send(entry));
    }
    LOCKSTEP_CHECK(manifest_.begin(entry));
    LOCKSTEP_CHECK(manifest_.end());
    return {};
  }

  const PlanJob& job_;
  std::optional<ManifestReader> base_;
  ManifestWriter manifest_;
  PackBuilder& builder_;
  FilePlanner files_;
  SentNames sent_;
};

}  // namespace

Result<ManifestSummary> plan(os::Disk& disk, const PlanJob& job, PackBuilder& builder) {
  std::optional<ManifestReader> base;
  if (!job.base_manifest.empty()) {
    LOCKSTEP_TRY(ManifestReader opened, ManifestReader::open(disk, job.base_manifest));
    base = std::move(opened);
  }
  LOCKSTEP_TRY(ManifestWriter manifest,
               ManifestWriter::create(disk, job.manifest_part, WithNative::yes));
  return Planner(job, std::move(base), std::move(manifest), builder).run();
}

}  // namespace lockstep::stream
