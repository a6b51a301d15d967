// Aside: what a directory holds that no version of its set does, kept before it is undone, as a
// snapshot of that directory that nobody but a person removes:
//   <directory>/.snapshot/lockstep-before.<service>.<set>.<run>[.<n>]
#pragma once

#include <optional>
#include <string>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

// How what a directory holds differs from its snapshot. Times that were only set are not seen
// (file_times.hpp).
enum class Departure {
  none,     // nothing but our mark on it
  slight,   // in the directory's own metadata, or in what was copied back, which the NameNode takes
            // for new
  content,  // something is there, or is gone, or has other metadata
};
Result<Departure> departure_from(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                                 const std::string& snapshot);

// Keeps what `set`'s directory holds now; done again, with nothing written since, it finds that
// kept. Returns the snapshot's path.
Result<std::string> keep_aside(WebHdfs& hdfs, Crew& crew, const component::DataSet& set,
                               const std::string& run);

// How a directory is found that a set is to be received into.
enum class Found {
  as_base,     // as the base has it, which is the newest version: nothing is to be brought back
  as_left,     // as a version has it but for times and what is slight; or an attempt was at work
  changed,     // somebody wrote where nobody may
  was_source,  // its application worked there: the roles have changed since
};
// `base`: the name of the snapshot that the next attempt begins from; empty: none.
Result<Found> look_at_directory(WebHdfs& hdfs, Crew& crew, const component::DataSet& set,
                                const std::string& base);

}  // namespace lockstep::hdfs
