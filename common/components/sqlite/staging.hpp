// Staging: one attempt at receiving a database.
//
// Its file comes with the first change, as a reflink or copy of the base. Where none comes, the
// version is the base's file under another name.
#pragma once

#include <optional>
#include <string>

#include "common/components/one_file/staging.hpp"
#include "common/components/sqlite/hold.hpp"

namespace lockstep::sqlite {

class DatabaseStaging final : public one_file::FileStaging {
 public:
  DatabaseStaging(os::Disk& disk, component::Context context, component::SetId id,
                  one_file::StagingPlace place, std::optional<Native> base);

 private:
  Result<void> start_from_base() override;
  Result<void> keep_base() override;
  Result<void> give_metadata(const component::Entry& entry) override;
  Result<void> check_file() override;
  component::Version version_in(const std::string& hold) const override;

  component::SetId id_;
  std::optional<Native> base_;
};

}  // namespace lockstep::sqlite
