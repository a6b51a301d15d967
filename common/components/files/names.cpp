#include "common/components/files/names.hpp"

#include <utility>

namespace lockstep::files {

namespace {

std::string encode(const os::DirectoryEntry& entry) {
  std::string out;
  out.reserve(entry.name.size() + 2);
  out += entry.name;
  out += '\0';
  out += static_cast<char>(entry.type);
  return out;
}

Name decode(std::string encoded) {
  Name name;
  name.type = static_cast<unsigned char>(encoded.back());
  encoded.resize(encoded.size() - 2);
  name.text = std::move(encoded);
  return name;
}

}  // namespace

Result<SortedNames> SortedNames::read(os::Disk& disk, int directory, const std::string& scratch,
                                      SortBudget& budget, Side side, const std::string& where) {
  SortedStrings sorted(disk, budget, scratch, where);
  auto stream = disk.read_directory(directory);
  if (!stream) return failed(side, stream.error(), "read the directory", where);
  for (;;) {
    auto entry = (*stream)->next();
    if (!entry) return failed(side, entry.error(), "read the directory", where);
    if (!entry->has_value()) break;
    LOCKSTEP_CHECK(sorted.add(encode(**entry)));
  }
  LOCKSTEP_CHECK(sorted.finish());
  return SortedNames(std::move(sorted));
}

Result<std::optional<Name>> SortedNames::next() {
  LOCKSTEP_TRY(std::optional<std::string> next, sorted_.next());
  if (!next) return std::optional<Name>{};
  return std::optional<Name>(decode(std::move(*next)));
}

}  // namespace lockstep::files
