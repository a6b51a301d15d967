#include "common/users/embedded/embedded.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

namespace lockstep::users {

namespace {

constexpr int kApplicationId = 0x4c535531;  // "LSU1"
constexpr int kBusyMilliseconds = 10'000;
constexpr const char* kSchema = R"(
CREATE TABLE principals (
  id     TEXT PRIMARY KEY,
  kind   TEXT NOT NULL CHECK (kind IN ('user', 'group', 'role')),
  name   TEXT NOT NULL CHECK (name <> ''),
  locked INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
  UNIQUE (kind, name)
) STRICT;
CREATE TABLE passwords (
  principal TEXT NOT NULL REFERENCES principals ON DELETE CASCADE ON UPDATE CASCADE,
  hash      BLOB NOT NULL,
  PRIMARY KEY (principal, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE attributes (
  principal TEXT NOT NULL REFERENCES principals ON DELETE CASCADE ON UPDATE CASCADE,
  name      TEXT NOT NULL,
  value     BLOB NOT NULL,
  PRIMARY KEY (principal, name, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE memberships (
  holder TEXT NOT NULL REFERENCES principals ON DELETE CASCADE ON UPDATE CASCADE,
  member TEXT NOT NULL REFERENCES principals ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY (holder, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_of ON memberships (member);
CREATE VIEW users  AS SELECT id, name, locked FROM principals WHERE kind = 'user';
CREATE VIEW groups AS SELECT id, name FROM principals WHERE kind = 'group';
CREATE VIEW roles  AS SELECT id, name FROM principals WHERE kind = 'role';
PRAGMA user_version = 1;
)";

Error sqlite_error(const SQLite::Exception& exception, ErrorCode code, const char* act,
                   const std::string& path) {
  const int kind = exception.getErrorCode();
  if (kind == SQLITE_FULL) code = ErrorCode::no_space;
  if (kind == SQLITE_PERM || kind == SQLITE_READONLY || kind == SQLITE_AUTH) {
    code = ErrorCode::permission;
  }
  return make_error(code, std::string(act) + ": " + exception.what(), path);
}

class Embedded final : public Store {
 public:
  explicit Embedded(std::string path) : path_(std::move(path)) {}

  const char* kind() const override { return "embedded"; }

  Result<void> probe() override { return open(); }

  // One read transaction: what it shows is that of the instant at which it began to read.
  Result<Reading> capture(const Clock& clock, const std::stop_token& /*stop*/) override {
    Reading out;
    out.store = kind();
    out.during.requested = clock.utc();
    LOCKSTEP_TRY(out.state, read());
    out.during.acknowledged = clock.utc();
    return out;
  }

  Result<State> read() override {
    LOCKSTEP_CHECK(open());
    try {
      SQLite::Transaction one_moment(*database_);
      State state;
      SQLite::Statement principals(*database_, "SELECT id, kind, name, locked FROM principals");
      while (principals.executeStep()) {
        Record record;
        record.id = principals.getColumn(0).getString();
        const auto kind = kind_from_name(principals.getColumn(1).getString());
        if (!kind) return make_error(ErrorCode::source_read, "a record of unknown kind", path_);
        record.kind = *kind;
        record.name = principals.getColumn(2).getString();
        record.locked = principals.getColumn(3).getInt() != 0;
        state.emplace(record.id, std::move(record));
      }
      SQLite::Statement passwords(*database_, "SELECT principal, hash FROM passwords");
      while (passwords.executeStep()) {
        state.at(passwords.getColumn(0).getString())
            .passwords.insert(passwords.getColumn(1).getString());
      }
      SQLite::Statement attributes(*database_, "SELECT principal, name, value FROM attributes");
      while (attributes.executeStep()) {
        state.at(attributes.getColumn(0).getString())
            .attributes[attributes.getColumn(1).getString()]
            .insert(attributes.getColumn(2).getString());
      }
      SQLite::Statement memberships(*database_, "SELECT holder, member FROM memberships");
      while (memberships.executeStep()) {
        state.at(memberships.getColumn(0).getString())
            .members.insert(memberships.getColumn(1).getString());
      }
      LOCKSTEP_CHECK(check(state));
      return state;
    } catch (const SQLite::Exception& exception) {
      return sqlite_error(exception, ErrorCode::source_read, "cannot read the user data", path_);
    } catch (const std::out_of_range&) {  // foreign keys were not enforced by whoever wrote
      return make_error(ErrorCode::source_read, "a row of the user data belongs to no principal",
                        path_);
    }
  }

  Result<void> apply(const State&, const Changes& changes, const OnDone& on_done) override {
    LOCKSTEP_CHECK(open());
    try {
      SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
      std::size_t done = 0;
      for (const Change& change : changes) {
        LOCKSTEP_CHECK(carry_out(change));
        if (!on_done(++done)) {
          return make_error(ErrorCode::cancelled, "applying user data was stopped", path_);
        }
      }
      transaction.commit();
      return {};
    } catch (const SQLite::Exception& exception) {
      return sqlite_error(exception, ErrorCode::target_write, "cannot write the user data", path_);
    }
  }

 private:
  Result<void> open() {
    if (database_) return {};
    // Made here, so that nobody else may read it from its first byte on.
    const int made = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0) return from_errno(ErrorCode::target_write, errno, "open the user data", path_);
    ::close(made);
    try {
      auto database =
          std::make_unique<SQLite::Database>(path_, SQLite::OPEN_READWRITE, kBusyMilliseconds);
      database->exec("PRAGMA journal_mode = WAL");
      database->exec("PRAGMA synchronous = FULL");
      database->exec("PRAGMA foreign_keys = ON");
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      const int version = database->execAndGet("PRAGMA user_version").getInt();
      if (version == 0) {
        const int tables = database->execAndGet("SELECT count(*) FROM sqlite_master").getInt();
        if (tables != 0) {
          return make_error(ErrorCode::source_read,
                            "the database is there and is no store of user data", path_,
                            "name another path in lockstep.yaml");
        }
        database->exec("PRAGMA application_id = " + std::to_string(kApplicationId));
        database->exec(kSchema);
      } else if (version != 1 ||
                 database->execAndGet("PRAGMA application_id").getInt() != kApplicationId) {
        return make_error(ErrorCode::journal_newer,
                          "the database is no store of user data of this version", path_);
      }
      transaction.commit();
      database_ = std::move(database);
      return {};
    } catch (const SQLite::Exception& exception) {
      return sqlite_error(exception, ErrorCode::source_read, "cannot open the user data", path_);
    }
  }

  template <class... Values>
  bool run(const char* sql, const Values&... values) {
    SQLite::Statement statement(*database_, sql);
    int at = 0;
    (statement.bind(++at, values), ...);
    return statement.exec() > 0;
  }
  void bytes(const char* sql, const std::string& id, const std::string* name,
             const std::string& value) {
    SQLite::Statement statement(*database_, sql);
    int at = 0;
    statement.bind(++at, id);
    if (name != nullptr) statement.bind(++at, *name);
    statement.bind(++at, static_cast<const void*>(value.data()), static_cast<int>(value.size()));
    statement.exec();
  }
  void put_password(const std::string& id, const std::string& hash) {
    bytes("INSERT INTO passwords VALUES (?, ?)", id, nullptr, hash);
  }
  void put_attribute(const std::string& id, const std::string& name, const std::string& value) {
    bytes("INSERT INTO attributes VALUES (?, ?, ?)", id, &name, value);
  }

  Result<void> carry_out(const Change& change) {
    using What = Change::What;
    bool found = true;
    switch (change.what) {
      case What::add:
        if (change.kind == Kind::unit) {
          return make_error(ErrorCode::target_write, "the embedded store has no units",
                            change.name);
        }
        run("INSERT INTO principals VALUES (?, ?, ?, ?)", change.id,
            std::string(kind_name(change.kind)), change.name, change.record->locked ? 1 : 0);
        for (const auto& hash : change.record->passwords) put_password(change.id, hash);
        for (const auto& [name, values] : change.record->attributes) {
          for (const auto& value : values) put_attribute(change.id, name, value);
        }
        break;
      case What::adopt:
        found = run("UPDATE principals SET id = ? WHERE id = ?", change.to, change.id);
        break;
      case What::remove:
        found = run("DELETE FROM principals WHERE id = ?", change.id);
        break;
      case What::rename:
        found = run("UPDATE principals SET name = ? WHERE id = ?", change.to, change.id);
        break;
      case What::set:
        run("DELETE FROM attributes WHERE principal = ? AND name = ?", change.id, change.attribute);
        for (const auto& value : change.values) put_attribute(change.id, change.attribute, value);
        break;
      case What::passwords:
        run("DELETE FROM passwords WHERE principal = ?", change.id);
        for (const auto& hash : change.values) put_password(change.id, hash);
        break;
      case What::lock:
      case What::unlock:
        found = run("UPDATE principals SET locked = ? WHERE id = ?",
                    change.what == What::lock ? 1 : 0, change.id);
        break;
      case What::join:
        for (const auto& member : change.values) {
          run("INSERT OR IGNORE INTO memberships VALUES (?, ?)", change.id, member);
        }
        break;
      case What::leave:
        for (const auto& member : change.values) {
          run("DELETE FROM memberships WHERE holder = ? AND member = ?", change.id, member);
        }
        break;
    }
    if (!found) {
      return make_error(ErrorCode::target_write,
                        "the record was changed by somebody else meanwhile", change.name,
                        "do it again");
    }
    return {};
  }

  std::string path_;
  std::unique_ptr<SQLite::Database> database_;
};

}  // namespace

std::unique_ptr<Store> make_embedded(std::string path) {
  return std::make_unique<Embedded>(std::move(path));
}

}  // namespace lockstep::users
