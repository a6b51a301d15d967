// The component for SQLite databases. A data set is one database file; its versions are single
// files without a journal beside them.
//
// Pin: the write lock is taken (BEGIN IMMEDIATE), database and WAL are reflinked into the store,
// the lock is let go; later settle() makes one file of the two. Where the file system cannot
// reflink, a read transaction is opened at the pin and copied out by settle(). See
// docs/components/sqlite.md.
#pragma once

#include <memory>

#include "common/component/component.hpp"

namespace lockstep::sqlite {

std::unique_ptr<component::Component> make_sqlite(const component::Surroundings& surroundings);

}  // namespace lockstep::sqlite
