// Staging: one attempt at receiving a set that is one regular file.
//
// It begins with nothing on disk but its directory; the file comes with the first change, from
// nothing or from the base. Sealing makes the directory the version's by one rename. Of a version
// that was sealed before, by one that died right after, what comes again is let pass.
#pragma once

#include <optional>
#include <string>

#include "common/component/target.hpp"
#include "common/components/one_file/hold.hpp"
#include "common/os/durable.hpp"

namespace lockstep::one_file {

// Where an attempt writes, and where its version will be.
struct StagingPlace {
  std::string hold;
  std::string kept;
};

// The place of this attempt in `store`, ready to be staged in: the hold exists unless the version
// was sealed before. Without request.resume nothing of earlier attempts is left in `stores`, which
// are all in which there may be some. Errors: resume-refused, source-read, os::write_error's.
Result<StagingPlace> prepare_staging(os::Disk& disk, const Kind& kind,
                                     const component::Context& context,
                                     const component::StageRequest& request,
                                     const std::string& store,
                                     const std::vector<std::string>& stores);

// Error: no-space (fewer than `bytes_expected` are free in `store`), os::write_error's.
Result<void> check_space(os::Disk& disk, const std::string& store, std::uint64_t bytes_expected);

class FileStaging : public component::Staging {
 public:
  // `place` is of prepare_staging(); `kind` outlives this.
  FileStaging(os::Disk& disk, const Kind& kind, component::Context context, StagingPlace place);

  Result<void> begin(const component::Entry& entry, component::Action action) override;
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) final;
  Result<void> finish() final;
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) final;
  Result<void> remove(const std::string& path) final;
  Result<void> leave_directory(const component::Entry& directory) final;
  Result<void> checkpoint() final;
  Result<component::Version> seal() final;
  Result<void> abandon() final;

 protected:
  // Puts the base's content under file(), where nothing is. Half of it never has that name. Where
  // there is no base: stream-protocol, by no_base().
  virtual Result<void> start_from_base() = 0;
  // Nothing came: the base's content is the version's.
  virtual Result<void> keep_base() { return start_from_base(); }
  // Gives the file its mode and owner.
  virtual Result<void> give_metadata(const component::Entry& entry) = 0;
  // The last look at the synced file before it becomes a version.
  virtual Result<void> check_file() { return {}; }
  // The version that lies in `hold`.
  virtual component::Version version_in(const std::string& hold) const = 0;

  Error no_base() const;
  std::string file() const { return place_.hold + "/" + kind_.file; }
  os::Disk& disk() const { return disk_; }
  const component::Context& context() const { return context_; }

 private:
  bool sealed() const { return os::exists(disk_, place_.kept); }
  Result<void> sync_file();

  os::Disk& disk_;
  const Kind& kind_;
  component::Context context_;
  StagingPlace place_;
  os::Fd open_;                            // the staged file, from begin() on
  std::optional<component::Entry> entry_;  // begun and not finished
};

}  // namespace lockstep::one_file
