// Staging: one attempt at receiving a document of user data. It stays below kMostBytes, and its
// mode is 0600, whatever the peer says; the digest tells of another one.
#pragma once

#include <optional>

#include "common/components/one_file/staging.hpp"
#include "common/components/users/hold.hpp"

namespace lockstep::user_data {

class DocumentStaging final : public one_file::FileStaging {
 public:
  DocumentStaging(os::Disk& disk, component::Context context, component::SetId id,
                  one_file::StagingPlace place, std::optional<Native> base);

  Result<void> begin(const component::Entry& entry, component::Action action) override;

 private:
  Result<void> start_from_base() override;
  Result<void> give_metadata(const component::Entry& entry) override;
  component::Version version_in(const std::string& hold) const override;

  component::SetId id_;
  std::optional<Native> base_;
};

}  // namespace lockstep::user_data
