#include "common/components/hdfs/aside.hpp"

#include <utility>
#include <vector>

#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/mark.hpp"
#include "common/components/hdfs/snapshot_names.hpp"

namespace lockstep::hdfs {

namespace {

// Whoever changes content moves its time.
bool same(const std::optional<component::Entry>& a, const std::optional<component::Entry>& b) {
  if (!a || !b) return !a && !b;
  return same_metadata(*a, *b);
}

}  // namespace

Result<Departure> departure_from(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                                 const std::string& snapshot) {
  auto differences = hdfs.differences(directory, snapshot, "");
  if (!differences) {
    return to_error(differences.error(), ErrorCode::target_write, "compare with " + snapshot,
                    directory);
  }
  const std::vector<Touched> places = touched_by(std::move(*differences));
  Changes now(hdfs, crew, directory, places, 0, ErrorCode::target_write);
  Changes then(hdfs, crew, join(directory, ".snapshot/" + snapshot), places, 0,
               ErrorCode::target_write);
  Departure departure = Departure::none;
  for (;;) {
    auto read = now.next();
    if (!read && read.error().code == ErrorCode::source_special) {  // never carried
      return Departure::content;
    }
    LOCKSTEP_TRY(const auto here, std::move(read));
    LOCKSTEP_TRY(const auto there, then.next());
    if (!here && !there) return departure;
    if (!here || !there || here->path != there->path) return Departure::content;
    const bool equal = same(here->now, there->now);
    const bool root = here->path.empty();
    if (!root && !equal) return Departure::content;
    if (!root || !equal) departure = Departure::slight;
  }
}

Result<std::string> keep_aside(WebHdfs& hdfs, Crew& crew, const component::DataSet& set,
                               const std::string& run) {
  const std::string& directory = set.place.location;
  for (int number = 1;; ++number) {
    const std::string name =
        snapshot_name(Use::aside, set.id, number == 1 ? run : run + "." + std::to_string(number));
    auto kept = hdfs.create_snapshot(directory, name, hdfs.settings().patience);
    if (kept) return join(directory, ".snapshot/" + name);
    if (kept.error().trouble != Trouble::exists) {
      return to_error(kept.error(), ErrorCode::target_write, "keep what is there", directory);
    }
    LOCKSTEP_TRY(const Departure since, departure_from(hdfs, crew, directory, name));
    if (since != Departure::content) return join(directory, ".snapshot/" + name);
  }
}

Result<Found> look_at_directory(WebHdfs& hdfs, Crew& crew, const component::DataSet& set,
                                const std::string& base) {
  const std::string& directory = set.place.location;
  LOCKSTEP_TRY(const auto newest, newest_version(hdfs, set));
  if (!newest) return Found::as_left;  // nothing else than ours is taken for a target
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs, directory));
  LOCKSTEP_TRY(const bool unfinished, is_unfinished(hdfs, set, mark));
  if (unfinished) return Found::as_left;
  LOCKSTEP_TRY(Departure since, departure_from(hdfs, crew, directory, newest->name));
  // Where the directory does not show what it names, applications may have set times, which no
  // difference tells.
  const auto run = run_of(Use::point, set.id, newest->name);
  const bool shown = mark && run && marks_run(*mark, set.id, *run);
  if (since == Departure::none && shown && base == newest->name) return Found::as_base;
  if (since == Departure::content && !base.empty() && base != newest->name) {
    LOCKSTEP_TRY(since, departure_from(hdfs, crew, directory, base));
  }
  if (since != Departure::content) return Found::as_left;
  return newest->use == Use::pin ? Found::was_source : Found::changed;
}

}  // namespace lockstep::hdfs
