#include "common/component/source.hpp"

#include "common/error/error.hpp"

namespace lockstep::component {

namespace {

Error none(const Entry& entry) {
  return make_error(ErrorCode::not_supported, "this store keeps no checksums of files", entry.path);
}

}  // namespace

Result<std::string> Source::kept_sum(const Entry& entry) { return none(entry); }

Result<std::string> Source::made_sum(const Entry& entry, const std::string&,
                                     const std::stop_token&) {
  return none(entry);
}

}  // namespace lockstep::component
