#include "common/components/files/files.hpp"

#include <fcntl.h>

#include "common/components/files/pins.hpp"
#include "common/components/files/source.hpp"
#include "common/components/files/target.hpp"

namespace lockstep::files {

namespace {

class Files final : public component::Component {
 public:
  explicit Files(const component::Surroundings& surroundings)
      : disk_(surroundings.disk),
        snapshots_(make_file_snapshots(surroundings)),
        sources_(make_file_sources(surroundings)),
        target_(surroundings) {}

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return true; }
  component::Snapshots* snapshots() override { return snapshots_.get(); }
  component::Sources* sources() override { return sources_.get(); }
  component::Target* target() override { return &target_; }

  component::Health health(const component::DataSet& set) override {
    const std::string& place = set.place.location;
    auto opened = disk_.open(os::kCwd, place, O_RDONLY | O_DIRECTORY);
    if (!opened) return ill(opened.error(), "open the directory", place);
    auto stream = disk_.read_directory(opened->get());
    if (!stream) return ill(stream.error(), "read the directory", place);
    if (auto first = (*stream)->next(); !first) return ill(first.error(), "read", place);
    auto kind = disk_.file_system(opened->get());
    if (!kind) return ill(kind.error(), "look at the file system of", place);
    if (kind->read_only) return {false, "the file system of " + place + " is read-only"};
    auto space = disk_.space(opened->get());
    if (!space) return ill(space.error(), "look at the free space of", place);
    if (space->free_bytes == 0) return {false, "the file system of " + place + " is full"};
    return {true, place + " opens, on " + kind->name};
  }

 private:
  static component::Health ill(os::Errno number, const char* act, const std::string& place) {
    return {false, from_errno(ErrorCode::io, number.number, act, place).text()};
  }

  const std::string kind_ = "files";
  os::Disk& disk_;
  std::unique_ptr<component::Snapshots> snapshots_;
  std::unique_ptr<component::Sources> sources_;
  FileTarget target_;
};

}  // namespace

std::unique_ptr<component::Component> make_files(const component::Surroundings& surroundings) {
  return std::make_unique<Files>(surroundings);
}

}  // namespace lockstep::files
