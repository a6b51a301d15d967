// What WebHDFS answers, read: statuses, ACLs, attributes, differences, failures. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/hdfs/http.hpp"
#include "common/error/error.hpp"

namespace lockstep::hdfs {

// Why an operation did not happen, by what to do about it.
enum class Trouble {
  lost,       // no answer: it may have happened or not
  unreached,  // no connection: it did not happen
  untrusted,  // the server's certificate does not stand the check
  wait,       // the NameNode stands by, is in safe mode, or asks to try again
  missing,    // what it is about is not there
  exists,     // something is there already
  denied,     // the user may not
  kerberos,   // the cluster asks for Kerberos
  no_space,   // no room, or a quota is exhausted
  snapshot,   // SnapshotException: only the text tells which
  argument,   // the request is not valid (a name that HDFS cannot have)
  other,
};

struct Failure {
  Trouble trouble = Trouble::other;
  std::string text;  // "SnapshotException: Directory is not a snapshottable directory: /d"
};

template <class T>
using Reply = Expected<T, Failure>;

// Of an answer that is no success. `challenge` is its WWW-Authenticate.
Failure read_failure(long status, const std::string& body, const std::string& challenge);

// Of no answer from there.
Failure failure_of(const Lost& lost, const std::string& url);

// The seam's error. `side` is source-read, target-write, pin-failed ...; rights, space, reach and
// Kerberos keep their own codes. "cannot <act>: <text>".
Error to_error(const Failure& failure, ErrorCode side, std::string_view act,
               const std::string& where);

struct Status {
  std::string name;  // in its directory; empty of what was asked for itself
  enum class Kind { directory, file, symlink } kind = Kind::file;
  std::uint64_t length = 0;
  std::uint32_t mode = 0;  // permission bits and the sticky bit
  std::string owner, group;
  std::int64_t modified_ms = 0;  // since 1970
  std::uint32_t replication = 0;
  std::uint64_t block_size = 0;
  std::uint64_t file_id = 0;
  bool has_acl = false;
  bool encrypted = false;
  bool erasure_coded = false;
  bool snapshottable = false;
};

Reply<Status> read_status(const std::string& body);
Reply<std::vector<Status>> read_statuses(const std::string& body);

struct Page {
  std::vector<Status> statuses;
  bool more = false;
};
Reply<Page> read_page(const std::string& body);

// The entries as HDFS keeps them: "user:bob:r-x", "group::r--", "default:user::rwx".
Reply<std::vector<std::string>> read_acl(const std::string& body);
Reply<std::vector<component::Xattr>> read_xattrs(const std::string& body);

// One line of a snapshot diff. Paths are relative to the directory; the root is "".
struct Difference {
  enum class Kind { created, removed, modified, renamed } kind = Kind::modified;
  std::string path;
  std::string to;  // renamed
};
Reply<std::vector<Difference>> read_differences(const std::string& body);

// Of GETFILECHECKSUM, as "ALGORITHM:bytes", the bytes in hexadecimal (sums.hpp).
Reply<std::string> read_checksum(const std::string& body);
// The bytes of all files, of GETCONTENTSUMMARY.
Reply<std::uint64_t> read_content_length(const std::string& body);

// What a directory's quotas leave, of GETQUOTAUSAGE; nothing where it has none of that kind.
struct QuotaLeft {
  std::optional<std::int64_t> bytes;  // each replica counts
  std::optional<std::int64_t> names;  // of files and directories
};
Reply<QuotaLeft> read_quota_left(const std::string& body);

// {"boolean":true}
Reply<bool> read_boolean(const std::string& body);
// {"Location":"..."}, of http:// or https://
Reply<std::string> read_location(const std::string& body);
// A property's value in an answer of the NameNode's /conf, as JSON or XML.
std::optional<std::string> read_property(const std::string& body, const std::string& name);
// A number in an answer of the NameNode's /jmx.
std::optional<std::uint64_t> read_gauge(const std::string& body, const std::string& name);
std::optional<std::string> read_gauge_text(const std::string& body, const std::string& name);

}  // namespace lockstep::hdfs
