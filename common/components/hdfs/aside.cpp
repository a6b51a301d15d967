#include "common/components/hdfs/aside.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/components/hdfs/snapshot_names.hpp"
#include "common/components/hdfs/staging.hpp"

namespace lockstep::hdfs {

Result<bool> differs(WebHdfs& hdfs, const std::string& directory, const std::string& snapshot) {
  auto differences = hdfs.differences(directory, snapshot, "");
  if (!differences) {
    return to_error(differences.error(), ErrorCode::target_write, "compare with " + snapshot,
                    directory);
  }
  return std::any_of(differences->begin(), differences->end(),
                     [](const Difference& one) { return !one.path.empty(); });
}

Result<std::string> keep_aside(WebHdfs& hdfs, const component::DataSet& set,
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
    LOCKSTEP_TRY(const bool more, differs(hdfs, directory, name));
    if (!more) return join(directory, ".snapshot/" + name);
  }
}

Result<Found> look_at_directory(WebHdfs& hdfs, const component::DataSet& set,
                                const std::string& base) {
  const std::string& directory = set.place.location;
  LOCKSTEP_TRY(const auto mark, read_mark(hdfs, directory));
  LOCKSTEP_TRY(const auto newest, newest_version(hdfs, set));
  if (!newest) return Found::as_base;  // it is empty: nothing else is taken for a target
  if (is_unfinished(mark, set.id, newest)) return Found::as_left;
  LOCKSTEP_TRY(bool changed, differs(hdfs, directory, newest->name));
  if (changed && !base.empty() && base != newest->name) {
    LOCKSTEP_TRY(changed, differs(hdfs, directory, base));
  }
  if (!changed) return base == newest->name ? Found::as_base : Found::as_left;
  return newest->use == Use::pin ? Found::was_source : Found::changed;
}

}  // namespace lockstep::hdfs
