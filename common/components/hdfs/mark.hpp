// Mark: the attribute user.lockstep.attempt of a target directory, which names the attempt whose
// work the directory shows.
//
// It is put before an attempt's first change, and stays when its version is made, until another
// attempt's mark or an application (Target::make_live) takes its place.
//
// Thread rule: functions share nothing but `hdfs`.
#pragma once

#include <optional>
#include <string>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

// "<service>/<set>/<run>.<attempt>", as the attribute holds it; attempt 0 of what was brought back
// to the run's version.
std::string mark_of(const component::SetId& id, const std::string& attempt);
// "<run>.<attempt>"; nothing where the mark is another set's.
std::optional<std::string> marked_attempt(const std::string& mark, const component::SetId& id);
bool marks_run(const std::string& mark, const component::SetId& id, const std::string& run);

// Errors of all: target-write.
Result<std::optional<std::string>> read_mark(WebHdfs& hdfs, const std::string& directory);
Result<void> put_mark(WebHdfs& hdfs, const std::string& directory, const std::string& mark);
Result<void> clear_mark(WebHdfs& hdfs, const std::string& directory);
// Whether what the directory shows is of an attempt of the set that has no version.
Result<bool> is_unfinished(WebHdfs& hdfs, const component::DataSet& set,
                           const std::optional<std::string>& mark);

}  // namespace lockstep::hdfs
