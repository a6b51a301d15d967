#include "common/components/files/links.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <atomic>
#include <utility>

namespace lockstep::files {

namespace {
constexpr std::size_t kPerEntry = 96;  // a node of the map, beside the path's own bytes

std::string scratch_name(const std::string& scratch) {
  static std::atomic<unsigned> counter{0};
  return scratch + "/.links-" + std::to_string(::getpid()) + "-" +
         std::to_string(counter.fetch_add(1));
}
}  // namespace

// Private to this object and worth nothing after it: no journal, no sync. It is made in a
// transaction that never ends, so that SQLite may keep what fits in its cache.
class Links::Database {
 public:
  explicit Database(const std::string& path)
      : path_(path),
        database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE),
        find_(prepare(), "SELECT path FROM first WHERE inode = ?"),
        add_(database_, "INSERT INTO first (inode, path) VALUES (?, ?)") {}
  ~Database() { std::remove(path_.c_str()); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  std::optional<std::string> find(std::int64_t inode) {
    find_.reset();
    find_.bind(1, inode);
    if (!find_.executeStep()) return std::nullopt;
    return find_.getColumn(0).getString();
  }

  void add(std::int64_t inode, const std::string& path) {
    add_.reset();
    add_.bind(1, inode);
    add_.bind(2, path.data(), static_cast<int>(path.size()));
    add_.exec();
  }

 private:
  SQLite::Database& prepare() {
    database_.exec("PRAGMA journal_mode = OFF");
    database_.exec("PRAGMA synchronous = OFF");
    database_.exec("PRAGMA locking_mode = EXCLUSIVE");
    database_.exec("DROP TABLE IF EXISTS first");
    database_.exec("CREATE TABLE first (inode INTEGER PRIMARY KEY, path BLOB NOT NULL) STRICT");
    database_.exec("BEGIN");
    return database_;
  }

  std::string path_;
  SQLite::Database database_;
  SQLite::Statement find_;
  SQLite::Statement add_;
};

Links::Links(std::string scratch, std::size_t bytes_in_memory)
    : scratch_(std::move(scratch)), limit_(bytes_in_memory) {}

Links::~Links() = default;

Result<std::optional<std::string>> Links::first(std::uint64_t inode, std::uint64_t links,
                                                const std::string& path) {
  if (const auto found = known_.find(inode); found != known_.end()) {
    std::optional<std::string> out = found->second.path;
    if (--found->second.left == 0) {
      used_ -= found->second.path.size() + kPerEntry;
      known_.erase(found);
    }
    return out;
  }
  try {
    // SQLite's integers are signed; the bits are what counts.
    const auto key = static_cast<std::int64_t>(inode);
    if (database_ != nullptr) {
      if (auto found = database_->find(key)) return found;
    }
    if (used_ + path.size() + kPerEntry <= limit_) {
      used_ += path.size() + kPerEntry;
      known_.emplace(inode, Known{path, links - 1});
      return std::optional<std::string>{};
    }
    if (database_ == nullptr) database_ = std::make_unique<Database>(scratch_name(scratch_));
    database_->add(key, path);
  } catch (const SQLite::Exception& problem) {
    return make_error(ErrorCode::io,
                      std::string("cannot keep the names of hard links: ") + problem.what(),
                      scratch_);
  }
  return std::optional<std::string>{};
}

}  // namespace lockstep::files
