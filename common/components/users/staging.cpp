#include "common/components/users/staging.hpp"

namespace lockstep::user_data {

using component::Action;
using component::Entry;
using component::Version;

DocumentStaging::DocumentStaging(os::Disk& disk, component::Context context, component::SetId id,
                                 one_file::StagingPlace place, std::optional<Native> base)
    : FileStaging(disk, kHeld, std::move(context), std::move(place)),
      id_(std::move(id)),
      base_(std::move(base)) {}

Result<void> DocumentStaging::begin(const Entry& entry, Action action) {
  if (entry.size > kMostBytes) {
    return make_error(ErrorCode::stream_hostile, "no document of user data is as large", file());
  }
  return FileStaging::begin(entry, action);
}

Result<void> DocumentStaging::start_from_base() {
  if (!base_) return no_base();
  LOCKSTEP_TRY(const std::string document, read_document(disk(), *base_));
  return os::write_durably(disk(), file(), document, {});
}

Result<void> DocumentStaging::give_metadata(const Entry& /*entry*/) {
  if (auto done = disk().change_mode_at(os::kCwd, file(), 0600); !done) {
    return os::write_error(done.error(), "set the mode of", file());
  }
  return {};
}

Version DocumentStaging::version_in(const std::string& hold) const {
  return user_data::version_in(hold, id_, context().run);
}

}  // namespace lockstep::user_data
