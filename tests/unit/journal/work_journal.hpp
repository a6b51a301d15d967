// The journal of a made-up service that does pieces of work: intent, effect (a file), done.
#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "common/journal/journal.hpp"

namespace lockstep::test {

inline journal::OpenOptions work_options(const std::string& path) {
  journal::OpenOptions options;
  options.path = path;
  options.source = "worker";
  options.migrations = {
      "CREATE TABLE work (name TEXT PRIMARY KEY, state TEXT NOT NULL, filler BLOB) STRICT"};
  return options;
}

inline Result<void> set_state(journal::Transaction& transaction, const std::string& name,
                              const std::string& state) {
  SQLite::Statement insert(transaction.database(),
                           "INSERT INTO work (name, state) VALUES (?, ?)"
                           " ON CONFLICT DO UPDATE SET state = excluded.state");
  insert.bind(1, name);
  insert.bind(2, state);
  insert.exec();
  transaction.emit("work." + state, name, {{"name", name}});
  return {};
}

inline std::string state_of(journal::Journal& journal, const std::string& name) {
  std::string state;
  auto read = journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT state FROM work WHERE name = ?");
    query.bind(1, name);
    if (query.executeStep()) state = query.getColumn(0).getString();
    return {};
  });
  if (!read) state = read.error().text();
  return state;
}

}  // namespace lockstep::test
