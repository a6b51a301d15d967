// A transfer without a stream: what the sender reads is handed to the staging.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/unit/sqlite/world.hpp"

namespace lockstep::sqlite_test {

inline component::Entry entry_of(component::Source& source) {
  const auto cursor = good(source.entries());
  const auto entry = good(cursor->next());
  REQUIRE(entry.has_value());
  REQUIRE_FALSE(good(cursor->next()).has_value());
  return *entry;
}

// Writes [offset, offset + length) of the entry begun; bytes sent.
inline Result<std::uint64_t> send(component::EntryReader& reader, component::Staging& staging,
                                  component::Extent extent) {
  std::vector<std::byte> buffer(100'000);  // not a multiple of a page, on purpose
  for (std::uint64_t done = 0; done < extent.length;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), extent.length - done));
    LOCKSTEP_TRY(const std::size_t got,
                 reader.read(extent.offset + done, std::span(buffer).first(wanted)));
    REQUIRE(got == wanted);
    LOCKSTEP_CHECK(staging.write(extent.offset + done, std::span(buffer).first(got)));
    done += got;
  }
  return extent.length;
}

struct Sent {
  component::Version version;
  std::uint64_t bytes = 0;
};

// With bases: `base` is the sender's, `base_there` the receiver's version of the same content.
inline Result<Sent> transfer(World& from, const component::Version& version, World& to,
                             const component::DataSet& target, const component::Context& context,
                             const component::Version* base = nullptr,
                             const component::Version* base_there = nullptr) {
  const auto source = good(from.sqlite->sources()->open(version));
  const component::Entry entry = entry_of(*source);
  const auto reader = good(source->open(entry));
  component::StageRequest request{target, {}, false};
  if (base_there != nullptr) request.base = *base_there;
  LOCKSTEP_TRY(const auto staging, to.target().stage(context, request));
  Sent sent;
  const auto apply = [&]() -> Result<void> {
    if (base == nullptr) {
      LOCKSTEP_CHECK(staging->begin(entry, component::Action::create));
      LOCKSTEP_TRY(sent.bytes, send(*reader, *staging, {0, entry.size}));
    } else {
      LOCKSTEP_TRY(const auto runs, source->changed_extents(entry, *base));
      REQUIRE(runs.has_value());
      const auto base_source = good(from.sqlite->sources()->open(*base));
      const std::uint64_t smaller = std::min(entry.size, entry_of(*base_source).size);
      LOCKSTEP_CHECK(staging->begin(entry, component::Action::patch));
      std::uint64_t end = 0;
      for (const auto& run : *runs) {
        CHECK(run.length > 0);
        CHECK((run.offset > end || (run.offset == 0 && end == 0)));  // sorted and disjoint
        end = run.offset + run.length;
        CHECK(end <= smaller);
        LOCKSTEP_TRY(const auto bytes, send(*reader, *staging, run));
        sent.bytes += bytes;
      }
      LOCKSTEP_TRY(const auto tail, send(*reader, *staging, {smaller, entry.size - smaller}));
      sent.bytes += tail;
    }
    return staging->finish();
  };
  if (auto applied = apply(); !applied) {
    good(staging->abandon());
    return applied.error();
  }
  LOCKSTEP_CHECK(staging->checkpoint());
  auto sealed = staging->seal();
  if (!sealed) {
    good(staging->abandon());
    return sealed.error();
  }
  sent.version = *sealed;
  return sent;
}

inline component::Version pin_now(World& world, const component::DataSet& set,
                                  const std::string& run) {
  const auto armed = good(world.snapshots().arm(run_named(run), set, {}));
  good(armed->raise_fence(seconds(5)));
  good(armed->pin());
  CHECK(good(armed->lower_fence()).held);
  return good(armed->settle(run_named(run)));
}

}  // namespace lockstep::sqlite_test
