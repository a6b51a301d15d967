// A hold: the directory of a store in which one version of a set that is one regular file lies.
//
//   <store>/pins/<service>/<set>/<run>/
//   <store>/versions/<service>/<set>/<run>/
//   <store>/staging/<service>/<set>/<run>.<attempt>/
// Which files lie in it says the component: plain ones, at most a handful.
#pragma once

#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/files/store.hpp"
#include "common/os/disk.hpp"

namespace lockstep::one_file {

// What a component calls its sets, and the names by which tests stop it.
struct Kind {
  const char* set;            // stands in messages: "a database"
  const char* file;           // the version's name in its hold
  const char* before_rename;  // failpoints: before and after a staging becomes a version,
  const char* after_rename;
  const char* hold_emptied;  // and between a hold's files and the hold itself
};

// "<store>/<area>/<service>/<set>/<name>"
std::string hold_path(const std::string& store, files::Area area, const component::SetId& id,
                      const std::string& name);

// A staging's name in its area: "<run>.<attempt>".
std::string staging_name(const component::Context& context);

// Whether `hold` is where a version of that set and name lies in some store. Asked before anything
// is removed: what a peer or a journal names is not believed.
bool is_place_of(const std::string& hold, const component::Version& version);

struct Hold {
  std::string path;
  std::string run;  // for which it was made
};
// All of a set in one area of one store, sorted; none where there is no such store. Error:
// source-read.
Result<std::vector<Hold>> holds_in(os::Disk& disk, const std::string& store, files::Area area,
                                   const component::SetId& id);

// Removes a hold and the files in it. Gone already: success. Errors: permission, source-read, io.
Result<void> remove_hold(os::Disk& disk, const Kind& kind, const std::string& hold);

}  // namespace lockstep::one_file
