#include "common/components/hdfs/file_times.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "common/components/hdfs/listing.hpp"

namespace lockstep::hdfs {

namespace {

struct Wrong {
  std::string path;
  std::int64_t modified_ms;
};

// Of one directory; the directories in it are added to `below`. Both lists are sorted by name.
std::vector<Wrong> wrong_times(const std::string& path, const std::vector<Status>& now,
                               const std::vector<Status>& then, std::vector<std::string>& below) {
  std::vector<Wrong> out;
  std::size_t at = 0;
  for (const Status& status : now) {
    while (at < then.size() && then[at].name < status.name) ++at;
    if (at == then.size() || then[at].name != status.name) continue;
    if (status.kind == Status::Kind::directory) {
      below.push_back(join(path, status.name));
    } else if (status.modified_ms != then[at].modified_ms) {
      out.push_back({join(path, status.name), then[at].modified_ms});
    }
  }
  return out;
}

}  // namespace

Result<void> bring_back_times(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                              const std::string& from) {
  const std::string root = join(directory, ".snapshot/" + from);
  std::vector<std::string> below{""};
  while (!below.empty()) {
    const std::string path = std::move(below.back());
    below.pop_back();
    LOCKSTEP_TRY(const auto now, list_all(hdfs, join(directory, path), ErrorCode::target_write));
    LOCKSTEP_TRY(const auto then, list_all(hdfs, join(root, path), ErrorCode::target_write));
    const std::vector<Wrong> wrong = wrong_times(path, now, then, below);
    std::vector<std::optional<Error>> failed(wrong.size());
    crew.each(wrong.size(), [&](std::size_t i) {
      const std::string whole = join(directory, wrong[i].path);
      if (auto set = hdfs.set_modified(whole, wrong[i].modified_ms); !set) {
        failed[i] = to_error(set.error(), ErrorCode::target_write, "set the time of", whole);
      }
    });
    for (auto& error : failed) {
      if (error) return std::move(*error);
    }
  }
  return {};
}

}  // namespace lockstep::hdfs
