// Goes through a whole pin, or a whole staging, so that a test can kill it at a failpoint.
//
// pinner pin DATABASE RUN | pinner stage FROM-DATABASE TO RUN (pins FROM first)
#include <cstdio>
#include <cstring>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/sqlite/sqlite.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"

using namespace lockstep;
using namespace lockstep::component;

namespace {

int fail(const Error& error) {
  std::fprintf(stderr, "pinner: %s\n", error.text().c_str());
  return 1;
}

Result<Version> pin(Component& sqlite, const Context& context, const DataSet& set) {
  LOCKSTEP_TRY(auto armed, sqlite.snapshots()->arm(context, set, {}));
  LOCKSTEP_CHECK(armed->raise_fence(seconds(5)));
  LOCKSTEP_CHECK(armed->pin());
  LOCKSTEP_CHECK(armed->lower_fence());
  return armed->settle(context);
}

Result<void> stage(Component& sqlite, const Context& context, const Version& from,
                   const DataSet& to) {
  LOCKSTEP_TRY(auto source, sqlite.sources()->open(from));
  LOCKSTEP_TRY(auto cursor, source->entries());
  LOCKSTEP_TRY(auto entry, cursor->next());
  LOCKSTEP_TRY(auto reader, source->open(*entry));
  LOCKSTEP_TRY(auto staging, sqlite.target()->stage(context, StageRequest{to, {}, false}));
  LOCKSTEP_CHECK(staging->begin(*entry, Action::create));
  std::vector<std::byte> buffer(1 << 20);
  for (std::uint64_t at = 0; at < entry->size;) {
    LOCKSTEP_TRY(const std::size_t got, reader->read(at, buffer));
    LOCKSTEP_CHECK(staging->write(at, std::span(buffer).first(got)));
    at += got;
  }
  LOCKSTEP_CHECK(staging->finish());
  LOCKSTEP_CHECK(staging->checkpoint());
  LOCKSTEP_CHECK(staging->seal());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const auto disk = os::make_kernel_disk();
  const auto processes = os::make_system_processes();
  const auto clock = make_system_clock();
  const auto sqlite = sqlite::make_sqlite({*disk, *processes, *clock, "/tmp"});
  Context context;
  context.run = argv[argc - 1];
  DataSet set;
  set.id = {"orders", "ledger"};
  set.component = "sqlite";
  set.place.location = argv[2];
  auto version = pin(*sqlite, context, set);
  if (!version) return fail(version.error());
  if (std::strcmp(argv[1], "stage") == 0) {
    DataSet to = set;
    to.place.location = argv[3];
    if (auto done = stage(*sqlite, context, *version, to); !done) return fail(done.error());
  }
  return 0;
}
