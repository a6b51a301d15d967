#include "common/components/hdfs/staging.hpp"

#include <utility>

#include "common/components/hdfs/carried.hpp"
#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/file_times.hpp"
#include "common/components/hdfs/mark.hpp"
#include "common/components/hdfs/snapshot_names.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::hdfs {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

namespace {

// Copies a file of a snapshot to where the writer writes.
Result<void> copy_content(WebHdfs& hdfs, const std::string& from, const Entry& entry,
                          Writer& writer) {
  Reader reader(hdfs, join(from, entry.path), entry.size, ErrorCode::target_write);
  std::vector<std::byte> piece(std::size_t{1} << 20U);
  for (std::uint64_t at = 0; at < entry.size;) {
    LOCKSTEP_TRY(const std::size_t got, reader.read(at, piece));
    if (got == 0) {
      return make_error(ErrorCode::target_write, "the file is shorter than it was",
                        join(from, entry.path));
    }
    LOCKSTEP_CHECK(writer.write(at, std::span(piece).first(got)));
    at += got;
  }
  return {};
}

Result<std::size_t> empty(WebHdfs& hdfs, const std::string& directory) {
  std::size_t removed = 0;
  for (;;) {
    auto page = hdfs.list(directory, {});
    if (!page) return to_error(page.error(), ErrorCode::target_write, "list", directory);
    for (const Status& status : page->statuses) {
      const std::string path = join(directory, status.name);
      if (auto gone = hdfs.remove(path); !gone) {
        return to_error(gone.error(), ErrorCode::target_write, "remove", path);
      }
      ++removed;
    }
    if (page->statuses.empty()) return removed;
  }
}

Result<std::size_t> bring_back_content(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                                       const std::string& to) {
  // From what is there to the snapshot: created is what is missing, removed what is too much.
  auto differences = hdfs.differences(directory, "", to);
  if (!differences) {
    return to_error(differences.error(), ErrorCode::target_write, "compare with the base",
                    directory);
  }
  if (differences->empty()) return std::size_t{0};
  const std::vector<Touched> touched = touched_by(std::move(*differences));
  const std::string from = join(directory, ".snapshot/" + to);
  Changes changes(hdfs, crew, from, touched, 0, ErrorCode::target_write);
  Writer writer(hdfs, directory, from);
  std::vector<Entry> open;  // directories on the way down, to be left
  const auto leave_until = [&](const std::string& path) -> Result<void> {
    while (!open.empty() && !component::path_inside(path, open.back().path)) {
      LOCKSTEP_CHECK(writer.leave_directory(open.back()));
      open.pop_back();
    }
    return {};
  };
  for (;;) {
    LOCKSTEP_TRY(auto change, changes.next());
    if (!change) break;
    LOCKSTEP_CHECK(leave_until(change->path));
    // What stands there instead is another inode: all of it goes.
    if ((!change->now || change->below) && !change->path.empty()) {
      LOCKSTEP_CHECK(writer.remove(change->path));
    }
    if (!change->now) continue;
    LOCKSTEP_CHECK(writer.begin(*change->now, Action::create));
    if (change->now->kind == EntryKind::directory) {
      open.push_back(*change->now);
    } else {
      LOCKSTEP_CHECK(copy_content(hdfs, from, *change->now, writer));
    }
    LOCKSTEP_CHECK(writer.finish());
  }
  while (!open.empty()) {
    LOCKSTEP_CHECK(writer.leave_directory(open.back()));
    open.pop_back();
  }
  LOCKSTEP_CHECK(writer.drain());
  return touched.size();
}

}  // namespace

Result<std::size_t> bring_back(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                               const std::string& to) {
  if (to.empty()) return empty(hdfs, directory);
  LOCKSTEP_TRY(const std::size_t differed, bring_back_content(hdfs, crew, directory, to));
  LOCKSTEP_CHECK(bring_back_times(hdfs, crew, directory, to));
  return differed;
}

Result<void> undo_attempt(WebHdfs& hdfs, Crew& crew, const component::DataSet& target) {
  const std::string& directory = target.place.location;
  LOCKSTEP_TRY(const auto newest, newest_version(hdfs, target));
  const std::string to = newest ? newest->name : std::string();
  LOCKSTEP_CHECK(bring_back(hdfs, crew, directory, to));
  LOCKSTEP_CHECK(remove_carried(hdfs, target));
  const auto run = newest ? run_of(Use::point, target.id, newest->name) : std::nullopt;
  if (!run) return clear_mark(hdfs, directory);
  return put_mark(hdfs, directory, mark_of(target.id, attempt_of(*run, 0)));
}

HdfsStaging::HdfsStaging(WebHdfs& hdfs, Crew& crew, Setup setup)
    : hdfs_(hdfs), crew_(crew), setup_(std::move(setup)) {
  writer_.emplace(hdfs, setup_.target.place.location, setup_.base, setup_.carried);
}

HdfsStaging::~HdfsStaging() {
  revoke();
  setup_.release();
}

void HdfsStaging::revoke() {
  const std::lock_guard lock(mutex_);
  writer_.reset();
}

Result<void> HdfsStaging::check_open() const {
  if (writer_) return {};
  return make_error(ErrorCode::cancelled, "another attempt works in the directory now",
                    setup_.target.place.location);
}

Result<void> HdfsStaging::begin(const Entry& entry, Action action) {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->begin(entry, action);
}

Result<void> HdfsStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->write(offset, data);
}

Result<void> HdfsStaging::finish() {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->finish();
}

Result<std::size_t> HdfsStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->read_back(offset, into);
}

Result<void> HdfsStaging::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->remove(path);
}

Result<void> HdfsStaging::leave_directory(const Entry& directory) {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  return writer_->leave_directory(directory);
}

// A transfer that goes on in another process begins at the base again (Target::stage), so there is
// nothing that a checkpoint would keep.
Result<void> HdfsStaging::checkpoint() { return {}; }

Result<Version> HdfsStaging::seal() {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  const component::DataSet& target = setup_.target;
  const std::string& directory = target.place.location;
  const std::string& run = setup_.context.run;
  LOCKSTEP_TRY(auto made, find_version(hdfs_, Use::point, target, run));
  if (!made) {
    LOCKSTEP_CHECK(writer_->drain());
    os::failpoint("hdfs.before_point");
    const std::string name = snapshot_name(Use::point, target.id, run);
    auto created = hdfs_.create_snapshot(directory, name, hdfs_.settings().patience);
    if (!created && created.error().trouble != Trouble::exists) {
      return to_error(created.error(), ErrorCode::target_write, "make the snapshot of the point",
                      join(directory, ".snapshot/" + name));
    }
    os::failpoint("hdfs.point_made");
    LOCKSTEP_TRY(made, find_version(hdfs_, Use::point, target, run));
  }
  if (!made) {
    return make_error(ErrorCode::internal, "the version that was made is not found", directory);
  }
  made_ = *made;
  LOCKSTEP_CHECK(remove_carried(hdfs_, target));
  return std::move(*made);
}

Result<void> HdfsStaging::abandon() {
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(check_open());
  writer_.reset();
  if (made_) LOCKSTEP_CHECK(drop_version(hdfs_, Use::point, *made_));
  return undo_attempt(hdfs_, crew_, setup_.target);
}

}  // namespace lockstep::hdfs
