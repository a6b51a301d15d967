#include "common/components/hdfs/carried.hpp"

#include <algorithm>

#include "common/components/hdfs/answers.hpp"
#include "common/components/hdfs/listing.hpp"

namespace lockstep::hdfs {

namespace {

std::string carried_prefix(const component::SetId& id) {
  return ".lockstep-carried." + id.service + "." + id.set + ".";
}

}  // namespace

std::string attempt_of(const std::string& run, int attempt) {
  return run + "." + std::to_string(attempt);
}

std::string attempt_of(const component::Context& context) {
  return attempt_of(context.run, context.attempt);
}

std::string run_of_attempt(const std::string& attempt) {
  return attempt.substr(0, attempt.rfind('.'));
}

std::string carried_to(const component::DataSet& target, const component::Context& context) {
  return join(parent_of(target.place.location), carried_prefix(target.id) + attempt_of(context));
}

bool is_carried_to(const std::string& path, const std::string& place, const component::SetId& id,
                   const std::string& run) {
  const std::string prefix = join(parent_of(place), carried_prefix(id) + run + ".");
  return path.size() > prefix.size() && path.starts_with(prefix) &&
         path.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

Result<std::vector<std::string>> list_carried(WebHdfs& hdfs, const component::DataSet& target) {
  const std::string above = parent_of(target.place.location);
  const std::string prefix = carried_prefix(target.id);
  auto names = list_names(hdfs, above, prefix);
  if (!names) return to_error(names.error(), ErrorCode::target_write, "list", above);
  for (std::string& name : *names) name.erase(0, prefix.size());
  return std::move(*names);
}

Result<void> remove_carried_of(WebHdfs& hdfs, const component::DataSet& target,
                               const std::string& attempt) {
  const std::string path =
      join(parent_of(target.place.location), carried_prefix(target.id) + attempt);
  auto gone = hdfs.remove(path);
  if (gone || gone.error().trouble == Trouble::missing) return {};
  return to_error(gone.error(), ErrorCode::target_write, "remove", path);
}

Result<void> remove_carried(WebHdfs& hdfs, const component::DataSet& target) {
  LOCKSTEP_TRY(const auto all, list_carried(hdfs, target));
  for (const std::string& attempt : all) LOCKSTEP_CHECK(remove_carried_of(hdfs, target, attempt));
  return {};
}

Result<void> take_over_carried(WebHdfs& hdfs, const component::DataSet& target,
                               const component::Context& context) {
  const std::string own = carried_to(target, context);
  LOCKSTEP_TRY(const auto all, list_carried(hdfs, target));
  bool there = std::find(all.begin(), all.end(), attempt_of(context)) != all.end();
  for (const std::string& attempt : all) {
    if (attempt == attempt_of(context)) continue;
    if (!there && attempt.starts_with(context.run + ".")) {
      const std::string path =
          join(parent_of(target.place.location), carried_prefix(target.id) + attempt);
      there = bool(hdfs.rename(path, own));
      if (there) continue;
    }
    LOCKSTEP_CHECK(remove_carried_of(hdfs, target, attempt));
  }
  return {};
}

Result<void> give_back_carried(WebHdfs& hdfs, const std::string& directory,
                               const std::string& carried, const std::stop_token& stop) {
  std::string after;
  for (bool more = true; more;) {
    auto page = hdfs.list(directory, after);
    if (!page) return to_error(page.error(), ErrorCode::target_write, "list", directory);
    more = page->more && !page->statuses.empty();
    for (const Status& status : page->statuses) {
      if (stop.stop_requested()) return make_error(ErrorCode::cancelled, "giving back was stopped");
      const std::string path = join(directory, status.name);
      const std::string back = join(carried, status.name);
      after = status.name;
      auto there = hdfs.status(back);
      if (there) {
        const bool both = status.kind == Status::Kind::directory && there->kind == status.kind;
        if (both) LOCKSTEP_CHECK(give_back_carried(hdfs, path, back, stop));
        continue;
      }
      Failure failure = std::move(there).error();
      if (failure.trouble == Trouble::missing) {
        auto moved = hdfs.rename(path, back);
        if (moved) continue;
        failure = std::move(moved).error();
      }
      return to_error(failure, ErrorCode::target_write, "give back", path);
    }
  }
  return {};
}

}  // namespace lockstep::hdfs
