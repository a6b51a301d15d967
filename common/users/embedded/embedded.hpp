// The embedded store: an SQLite database with the schema of docs/users.md, which an application may
// read, and `lockstep users edit` edits.
#pragma once

#include <memory>
#include <string>

#include "common/users/store.hpp"

namespace lockstep::users {

// `path`: of the database, made (0600) when it is first opened, in a directory that is there.
std::unique_ptr<Store> make_embedded(std::string path);

}  // namespace lockstep::users
