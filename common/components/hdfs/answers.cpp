#include "common/components/hdfs/answers.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "common/components/hdfs/address.hpp"

namespace lockstep::hdfs {

namespace {

using nlohmann::json;

Failure unread(const char* what) {
  return {Trouble::other, std::string("the answer holds no ") + what};
}

std::string text_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_in(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return 0;
  if (found->is_number_unsigned()) return found->get<std::uint64_t>();
  return 0;  // negative: no count of anything
}

std::int64_t integer_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

bool flag_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::optional<Status> status_of(const json& object) {
  if (!object.is_object()) return std::nullopt;
  Status status;
  status.name = text_in(object, "pathSuffix");
  const std::string type = text_in(object, "type");
  if (type == "DIRECTORY") {
    status.kind = Status::Kind::directory;
  } else if (type == "SYMLINK") {
    status.kind = Status::Kind::symlink;
  } else if (type != "FILE") {
    return std::nullopt;
  }
  const std::string mode = text_in(object, "permission");
  const auto read = std::from_chars(mode.data(), mode.data() + mode.size(), status.mode, 8);
  if (read.ec != std::errc()) return std::nullopt;
  status.length = number_in(object, "length");
  status.owner = text_in(object, "owner");
  status.group = text_in(object, "group");
  status.modified_ms = integer_in(object, "modificationTime");
  status.replication = static_cast<std::uint32_t>(number_in(object, "replication"));
  status.block_size = number_in(object, "blockSize");
  status.file_id = number_in(object, "fileId");
  status.has_acl = flag_in(object, "aclBit");
  status.encrypted = flag_in(object, "encBit");
  status.erasure_coded = flag_in(object, "ecBit");
  status.snapshottable = flag_in(object, "snapshotEnabled");
  return status;
}

Reply<std::vector<Status>> statuses_of(const json& parent) {
  std::vector<Status> out;
  const auto outer = parent.find("FileStatuses");
  const auto list = outer != parent.end() && outer->is_object() ? outer->find("FileStatus")
                                                                : json::const_iterator();
  if (outer == parent.end() || !outer->is_object() || list == outer->end() || !list->is_array()) {
    return unread("list of statuses");
  }
  out.reserve(list->size());
  for (const json& item : *list) {
    auto status = status_of(item);
    if (!status) return unread("status that can be read");
    out.push_back(std::move(*status));
  }
  return out;
}

json parse(const std::string& body) { return json::parse(body, nullptr, false); }

// Of the beans in an answer of /jmx the first that has such an attribute.
std::optional<json> bean_with(const std::string& body, const std::string& name) {
  const json parsed = parse(body);
  if (!parsed.is_object() || !parsed.contains("beans") || !parsed.at("beans").is_array()) {
    return std::nullopt;
  }
  for (const json& bean : parsed.at("beans")) {
    if (bean.is_object() && bean.contains(name)) return bean;
  }
  return std::nullopt;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "0x00ff"
std::optional<std::string> from_hex(const std::string& text) {
  if (!text.starts_with("0x") || text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 2; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

Trouble trouble_of(long status, const std::string& exception, const std::string& message) {
  const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
  if (exception == "StandbyException" || exception == "RetriableException" ||
      exception == "SafeModeException" || exception == "ServerTooBusyException" ||
      exception == "ObserverRetryOnActiveException") {
    return Trouble::wait;
  }
  // A NameNode that starts, and one whose DataNodes have not reported yet.
  if (status == 503 || says("NameNode still not started") || says("Name node is in safe mode") ||
      says("Failed to find datanode")) {
    return Trouble::wait;
  }
  if (exception == "FileNotFoundException" || exception == "PathIsNotDirectoryException") {
    return Trouble::missing;
  }
  if (exception == "FileAlreadyExistsException" || exception == "ParentNotDirectoryException") {
    return Trouble::exists;
  }
  if (exception == "AccessControlException" || exception == "SecurityException" || status == 401) {
    return Trouble::denied;
  }
  if (exception.find("QuotaExceeded") != std::string::npos ||
      exception == "QuotaByStorageTypeExceededException" || says("could only be written to 0") ||
      says("could only be replicated to 0") || exception == "DiskOutOfSpaceException") {
    return Trouble::no_space;
  }
  if (exception == "SnapshotException") return Trouble::snapshot;
  if (exception == "IllegalArgumentException" || exception == "InvalidPathException" ||
      exception == "HadoopIllegalArgumentException" || exception == "FSLimitException" ||
      exception == "PathComponentTooLongException" || status == 400) {
    return Trouble::argument;
  }
  return Trouble::other;
}

}  // namespace

Failure read_failure(long status, const std::string& body, const std::string& challenge) {
  if (status == 401 && challenge.find("Negotiate") != std::string::npos) {
    return {Trouble::kerberos, "the cluster asks for Kerberos (SPNEGO)"};
  }
  const json parsed = parse(body);
  const auto remote = parsed.is_object() ? parsed.find("RemoteException") : parsed.end();
  if (!parsed.is_object() || remote == parsed.end() || !remote->is_object()) {
    return {trouble_of(status, {}, body), "HTTP status " + std::to_string(status)};
  }
  const std::string exception = text_in(*remote, "exception");
  std::string message = text_in(*remote, "message");
  // Some messages bring the server's stack along.
  if (const std::size_t stack = message.find("\n\tat "); stack != std::string::npos) {
    message.resize(stack);
  }
  return {trouble_of(status, exception, message), exception + ": " + message};
}

Failure failure_of(const Lost& lost, const std::string& url) {
  const Trouble reach = lost.unreached ? Trouble::unreached : Trouble::lost;
  return {lost.untrusted ? Trouble::untrusted : reach, lost.why + " (" + host_of(url) + ")"};
}

Error to_error(const Failure& failure, ErrorCode side, std::string_view act,
               const std::string& where) {
  ErrorCode code = side;
  std::string hint;
  switch (failure.trouble) {
    case Trouble::denied:
      code = ErrorCode::permission;
      hint = "let the user of `hdfs:` in lockstep.yaml be a superuser of HDFS, or grant the right";
      break;
    case Trouble::kerberos:
      code = ErrorCode::not_built_yet;
      hint = "this version speaks to clusters with simple authentication only";
      break;
    case Trouble::untrusted:
      code = ErrorCode::config_bad_value;
      hint =
          "name the file of the certificates that may sign as `ca` of `hdfs:` in lockstep.yaml; a "
          "server's certificate must name the host of its address";
      break;
    case Trouble::no_space:
      code = ErrorCode::no_space;
      hint = "free space or raise the quota of the directory";
      break;
    case Trouble::unreached:
    case Trouble::wait:
      code = ErrorCode::unreachable;
      hint = "is the NameNode up, active and out of safe mode? `hdfs dfsadmin -safemode get`";
      break;
    default:
      break;
  }
  return make_error(code, "cannot " + std::string(act) + ": " + failure.text, where,
                    std::move(hint));
}

Reply<Status> read_status(const std::string& body) {
  const json parsed = parse(body);
  if (!parsed.is_object() || !parsed.contains("FileStatus")) return unread("status");
  auto status = status_of(parsed.at("FileStatus"));
  if (!status) return unread("status that can be read");
  return std::move(*status);
}

Reply<std::vector<Status>> read_statuses(const std::string& body) {
  const json parsed = parse(body);
  if (!parsed.is_object()) return unread("list of statuses");
  return statuses_of(parsed);
}

Reply<Page> read_page(const std::string& body) {
  const json parsed = parse(body);
  const auto listing = parsed.is_object() ? parsed.find("DirectoryListing") : parsed.end();
  if (!parsed.is_object() || listing == parsed.end() || !listing->is_object() ||
      !listing->contains("partialListing") || !listing->at("partialListing").is_object()) {
    return unread("page of a directory");
  }
  Page page;
  LOCKSTEP_TRY(page.statuses, statuses_of(listing->at("partialListing")));
  page.more = number_in(*listing, "remainingEntries") > 0;
  return page;
}

Reply<std::vector<std::string>> read_acl(const std::string& body) {
  const json parsed = parse(body);
  if (!parsed.is_object() || !parsed.contains("AclStatus") ||
      !parsed.at("AclStatus").contains("entries")) {
    return unread("ACL");
  }
  std::vector<std::string> out;
  for (const json& entry : parsed.at("AclStatus").at("entries")) {
    if (!entry.is_string()) return unread("ACL that can be read");
    out.push_back(entry.get<std::string>());
  }
  return out;
}

Reply<std::vector<component::Xattr>> read_xattrs(const std::string& body) {
  const json parsed = parse(body);
  const auto list = parsed.is_object() ? parsed.find("XAttrs") : parsed.end();
  if (!parsed.is_object() || list == parsed.end() || !list->is_array()) {
    return unread("attributes");
  }
  std::vector<component::Xattr> out;
  for (const json& item : *list) {
    const auto value = item.find("value");
    if (value == item.end() || text_in(item, "name").empty()) return unread("attribute's name");
    std::optional<std::string> bytes = std::string();  // an empty value is null
    if (value->is_string()) bytes = from_hex(value->get<std::string>());
    if (!bytes) return unread("attribute's value");
    out.push_back({text_in(item, "name"), std::move(*bytes)});
  }
  return out;
}

Reply<std::vector<Difference>> read_differences(const std::string& body) {
  const json parsed = parse(body);
  const auto report = parsed.is_object() ? parsed.find("SnapshotDiffReport") : parsed.end();
  if (!parsed.is_object() || report == parsed.end() || !report->is_object() ||
      !report->contains("diffList") || !report->at("diffList").is_array()) {
    return unread("list of differences");
  }
  std::vector<Difference> out;
  for (const json& item : report->at("diffList")) {
    Difference difference;
    const std::string type = text_in(item, "type");
    if (type == "CREATE") {
      difference.kind = Difference::Kind::created;
    } else if (type == "DELETE") {
      difference.kind = Difference::Kind::removed;
    } else if (type == "RENAME") {
      difference.kind = Difference::Kind::renamed;
    } else if (type != "MODIFY") {
      return unread("known kind of difference");
    }
    difference.path = text_in(item, "sourcePath");
    difference.to = text_in(item, "targetPath");
    out.push_back(std::move(difference));
  }
  return out;
}

Reply<std::string> read_checksum(const std::string& body) {
  const json parsed = parse(body);
  const auto sum = parsed.is_object() ? parsed.find("FileChecksum") : parsed.end();
  if (!parsed.is_object() || sum == parsed.end() || !sum->is_object()) return unread("checksum");
  std::string algorithm = text_in(*sum, "algorithm");
  std::string bytes = text_in(*sum, "bytes");
  if (algorithm.empty() || bytes.empty()) return unread("checksum that can be read");
  // The bytes are of a buffer that may be longer than they.
  const std::uint64_t length = number_in(*sum, "length") * 2;
  if (length > 0 && length < bytes.size()) bytes.resize(static_cast<std::size_t>(length));
  return algorithm + ":" + bytes;
}

Reply<std::uint64_t> read_content_length(const std::string& body) {
  const json parsed = parse(body);
  const auto summary = parsed.is_object() ? parsed.find("ContentSummary") : parsed.end();
  if (!parsed.is_object() || summary == parsed.end() || !summary->contains("length")) {
    return unread("summary");
  }
  return number_in(*summary, "length");
}

Reply<QuotaLeft> read_quota_left(const std::string& body) {
  const json parsed = parse(body);
  const auto usage = parsed.is_object() ? parsed.find("QuotaUsage") : parsed.end();
  if (!parsed.is_object() || usage == parsed.end() || !usage->is_object()) return unread("quotas");
  const auto left = [&](const char* quota, const char* used) -> std::optional<std::int64_t> {
    if (!usage->contains(quota) || integer_in(*usage, quota) < 0) return std::nullopt;  // -1: none
    return integer_in(*usage, quota) - integer_in(*usage, used);
  };
  return QuotaLeft{left("spaceQuota", "spaceConsumed"), left("quota", "fileAndDirectoryCount")};
}

Reply<bool> read_boolean(const std::string& body) {
  const json parsed = parse(body);
  if (!parsed.is_object() || !parsed.contains("boolean")) return unread("yes or no");
  return flag_in(parsed, "boolean");
}

Reply<std::string> read_location(const std::string& body) {
  const json parsed = parse(body);
  std::string location = parsed.is_object() ? text_in(parsed, "Location") : std::string();
  if (!location.starts_with("http://") && !location.starts_with("https://")) {
    return unread("location");
  }
  return location;
}

std::optional<std::string> read_property(const std::string& body, const std::string& name) {
  const json parsed = parse(body);
  if (parsed.is_object() && parsed.contains("property") && parsed.at("property").is_object()) {
    const json& property = parsed.at("property");
    if (text_in(property, "key") == name) return text_in(property, "value");
    return std::nullopt;
  }
  const std::size_t named = body.find("<name>" + name + "</name>");
  const std::size_t from = named == std::string::npos ? named : body.find("<value>", named);
  const std::size_t to = from == std::string::npos ? from : body.find("</value>", from);
  if (to == std::string::npos) return std::nullopt;
  return body.substr(from + 7, to - from - 7);
}

std::optional<std::uint64_t> read_gauge(const std::string& body, const std::string& name) {
  const auto bean = bean_with(body, name);
  if (!bean) return std::nullopt;
  return number_in(*bean, name.c_str());
}

std::optional<std::string> read_gauge_text(const std::string& body, const std::string& name) {
  const auto bean = bean_with(body, name);
  if (!bean || !bean->at(name).is_string()) return std::nullopt;
  return text_in(*bean, name.c_str());
}

}  // namespace lockstep::hdfs
