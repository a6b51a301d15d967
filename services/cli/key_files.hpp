// The key files of a site's parties.
#pragma once

#include <string>
#include <vector>

#include "common/config/site.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::cli {

// The names of all parties of the site.
std::vector<std::string> party_names(const config::Site& site);

// Makes a pair for every party that has no public key yet, and the signing key of every
// transfer-agent that has none; returns the names of both kinds of files' owners, each once.
// Requires: `keys` is set and its directory exists.
Result<std::vector<std::string>> make_keys(os::Disk& disk, const config::Site& site);

}  // namespace lockstep::cli
