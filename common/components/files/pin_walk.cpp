#include "common/components/files/pin_walk.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "common/components/files/pin_errors.hpp"

namespace lockstep::files {

namespace {

struct Name {
  std::string text;
  unsigned char type = DT_UNKNOWN;
};

Result<std::vector<Name>> names_of(os::Disk& disk, int directory, const std::string& shown) {
  auto stream = disk.read_directory(directory);
  if (!stream) return set_error(stream.error().number, "read the directory", shown);
  std::vector<Name> names;
  while (true) {
    auto next = (*stream)->next();
    if (!next) return set_error(next.error().number, "read the directory", shown);
    if (!*next) break;
    names.push_back({std::move((*next)->name), (*next)->type});
  }
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return a.text < b.text; });
  return names;
}

class Walker {
 public:
  Walker(os::Disk& disk, const Exclude& exclude, const WalkOptions& options, Visitor& visitor)
      : disk_(disk), exclude_(exclude), options_(options), visitor_(visitor) {}

  Result<void> start(int root) {
    auto seen = disk_.stat(root);
    if (!seen) return set_error(seen.error().number, "look at", options_.shown);
    device_ = seen->st_dev;
    const std::string none;
    return directory(Node{none, root, none, *seen}, root);
  }

 private:
  std::string shown(const std::string& path) const {
    return path.empty() ? options_.shown : options_.shown + "/" + path;
  }

  bool gone(int number) const { return options_.live && (number == ENOENT || number == ENOTDIR); }

  Result<void> directory(const Node& node, int descriptor) {
    if (options_.stop.stop_requested()) {
      return make_error(ErrorCode::cancelled, "the walk was stopped", options_.shown);
    }
    LOCKSTEP_TRY(std::vector<Name> listed, names_of(disk_, descriptor, shown(node.path)));
    const std::string prefix = node.path.empty() ? std::string() : node.path + "/";
    std::vector<std::string> names;
    std::vector<unsigned char> types;
    names.reserve(listed.size());
    for (Name& name : listed) {
      LOCKSTEP_TRY(const bool is_directory, known_directory(descriptor, prefix, name));
      if (exclude_.leaves_out(prefix + name.text, is_directory)) continue;
      types.push_back(name.type);
      names.push_back(std::move(name.text));
    }
    listed.clear();
    LOCKSTEP_CHECK(visitor_.enter(node, descriptor, names));
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (options_.directories_only && types[i] != DT_DIR && types[i] != DT_UNKNOWN) continue;
      LOCKSTEP_CHECK(child(descriptor, prefix + names[i], names[i]));
    }
    return visitor_.leave(node, descriptor);
  }

  Result<bool> known_directory(int descriptor, const std::string& prefix, const Name& name) {
    if (name.type != DT_UNKNOWN) return name.type == DT_DIR;
    auto seen = disk_.stat_at(descriptor, name.text);
    if (seen) return S_ISDIR(seen->st_mode);
    if (gone(seen.error().number)) return false;
    return set_error(seen.error().number, "look at", shown(prefix + name.text));
  }

  Result<void> child(int parent, const std::string& path, const std::string& name) {
    auto seen = disk_.stat_at(parent, name);
    if (!seen) {
      if (gone(seen.error().number)) return {};
      return set_error(seen.error().number, "look at", shown(path));
    }
    if (seen->st_dev != device_) {
      return make_error(ErrorCode::nested_mount,
                        "another mount or subvolume lies inside the data set", shown(path));
    }
    if (!S_ISDIR(seen->st_mode)) {
      return options_.directories_only ? Result<void>{}
                                       : visitor_.entry(Node{path, parent, name, *seen});
    }
    auto opened = disk_.open(parent, name, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      if (gone(opened.error().number)) return {};
      return set_error(opened.error().number, "open the directory", shown(path));
    }
    auto inside = disk_.stat(opened->get());
    if (!inside) return set_error(inside.error().number, "look at", shown(path));
    if (inside->st_dev != device_) {
      return make_error(ErrorCode::nested_mount,
                        "another mount or subvolume lies inside the data set", shown(path));
    }
    return directory(Node{path, parent, name, *inside}, opened->get());
  }

  os::Disk& disk_;
  const Exclude& exclude_;
  const WalkOptions& options_;
  Visitor& visitor_;
  dev_t device_ = 0;
};

}  // namespace

std::int64_t Node::ctime_ns() const {
  return std::int64_t{stat.st_ctim.tv_sec} * 1'000'000'000 + stat.st_ctim.tv_nsec;
}

Result<void> walk(os::Disk& disk, int root, const Exclude& exclude, const WalkOptions& options,
                  Visitor& visitor) {
  return Walker(disk, exclude, options, visitor).start(root);
}

Result<std::vector<std::string>> sorted_names(os::Disk& disk, int directory,
                                              const std::string& shown) {
  LOCKSTEP_TRY(std::vector<Name> listed, names_of(disk, directory, shown));
  std::vector<std::string> names;
  names.reserve(listed.size());
  for (Name& name : listed) names.push_back(std::move(name.text));
  return names;
}

}  // namespace lockstep::files
