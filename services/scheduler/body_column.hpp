// A message body in a column of the journal, as MessagePack: what it holds need not be UTF-8.
//
// Thread rule: pure functions on the caller's statement.
#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

#include "common/message/envelope.hpp"

namespace lockstep::scheduler {

inline void bind_body(SQLite::Statement& statement, int index, const message::Body& body) {
  const std::string packed = message::pack_body(body);
  statement.bind(index, packed.data(), static_cast<int>(packed.size()));
}

inline Result<message::Body> column_body(SQLite::Statement& statement, int index) {
  const SQLite::Column column = statement.getColumn(index);
  return message::unpack_body(
      {static_cast<const char*>(column.getBlob()), static_cast<std::size_t>(column.getBytes())});
}

}  // namespace lockstep::scheduler
