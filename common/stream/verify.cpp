#include "common/stream/verify.hpp"

#include <xxhash.h>

#include <algorithm>

#include "common/stream/manifest_reader.hpp"
#include "common/stream/tree_digest.hpp"

namespace lockstep::stream {
namespace {

using component::EntryKind;

Error cancelled(const char* what) {
  return make_error(ErrorCode::cancelled, std::string(what) + " was stopped");
}

// Reads a whole file and makes its content digest.
class ContentHasher {
 public:
  Result<Digest256> digest(component::Source& source, const Entry& entry,
                           const std::stop_token& stop) {
    LOCKSTEP_TRY(const auto reader, source.open(entry));
    ContentDigest content(entry.size);
    for (std::uint64_t at = 0; at < entry.size;) {
      if (stop.stop_requested()) return cancelled("reading");
      const auto want =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), entry.size - at));
      LOCKSTEP_TRY(const std::size_t got, reader->read(at, std::span(buffer_).first(want)));
      if (got != want)
        return make_error(ErrorCode::source_read, "the file is shorter than its size says",
                          entry.path);
      for (std::size_t i = 0; i < got; i += kLeaf)
        content.add(xxh3_128(std::span(buffer_).subspan(i, std::min<std::size_t>(kLeaf, got - i))));
      at += got;
    }
    return content.finish();
  }

 private:
  Buffer buffer_ = Buffer(16 * kLeaf);
};

bool sampled(const Entry& entry, const VerifyOptions& options) {
  if (options.sample >= 100) return true;
  return XXH3_64bits_withSeed(entry.path.data(), entry.path.size(), options.seed) % 100 <
         options.sample;
}

std::string difference(const Entry& kept, const Entry& seen) {
  if (kept.kind != seen.kind) return "is of another kind";
  if (kept.kind == EntryKind::hard_link)
    return kept.link_target == seen.link_target ? "" : "is a link to another file";
  if (kept.kind != EntryKind::symlink && kept.mode != seen.mode) return "has another mode";
  if (kept.uid != seen.uid || kept.gid != seen.gid) return "has another owner";
  if (kept.size != seen.size) return "has another size";
  if (kept.mtime_ns != seen.mtime_ns) return "has another mtime";
  if (kept.link_target != seen.link_target) return "points elsewhere";
  if (kept.device != seen.device) return "is another device";
  if (kept.xattrs != seen.xattrs) return "has other extended attributes";
  return "";
}

class Verifier {
 public:
  Verifier(component::Source& source, ManifestReader manifest, const VerifyOptions& options)
      : source_(source), manifest_(std::move(manifest)), options_(options) {}

  Result<VerifyOutcome> run() {
    LOCKSTEP_TRY(const auto cursor, source_.entries());
    LOCKSTEP_CHECK(advance());
    while (true) {
      if (options_.stop.stop_requested()) return cancelled("verifying");
      LOCKSTEP_TRY(auto seen, cursor->next());
      if (!seen) break;
      LOCKSTEP_CHECK(look_at(*seen));
      if (options_.progress) options_.progress(out_.entries, out_.bytes);
    }
    while (manifest_.at() == ManifestReader::At::entry) {
      problem(manifest_.entry(), "is missing");
      LOCKSTEP_CHECK(advance());
    }
    while (tree_.depth() > 0) tree_.leave();
    out_.root = tree_.root();
    out_.expected_root = manifest_.summary().root;
    return std::move(out_);
  }

 private:
  Result<void> advance() {
    LOCKSTEP_CHECK(manifest_.next_entry());
    return {};
  }

  void problem(const Entry& entry, const std::string& what) {
    ++out_.problem_count;
    if (out_.problems.size() < options_.max_problems)
      out_.problems.push_back("/" + entry.path + " " + what);
  }

  // As the manifest knows the content: by its leaves, or by its store's checksum.
  Result<Digest256> read_content(const Entry& seen, const std::string& sum) {
    if (sum.empty()) return hasher_.digest(source_, seen, options_.stop);
    LOCKSTEP_TRY(const std::string made, source_.made_sum(seen, sum, options_.stop));
    return content_of_sum(seen.size, made);
  }

  Result<void> look_at(const Entry& seen) {
    ++out_.entries;
    while (manifest_.at() == ManifestReader::At::entry &&
           component::path_less(manifest_.entry().path, seen.path)) {
      problem(manifest_.entry(), "is missing");
      LOCKSTEP_CHECK(advance());
    }
    const bool known =
        manifest_.at() == ManifestReader::At::entry && manifest_.entry().path == seen.path;
    while (tree_.must_leave(seen.path)) tree_.leave();
    if (!tree_.fits(seen.path))
      return make_error(ErrorCode::source_read, "the component lists entries out of order",
                        seen.path);
    Digest256 content{};
    if (!known) {
      problem(seen, "is not in the manifest");
    } else {
      const std::string differs = difference(manifest_.entry(), seen);
      if (!differs.empty()) problem(seen, differs);
      LOCKSTEP_TRY(const ManifestReader::Tail tail, manifest_.tail());
      content = tail.content;
    }
    if (seen.kind == EntryKind::regular && (!known || sampled(seen, options_))) {
      auto read = read_content(seen, known ? manifest_.entry().sum : std::string());
      if (!read && read.error().code == ErrorCode::cancelled) return std::move(read).error();
      if (!read)
        problem(seen, "cannot be read: " + read.error().what);
      else if (known && *read != content && manifest_.entry().size == seen.size)
        problem(seen, "has other content");
      if (read) {
        content = *read;
        out_.bytes += seen.size;
      }
    }
    if (seen.kind == EntryKind::directory)
      tree_.enter(seen);
    else
      tree_.add(seen.path, entry_digest(seen, content));
    return known ? advance() : Result<void>{};
  }

  component::Source& source_;
  ManifestReader manifest_;
  const VerifyOptions& options_;
  ContentHasher hasher_;
  TreeDigest tree_;
  VerifyOutcome out_;
};

}  // namespace

Result<VerifyOutcome> verify_version(os::Disk& disk, component::Source& source,
                                     const std::string& manifest, const VerifyOptions& options) {
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open(disk, manifest));
  return Verifier(source, std::move(reader), options).run();
}

}  // namespace lockstep::stream
