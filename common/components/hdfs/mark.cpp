#include "common/components/hdfs/mark.hpp"

#include <utility>

#include "common/components/hdfs/answers.hpp"
#include "common/components/hdfs/carried.hpp"
#include "common/components/hdfs/snapshot_names.hpp"

namespace lockstep::hdfs {

namespace {

constexpr const char* kMark = "user.lockstep.attempt";

std::string own_marks(const component::SetId& id) { return id.service + "/" + id.set + "/"; }

}  // namespace

std::string mark_of(const component::SetId& id, const std::string& attempt) {
  return own_marks(id) + attempt;
}

std::optional<std::string> marked_attempt(const std::string& mark, const component::SetId& id) {
  const std::string own = own_marks(id);
  if (!mark.starts_with(own)) return std::nullopt;
  return mark.substr(own.size());
}

bool marks_run(const std::string& mark, const component::SetId& id, const std::string& run) {
  return mark.starts_with(own_marks(id) + run + ".");
}

Result<std::optional<std::string>> read_mark(WebHdfs& hdfs, const std::string& directory) {
  auto xattrs = hdfs.xattrs(directory);
  if (!xattrs) {
    if (xattrs.error().trouble == Trouble::missing) return std::optional<std::string>();
    return to_error(xattrs.error(), ErrorCode::target_write, "read the attributes", directory);
  }
  for (component::Xattr& xattr : *xattrs) {
    if (xattr.name == kMark) return std::optional<std::string>(std::move(xattr.value));
  }
  return std::optional<std::string>();
}

Result<void> put_mark(WebHdfs& hdfs, const std::string& directory, const std::string& mark) {
  auto put = hdfs.set_xattr(directory, {kMark, mark}, false);
  if (put) return {};
  return to_error(put.error(), ErrorCode::target_write, "mark the directory", directory);
}

Result<void> clear_mark(WebHdfs& hdfs, const std::string& directory) {
  auto cleared = hdfs.remove_xattr(directory, kMark);
  if (cleared || cleared.error().trouble == Trouble::missing) return {};
  return to_error(cleared.error(), ErrorCode::target_write, "unmark the directory", directory);
}

Result<bool> is_unfinished(WebHdfs& hdfs, const component::DataSet& set,
                           const std::optional<std::string>& mark) {
  const auto attempt = mark ? marked_attempt(*mark, set.id) : std::nullopt;
  if (!attempt) return false;
  LOCKSTEP_TRY(const auto version, find_version(hdfs, Use::point, set, run_of_attempt(*attempt)));
  return !version;
}

}  // namespace lockstep::hdfs
