#include "common/components/hdfs/listing.hpp"

#include <algorithm>
#include <utility>

#include "common/components/hdfs/metadata.hpp"

namespace lockstep::hdfs {

using component::Entry;

namespace {

// How many inodes are described at a time.
constexpr std::size_t kBatch = 256;

Result<void> check_kind(const Status& status, const std::string& path) {
  const auto refused = [&](const char* what) {
    return make_error(ErrorCode::source_special, what, path,
                      "this version does not carry it: keep it outside the data set");
  };
  if (status.kind == Status::Kind::symlink) return refused("a symbolic link in HDFS");
  if (status.encrypted) return refused("a file or directory in an encryption zone");
  if (status.erasure_coded) return refused("an erasure-coded file or directory");
  return {};
}

Result<Entry> describe_one(WebHdfs& hdfs, const std::string& root, const std::string& path,
                           const Status& status, ErrorCode side) {
  const std::string whole = join(root, path);
  LOCKSTEP_CHECK(check_kind(status, whole));
  std::vector<std::string> acl;
  if (status.has_acl) {
    auto got = hdfs.acl(whole);
    if (!got) return to_error(got.error(), side, "read the ACL", whole);
    acl = std::move(*got);
  }
  auto xattrs = hdfs.xattrs(whole);
  if (!xattrs) return to_error(xattrs.error(), side, "read the attributes", whole);
  return to_entry(status, path, acl, *xattrs);
}

}  // namespace

Listing::Listing(WebHdfs& hdfs, Crew& crew, std::string root, std::string top, ErrorCode side)
    : hdfs_(hdfs), crew_(crew), root_(std::move(root)), top_(std::move(top)), side_(side) {}

Result<std::optional<Entry>> look_at(WebHdfs& hdfs, const std::string& root,
                                     const std::string& path, ErrorCode side) {
  const std::string whole = join(root, path);
  auto status = hdfs.status(whole);
  if (!status) {
    // Also where what should be a directory above it is a file.
    if (status.error().trouble == Trouble::missing || status.error().trouble == Trouble::exists) {
      return std::optional<Entry>();
    }
    return to_error(status.error(), side, "look at", whole);
  }
  LOCKSTEP_TRY(Entry entry, describe_one(hdfs, root, path, *status, side));
  return std::optional<Entry>(std::move(entry));
}

Result<std::vector<Status>> list_all(WebHdfs& hdfs, const std::string& directory, ErrorCode side) {
  std::vector<Status> out;
  std::string after;
  for (bool more = true; more;) {
    auto page = hdfs.list(directory, after);
    if (!page) return to_error(page.error(), side, "list the directory", directory);
    if (!page->statuses.empty()) after = page->statuses.back().name;
    more = page->more && !page->statuses.empty();
    std::move(page->statuses.begin(), page->statuses.end(), std::back_inserter(out));
  }
  std::sort(out.begin(), out.end(),
            [](const Status& a, const Status& b) { return a.name < b.name; });
  return out;
}

Result<void> Listing::enter(const std::string& path) {
  Directory directory;
  directory.path = path;
  LOCKSTEP_TRY(directory.statuses, list_all(hdfs_, join(root_, path), side_));
  way_.push_back(std::move(directory));
  return {};
}

Result<void> Listing::describe(Directory& directory) {
  directory.described = directory.position;
  const std::size_t count = std::min(kBatch, directory.statuses.size() - directory.position);
  std::vector<std::optional<Result<Entry>>> got(count);
  crew_.each(count, [&](std::size_t i) {
    const Status& status = directory.statuses[directory.position + i];
    got[i] = describe_one(hdfs_, root_, join(directory.path, status.name), status, side_);
  });
  directory.entries.clear();
  for (auto& entry : got) {
    LOCKSTEP_TRY(Entry described, std::move(*entry));
    directory.entries.push_back(std::move(described));
  }
  return {};
}

Result<std::optional<Entry>> Listing::next() {
  if (!begun_) {
    begun_ = true;
    LOCKSTEP_TRY(std::optional<Entry> top, look_at(hdfs_, root_, top_, side_));
    if (top && top->kind == component::EntryKind::directory) LOCKSTEP_CHECK(enter(top_));
    return top;
  }
  while (!way_.empty()) {
    Directory& directory = way_.back();
    if (directory.position == directory.statuses.size()) {
      way_.pop_back();
      continue;
    }
    if (directory.position >= directory.described + directory.entries.size()) {
      LOCKSTEP_CHECK(describe(directory));
    }
    Entry entry = std::move(directory.entries[directory.position - directory.described]);
    ++directory.position;
    if (entry.kind == component::EntryKind::directory) LOCKSTEP_CHECK(enter(entry.path));
    return std::optional<Entry>(std::move(entry));
  }
  return std::optional<Entry>();
}

Reply<std::vector<std::string>> list_names(WebHdfs& hdfs, const std::string& directory,
                                           const std::string& prefix) {
  std::vector<std::string> out;
  // Names are listed from one on: that is before all of the prefix.
  std::string after = prefix.substr(0, prefix.size() - 1);
  for (bool more = true; more;) {
    auto page = hdfs.list(directory, after);
    if (!page && page.error().trouble == Trouble::missing) return out;
    if (!page) return std::move(page).error();
    more = page->more && !page->statuses.empty();
    for (Status& status : page->statuses) {
      after = status.name;
      if (status.name.starts_with(prefix)) {
        out.push_back(std::move(status.name));
      } else if (status.name > prefix) {
        return out;
      }
    }
  }
  return out;
}

}  // namespace lockstep::hdfs
