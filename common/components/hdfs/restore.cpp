#include "common/components/hdfs/restore.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/components/hdfs/writer.hpp"

namespace lockstep::hdfs {

using component::Action;
using component::Context;
using component::Entry;
using component::EntryKind;
using Done = component::Target::RestoreResult;

namespace {

Error write_error(const Failure& failure, std::string_view act, const std::string& where) {
  return to_error(failure, ErrorCode::target_write, act, where);
}

class Restore {
 public:
  Restore(WebHdfs& hdfs, HdfsSource& source, const Context& context, const RestoreOrder& order,
          UtcNanos now)
      : hdfs_(hdfs),
        source_(source),
        context_(context),
        order_(order),
        staged_(order.place + ".restoring-" + context.run),
        aside_(order.place + ".before-" + std::to_string(now.count / 1'000'000)) {}

  Result<Done> run() {
    LOCKSTEP_TRY(const bool taken, is_taken());
    if (taken && !order_.replace) {
      return make_error(ErrorCode::place_not_empty, "something is there", wanted());
    }
    // What an earlier try left.
    if (auto gone = hdfs_.remove(staged_); !gone)
      return write_error(gone.error(), "remove", staged_);
    auto copied = copy();
    if (copied) copied = publish(taken);
    if (!copied) {
      (void)hdfs_.remove(staged_);  // the first error is the one to tell
      return std::move(copied).error();
    }
    return done_;
  }

 private:
  std::string wanted() const { return join(order_.place, order_.path); }

  Result<std::optional<Status>> find(const std::string& path) {
    auto status = hdfs_.status(path);
    if (status) return std::optional<Status>(std::move(*status));
    if (status.error().trouble == Trouble::missing) return std::optional<Status>();
    return write_error(status.error(), "look at", path);
  }

  Result<std::vector<std::string>> names_in(const std::string& directory) {
    std::vector<std::string> names;
    for (std::string after;;) {
      auto page = hdfs_.list(directory, after);
      if (!page) return write_error(page.error(), "list", directory);
      for (Status& status : page->statuses) names.push_back(std::move(status.name));
      if (!page->more || page->statuses.empty()) return names;
      after = names.back();
    }
  }

  // An empty directory is as good as none.
  Result<bool> is_taken() {
    LOCKSTEP_TRY(const auto status, find(wanted()));
    if (!status) return false;
    if (!order_.path.empty() || status->kind != Status::Kind::directory) return true;
    LOCKSTEP_TRY(const auto names, names_in(wanted()));
    return !names.empty();
  }

  bool is_wanted(const std::string& path) const {
    return order_.path.empty() || path == order_.path || component::path_inside(path, order_.path);
  }
  bool leads_there(const std::string& path) const {
    return path.empty() || component::path_inside(order_.path, path);
  }

  Result<void> copy() {
    LOCKSTEP_TRY(const auto cursor, source_.entries());
    Writer writer(hdfs_, staged_, {});
    std::vector<Entry> open;
    const auto leave = [&](const std::string* until) -> Result<void> {
      while (!open.empty() &&
             (until == nullptr || !component::path_inside(*until, open.back().path))) {
        LOCKSTEP_CHECK(writer.leave_directory(open.back()));
        open.pop_back();
      }
      return {};
    };
    bool found = false;
    for (;;) {
      if (context_.stop.stop_requested()) {
        return make_error(ErrorCode::cancelled, "restoring was stopped", wanted());
      }
      LOCKSTEP_TRY(auto entry, cursor->next());
      if (!entry) break;
      const bool counts = is_wanted(entry->path);
      if (!counts && !(entry->kind == EntryKind::directory && leads_there(entry->path))) continue;
      found = found || counts;
      LOCKSTEP_CHECK(leave(&entry->path));
      LOCKSTEP_CHECK(writer.begin(*entry, Action::create));
      if (entry->kind == EntryKind::directory) open.push_back(*entry);
      LOCKSTEP_CHECK(copy_content(*entry, writer));
      LOCKSTEP_CHECK(writer.finish());
      if (!counts) continue;
      ++done_.entries;
      if (context_.progress) context_.progress(done_.entries, done_.bytes);
    }
    if (!found)
      return make_error(ErrorCode::not_found, "the version has no such path", order_.path);
    LOCKSTEP_CHECK(leave(nullptr));
    return writer.drain();
  }

