#include "common/stream/forecast.hpp"

#include <algorithm>

#include "common/os/give_way.hpp"
#include "common/stream/manifest_reader.hpp"

namespace lockstep::stream {
namespace {

using component::EntryKind;
using At = ManifestReader::At;

// Counting is for who watches, and never in the way of what is counted (nice(1)).
constexpr int kOfWhoWatches = 19;

// The base's manifest beside the walk: both in manifest order.
class Base {
 public:
  Result<void> open(os::Disk& disk, const std::string& manifest) {
    if (manifest.empty()) return {};
    LOCKSTEP_TRY(ManifestReader opened, ManifestReader::open(disk, manifest));
    reader_ = std::move(opened);
    return advance();
  }

  // The base's entry of that path; null where it has none. Paths are asked for in order.
  Result<const Entry*> find(const std::string& path) {
    while (at_entry() && component::path_less(reader_->entry().path, path))
      LOCKSTEP_CHECK(advance());
    const bool found = at_entry() && reader_->entry().path == path;
    return found ? &reader_->entry() : nullptr;
  }
  bool has_native() const { return reader_ && reader_->has_native(); }

 private:
  bool at_entry() const { return reader_ && reader_->at() == At::entry; }
  Result<void> advance() {
    LOCKSTEP_CHECK(reader_->next_entry());
    return {};
  }

  std::optional<ManifestReader> reader_;
};

std::uint64_t content_of(const Entry& entry) {
  std::uint64_t holes = 0;
  for (const component::Extent& hole : entry.holes) holes += hole.length;
  return entry.size - std::min(entry.size, holes);
}

}  // namespace

Result<Forecast> forecast(os::Disk& disk, component::Source& source,
                          const std::string& base_manifest, const std::stop_token& stop) {
  Base base;
  LOCKSTEP_CHECK(base.open(disk, base_manifest));
  LOCKSTEP_TRY(const auto cursor, source.counted());
  Forecast out;
  while (true) {
    if (stop.stop_requested()) return make_error(ErrorCode::cancelled, "counting was stopped");
    LOCKSTEP_TRY(auto entry, cursor->next());
    if (!entry) return out;
    if (entry->kind != EntryKind::regular) continue;
    LOCKSTEP_TRY(const Entry* const before, base.find(entry->path));
    const bool was_file = before != nullptr && before->kind == EntryKind::regular;
    // Whoever changes an xattr changes the `native` too.
    if (was_file) entry->xattrs = before->xattrs;
    if (was_file && base.has_native() && before->size == entry->size &&
        source.unchanged(*before, *entry))
      continue;
    out.bytes += content_of(*entry);
    out.at_most = out.at_most || was_file;
  }
}

Forecaster::Forecaster(os::Disk& disk, component::Source& source, std::string base_manifest)
    : thread_([this, &disk, &source,
               base_manifest = std::move(base_manifest)](const std::stop_token& stop) {
        os::give_way(kOfWhoWatches);
        const auto counted = forecast(disk, source, base_manifest, stop);
        if (!counted) return;
        const std::scoped_lock lock(mutex_);
        result_ = *counted;
      }) {}

std::optional<Forecast> Forecaster::result() const {
  const std::scoped_lock lock(mutex_);
  return result_;
}

}  // namespace lockstep::stream
