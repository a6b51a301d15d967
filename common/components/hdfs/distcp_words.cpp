#include "common/components/hdfs/distcp_words.hpp"

namespace lockstep::hdfs {

bool looks_like_a_pattern(const std::string& path) {
  return path.find_first_of("*?[]{}\\") != std::string::npos;
}

std::vector<std::string> distcp_command(const JobSettings& settings, const JobTags& tags,
                                        const std::string& name, const std::string& from,
                                        const std::string& to) {
  std::vector<std::string> out =
      job_command(settings, "org.apache.hadoop.tools.DistCp",
                  tags.attempt + "," + tags.run + "," + tags.place, name);
  // Done again it copies what is missing or differs. Blocks and checksums are made as they were, so
  // that they can be compared (-pbc; -pr spares a change later); the comparison is ours, file by
  // file, which also knows what to do about one that differs.
  out.insert(out.end(),
             {"-async", "-update", "-skipcrccheck", "-prbc", "-m", std::to_string(settings.maps),
              "-bandwidth", std::to_string(settings.bandwidth), from, to});
  return out;
}

}  // namespace lockstep::hdfs