  Result<void> copy_content(const Entry& entry, Writer& writer) {
    if (entry.kind != EntryKind::regular || entry.size == 0) return {};
    LOCKSTEP_TRY(const auto reader, source_.open(entry));
    piece_.resize(std::size_t{1} << 20U);
    for (std::uint64_t at = 0; at < entry.size;) {
      LOCKSTEP_TRY(const std::size_t got, reader->read(at, piece_));
      if (got == 0) {
        return make_error(ErrorCode::source_read, "the file is shorter than its size", entry.path);
      }
      LOCKSTEP_CHECK(writer.write(at, std::span(piece_).first(got)));
      at += got;
      done_.bytes += got;
      if (context_.progress) context_.progress(done_.entries, done_.bytes);
    }
    return {};
  }

  Result<void> move(const std::string& from, const std::string& to) {
    auto moved = hdfs_.rename(from, to);
    if (!moved) return write_error(moved.error(), "move to " + to, from);
    return {};
  }

  Result<void> make(const std::string& directory) {
    auto made = hdfs_.make_directory(directory);
    if (!made) return write_error(made.error(), "make the directory", directory);
    return {};
  }

  Result<void> publish(bool taken) {
    LOCKSTEP_TRY(const auto place, find(order_.place));
    if (!place) {
      LOCKSTEP_CHECK(make(parent_of(order_.place)));
      return move(staged_, order_.place);
    }
    if (place->kind != Status::Kind::directory) {
      done_.moved_aside = aside_;
      LOCKSTEP_CHECK(move(order_.place, aside_));
      return move(staged_, order_.place);
    }
    if (!order_.path.empty()) return publish_part(taken);
    return publish_into();
  }

  // One entry, in a place that is there.
  Result<void> publish_part(bool taken) {
    if (taken) {
      done_.moved_aside = wanted() + aside_.substr(order_.place.size());
      LOCKSTEP_CHECK(move(wanted(), done_.moved_aside));
    }
    LOCKSTEP_CHECK(make(parent_of(wanted())));
    LOCKSTEP_CHECK(move(join(staged_, order_.path), wanted()));
    return clear();
  }

  // All, in a place that is there: entry by entry, for it may have snapshots.
  Result<void> publish_into() {
    LOCKSTEP_TRY(const auto there, names_in(order_.place));
    if (!there.empty()) {
      done_.moved_aside = aside_;
      LOCKSTEP_CHECK(make(aside_));
      for (const std::string& name : there) {
        LOCKSTEP_CHECK(move(join(order_.place, name), join(aside_, name)));
      }
    }
    LOCKSTEP_TRY(const auto made, names_in(staged_));
    for (const std::string& name : made) {
      LOCKSTEP_CHECK(move(join(staged_, name), join(order_.place, name)));
    }
    LOCKSTEP_TRY(const auto root, root_entry());
    LOCKSTEP_TRY(const Wanted metadata, wanted_of(root));
    if (auto put = put_metadata(hdfs_, order_.place, root, metadata, false); !put) {
      return write_error(put.error(), "set the metadata of", order_.place);
    }
    return clear();
  }

  Result<Entry> root_entry() {
    LOCKSTEP_TRY(const auto cursor, source_.entries());
    LOCKSTEP_TRY(auto root, cursor->next());
    if (!root) return make_error(ErrorCode::version_missing, "the version holds nothing");
    return std::move(*root);
  }

  Result<void> clear() {
    auto gone = hdfs_.remove(staged_);
    if (!gone) return write_error(gone.error(), "remove", staged_);
    return {};
  }

  WebHdfs& hdfs_;
  HdfsSource& source_;
  const Context& context_;
  const RestoreOrder& order_;
  std::string staged_;
  std::string aside_;
  Done done_;
  std::vector<std::byte> piece_;
};

}  // namespace

Result<Done> restore_tree(WebHdfs& hdfs, HdfsSource& source, const Context& context,
                          const RestoreOrder& order, UtcNanos now) {
  if (!order.path.empty() && !component::path_is_clean(order.path)) {
    return make_error(ErrorCode::usage, "the path must be relative to the data set's root",
                      order.path);
  }
  return Restore(hdfs, source, context, order, now).run();
}

}  // namespace lockstep::hdfs
