// What an engine brought (component/carries.hpp) and the staging is to adopt: where it lies, and
// how it goes away. One directory for each attempt, beside the target directory and hidden:
//   /standby/.lockstep-carried.<service>.<set>.<run>.<attempt>
//
// Thread rule: functions share nothing but `hdfs`.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

// "<run>.<attempt>".
std::string attempt_of(const std::string& run, int attempt);
std::string attempt_of(const component::Context& context);
std::string run_of_attempt(const std::string& attempt);

std::string carried_to(const component::DataSet& target, const component::Context& context);
// Whether an attempt of that run brings things there.
bool is_carried_to(const std::string& path, const std::string& place, const component::SetId& id,
                   const std::string& run);
// "<run>.<attempt>" of each such directory of the set that is there.
Result<std::vector<std::string>> list_carried(WebHdfs& hdfs, const component::DataSet& target);
Result<void> remove_carried_of(WebHdfs& hdfs, const component::DataSet& target,
                               const std::string& attempt);
// What an earlier attempt of the same run had brought is this one's: the version is the same. What
// other runs left is removed.
Result<void> take_over_carried(WebHdfs& hdfs, const component::DataSet& target,
                               const component::Context& context);
Result<void> remove_carried(WebHdfs& hdfs, const component::DataSet& target);
// Moves what `directory` holds back to where it was brought, where it is not any more: what an
// attempt had adopted it may adopt again. What of it was not brought is left to be undone.
Result<void> give_back_carried(WebHdfs& hdfs, const std::string& directory,
                               const std::string& carried, const std::stop_token& stop);

}  // namespace lockstep::hdfs
