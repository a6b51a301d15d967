// Staging: one attempt's tree on the secondary, from its first change to the version it becomes.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/component/target.hpp"
#include "common/components/files/early_flush.hpp"
#include "common/components/files/kept.hpp"
#include "common/components/files/prefetch.hpp"
#include "common/components/files/source.hpp"
#include "common/components/files/tree_writer.hpp"

namespace lockstep::files {

class FileStaging final : public component::Staging {
 public:
  struct Setup {
    Kept kept;
    component::Context context;
    std::string path;                   // "<staging>/<run>.<attempt>"; exists
    std::string scratch;                // a directory for scratch files
    std::unique_ptr<FileSource> base;   // what it starts as; may be none
    std::shared_ptr<std::mutex> guard;  // over the set's names of versions
  };
  // Errors: target-*.
  static Result<std::unique_ptr<FileStaging>> open(os::Disk& disk, Setup setup);

  void expect(const component::Entry& entry) override;
  Result<void> begin(const component::Entry& entry, component::Action action) override;
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;
  Result<void> finish() override;
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) override;
  Result<void> remove(const std::string& path) override;
  Result<void> leave_directory(const component::Entry& directory) override;
  Result<void> checkpoint() override;
  Result<component::Version> seal() override;
  Result<void> abandon() override;

 private:
  FileStaging(os::Disk& disk, Setup setup);

  bool base_is_kept() const;  // here: not a pin
  // The tree is made at the first change: where there is none, the version stands for the base's.
  Result<void> need_tree();
  Result<void> make_tree();
  Result<void> find_tree();
  Result<void> fill_tree(const std::string& form, const std::string& part);
  Result<void> open_tree_at(const std::string& path, const std::string& form);
  void close_tree();
  Result<std::string> choose_form(const std::string& part);
  Result<bool> can_reflink();
  Result<bool> same_in_base(const component::Entry& directory);
  Result<void> sync();
  Result<component::Version> publish(const std::string& tree_name);

  os::Disk& disk_;
  Setup setup_;
  os::Fd staging_;  // opened before the first write: syncfs tells of errors since then
  std::optional<TreeWriter> writer_;
  std::optional<EarlyFlush> flush_;   // of what the writer writes
  std::optional<Prefetch> prefetch_;  // of the writer's tree, where that began as the base
  std::string tag_;                   // what names of its trees begin with
  std::string form_;
  bool skipped_ = false;  // the entry begun is in the base as it is
  bool broken_ = false;   // after an error of syncing nothing is tried again
};

}  // namespace lockstep::files
