#include "common/components/hdfs/webhdfs.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include "common/components/hdfs/hex.hpp"

namespace lockstep::hdfs {

namespace {

// What it tells of itself is asked of each in turn, and nothing depends on it for long.
constexpr Nanos kTellTime = seconds(10);
constexpr Nanos kGaugeTime = seconds(2);
constexpr Nanos kCountTime = seconds(600);  // of millions of files
constexpr const char* kNamesystem = "FSNamesystemState";

std::string octal(std::uint32_t mode) {
  std::string out;
  for (; mode != 0; mode /= 8) out.insert(out.begin(), static_cast<char>('0' + mode % 8));
  return out.empty() ? "0" : out;
}

bool says(const Failure& failure, const char* words) {
  return failure.text.find(words) != std::string::npos;
}

}  // namespace

WebHdfs::WebHdfs(Settings settings, const Clock& clock)
    : settings_(std::move(settings)), clock_(clock), http_(settings_.ca) {}

Reply<std::string> WebHdfs::ask(Tries& tries, const char* method, const std::string& path,
                                const char* operation, Query query, Nanos answer_time) {
  query.emplace_back("user.name", settings_.user);
  const std::size_t asked = tries.turn();
  const std::string url = address(settings_.namenodes[asked], path, operation, query);
  auto answer = http_.send(method, url, answer_time);
  const bool good = answer && (answer->status == 200 || answer->status == 201);
  if (good) {
    serving_ = asked;
    tries.served();
    return std::move(answer->body);
  }
  Failure failure = answer ? read_failure(answer->status, answer->body, answer->challenge)
                           : failure_of(answer.error(), url);
  if (may_pass(failure)) tries.left(failure);
  return failure;
}

Reply<std::string> WebHdfs::call(const char* method, const std::string& path, const char* operation,
                                 Query query, Nanos patience, Nanos answer_time) {
  for (Tries tries = this->tries(patience);;) {
    auto answer = ask(tries, method, path, operation, query, answer_time);
    if (answer) return answer;
    Failure failure = std::move(answer).error();
    if (!tries.again(failure)) return failure;
  }
}

Reply<void> WebHdfs::done(Reply<std::string> answer) {
  if (!answer) return std::move(answer).error();
  return {};
}

Reply<Status> WebHdfs::status(const std::string& path, Nanos patience) {
  // Who wants to know it soon is not kept by one that hangs.
  LOCKSTEP_TRY(const std::string body, call("GET", path, "GETFILESTATUS", {}, patience,
                                            std::clamp(patience, kGaugeTime, kAnswerTime)));
  return read_status(body);
}

Reply<Page> WebHdfs::list(const std::string& path, const std::string& after) {
  Query query;
  if (!after.empty()) query.emplace_back("startAfter", after);
  LOCKSTEP_TRY(const std::string body, call("GET", path, "LISTSTATUS_BATCH", std::move(query)));
  return read_page(body);
}

Reply<std::vector<std::string>> WebHdfs::acl(const std::string& path) {
  LOCKSTEP_TRY(const std::string body, call("GET", path, "GETACLSTATUS", {}));
  return read_acl(body);
}

Reply<std::vector<component::Xattr>> WebHdfs::xattrs(const std::string& path) {
  LOCKSTEP_TRY(const std::string body, call("GET", path, "GETXATTRS", {{"encoding", "hex"}}));
  return read_xattrs(body);
}

Reply<std::string> WebHdfs::datanode(const std::string& body) const {
  LOCKSTEP_TRY(const std::string location, read_location(body));
  if (namenode().starts_with("https://") && !location.starts_with("https://")) {
    return Failure{Trouble::untrusted,
                   "the NameNode leads to a DataNode without TLS (" + host_of(location) + ")"};
  }
  return repair(location);
}

Reply<void> WebHdfs::stream(const std::string& path, std::uint64_t offset, std::uint64_t length,
                            const Http::Take& take) {
  bool wanted = true;
  const Http::Take pass = [&](std::span<const std::byte> bytes) {
    if (bytes.size() > length) return false;
    offset += bytes.size();
    length -= bytes.size();
    wanted = take(bytes);
    return wanted;
  };
  while (length > 0 && wanted) {
    const std::uint64_t begun = offset;
    for (Tries tries = this->tries(settings_.patience); offset == begun;) {
      const Query query{{"offset", std::to_string(offset)},
                        {"length", std::to_string(length)},
                        {"noredirect", "true"}};
      Failure failure;
      auto body = ask(tries, "GET", path, "OPEN", query);
      auto location = body ? datanode(*body) : Reply<std::string>(std::move(body).error());
      if (!location) {
        failure = std::move(location).error();
      } else {
        auto answer = http_.stream(*location, pass);
        if (!answer) {
          failure = failure_of(answer.error(), *location);
        } else if (answer->status != 200) {
          failure = read_failure(answer->status, answer->body, answer->challenge);
          // The DataNode's own troubles (a block that moved, a shutdown) may pass too.
          if (failure.trouble == Trouble::other) failure.trouble = Trouble::wait;
        } else if (length == 0) {
          return {};
        } else {
          return Failure{Trouble::other, "the file is shorter than its status says"};
        }
      }
      if (offset == begun && !tries.again(failure)) return failure;
    }
  }
  return {};
}

Reply<std::string> WebHdfs::checksum(const std::string& path) {
  for (Tries tries = this->tries(settings_.patience);;) {
    Failure failure;
    auto body = ask(tries, "GET", path, "GETFILECHECKSUM", {{"noredirect", "true"}});
    auto location = body ? datanode(*body) : Reply<std::string>(std::move(body).error());
    if (!location) {
      failure = std::move(location).error();
    } else {
      auto answer = http_.send("GET", *location, kAnswerTime);
      if (answer && answer->status == 200) return read_checksum(answer->body);
      failure = answer ? read_failure(answer->status, answer->body, answer->challenge)
                       : failure_of(answer.error(), *location);
      // The DataNode's own troubles (a block that moved, a shutdown) may pass too.
      if (failure.trouble == Trouble::other) failure.trouble = Trouble::wait;
    }
    if (!tries.again(failure)) return failure;
  }
}

Reply<std::uint64_t> WebHdfs::content_length(const std::string& path) {
  LOCKSTEP_TRY(const std::string body,
               call("GET", path, "GETCONTENTSUMMARY", {}, settings_.patience, kCountTime));
  return read_content_length(body);
}

Reply<QuotaLeft> WebHdfs::quota_left(const std::string& path) {
  LOCKSTEP_TRY(const std::string body, call("GET", path, "GETQUOTAUSAGE", {}, settings_.patience));
  return read_quota_left(body);
}

Reply<void> WebHdfs::create(const std::string& path, const Creation& creation, std::uint64_t size,
                            const Content& content) {
  Query query{{"overwrite", "true"}, {"permission", octal(creation.mode)}, {"noredirect", "true"}};
  if (creation.replication != 0) {
    query.emplace_back("replication", std::to_string(creation.replication));
  }
  if (creation.block_size != 0) {
    query.emplace_back("blocksize", std::to_string(creation.block_size));
  }
  for (Tries tries = this->tries(settings_.patience);;) {
    Failure failure;
    auto body = ask(tries, "PUT", path, "CREATE", query);
    auto location = body ? datanode(*body) : Reply<std::string>(std::move(body).error());
    if (!location) {
      failure = std::move(location).error();
    } else {
      const Http::Fill fill = content();
      if (!fill) return Failure{Trouble::lost, "the connection broke in the middle of the file"};
      auto answer = http_.put(*location, size, fill);
      if (!answer) {
        failure = failure_of(answer.error(), *location);
      } else if (answer->status != 201) {
        failure = read_failure(answer->status, answer->body, answer->challenge);
      } else {
        return {};
      }
    }
    if (!tries.again(failure)) return failure;
  }
}

Reply<void> WebHdfs::make_directory(const std::string& path) {
  LOCKSTEP_TRY(const std::string body, call("PUT", path, "MKDIRS", {{"permission", "755"}}));
  LOCKSTEP_TRY(const bool made, read_boolean(body));
  if (!made) return Failure{Trouble::other, "the directory was not made"};
  return {};
}

Reply<void> WebHdfs::remove(const std::string& path) {
  return done(call("DELETE", path, "DELETE", {{"recursive", "true"}}));
}

Reply<void> WebHdfs::rename(const std::string& from, const std::string& to) {
  for (Tries tries = this->tries(settings_.patience);;) {
    auto body = ask(tries, "PUT", from, "RENAME", {{"destination", to}});
    if (!body) {
      Failure failure = std::move(body).error();
      if (!tries.again(failure)) return failure;
      continue;
    }
    LOCKSTEP_TRY(const bool renamed, read_boolean(*body));
    if (renamed) return {};
    auto left = status(from);
    if (left) return Failure{Trouble::exists, "something is at the new name, or above it nothing"};
    if (left.error().trouble != Trouble::missing) return std::move(left).error();
    // A try whose answer was lost has done it.
    if (!tries.is_first() && status(to)) return {};
    return std::move(left).error();
  }
}

Reply<void> WebHdfs::set_owner(const std::string& path, const std::string& owner,
                               const std::string& group) {
  Query query;
  if (!owner.empty()) query.emplace_back("owner", owner);
  if (!group.empty()) query.emplace_back("group", group);
  return done(call("PUT", path, "SETOWNER", std::move(query)));
}

Reply<void> WebHdfs::set_mode(const std::string& path, std::uint32_t mode) {
  return done(call("PUT", path, "SETPERMISSION", {{"permission", octal(mode)}}));
}

Reply<void> WebHdfs::set_modified(const std::string& path, std::int64_t milliseconds) {
  return done(call("PUT", path, "SETTIMES",
                   {{"modificationtime", std::to_string(milliseconds)}, {"accesstime", "-1"}}));
}

Reply<void> WebHdfs::set_replication(const std::string& path, std::uint32_t count) {
  return done(call("PUT", path, "SETREPLICATION", {{"replication", std::to_string(count)}}));
}

Reply<void> WebHdfs::set_acl(const std::string& path, const std::string& whole) {
  return done(call("PUT", path, "SETACL", {{"aclspec", whole}}));
}

Reply<void> WebHdfs::remove_acl(const std::string& path) {
  return done(call("PUT", path, "REMOVEACL", {}));
}

Reply<void> WebHdfs::set_xattr(const std::string& path, const component::Xattr& xattr,
                               bool is_there) {
  Query query{{"xattr.name", xattr.name}, {"flag", is_there ? "REPLACE" : "CREATE"}};
  if (!xattr.value.empty()) query.emplace_back("xattr.value", "0x" + to_hex(xattr.value));
  auto answer = call("PUT", path, "SETXATTR", query);
  if (answer) return {};
  // A try whose answer was lost has set it; what is there is set again.
  if (!is_there && says(answer.error(), "already exists")) return set_xattr(path, xattr, true);
  return std::move(answer).error();
}

Reply<void> WebHdfs::remove_xattr(const std::string& path, const std::string& name) {
  auto answer = call("PUT", path, "REMOVEXATTR", {{"xattr.name", name}});
  if (answer || says(answer.error(), "No matching attributes found")) return {};
  return std::move(answer).error();
}

Reply<void> WebHdfs::allow_snapshots(const std::string& directory) {
  return done(call("PUT", directory, "ALLOWSNAPSHOT", {}));
}

Reply<void> WebHdfs::create_snapshot(const std::string& directory, const std::string& name,
                                     Nanos patience) {
  bool in_doubt = false;  // a try's answer was lost
  for (Tries tries = this->tries(patience);;) {
    auto answer = ask(tries, "PUT", directory, "CREATESNAPSHOT", {{"snapshotname", name}});
    if (answer) return {};
    Failure failure = std::move(answer).error();
    if (failure.trouble == Trouble::snapshot &&
        says(failure, "already a snapshot with the same name")) {
      if (in_doubt) return {};
      failure.trouble = Trouble::exists;
    }
    in_doubt = in_doubt || failure.trouble == Trouble::lost;
    if (tries.again(failure)) continue;
    if (in_doubt) failure.trouble = Trouble::lost;
    return failure;
  }
}

Reply<void> WebHdfs::remove_snapshot(const std::string& directory, const std::string& name) {
  auto answer = call("DELETE", directory, "DELETESNAPSHOT", {{"snapshotname", name}});
  if (answer) return {};
  const Failure& failure = answer.error();
  const bool gone =
      failure.trouble == Trouble::missing ||
      (failure.trouble == Trouble::snapshot &&
       (says(failure, "Cannot find the snapshot") || says(failure, "the snapshot does not exist") ||
        says(failure, "not a snapshottable directory")));
  if (gone) return {};
  return std::move(answer).error();
}

Reply<std::vector<Difference>> WebHdfs::differences(const std::string& directory,
                                                    const std::string& from,
                                                    const std::string& to) {
  LOCKSTEP_TRY(const std::string body, call("GET", directory, "GETSNAPSHOTDIFF",
                                            {{"oldsnapshotname", from}, {"snapshotname", to}}));
  return read_differences(body);
}

std::optional<std::string> WebHdfs::told(const std::string& below) {
  const std::size_t first = serving_.load();
  const std::size_t count = settings_.namenodes.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto answer = http_.send("GET", settings_.namenodes[(first + i) % count] + below, kTellTime);
    if (answer && answer->status == 200) return std::move(answer->body);
  }
  return std::nullopt;
}

std::optional<bool> WebHdfs::captures_open_files() {
  static const std::string kName = "dfs.namenode.snapshot.capture.openfiles";
  const auto body = told("/conf?name=" + kName);
  const auto value = body ? read_property(*body, kName) : std::nullopt;
  if (!value) return std::nullopt;
  return *value == "true";
}

// Where web pages want to know who asks, he says so, as with every operation.
std::string WebHdfs::jmx(const char* bean) const {
  return "/jmx?user.name=" + escape(settings_.user, false) +
         "&qry=Hadoop:service=NameNode,name=" + bean;
}

std::optional<std::uint64_t> WebHdfs::remaining_space() {
  const auto body = told(jmx(kNamesystem));
  return body ? read_gauge(*body, "CapacityRemaining") : std::nullopt;
}

std::optional<WebHdfs::Gauges> WebHdfs::gauges(std::size_t namenode) {
  const auto answer =
      http_.send("GET", settings_.namenodes[namenode] + jmx(kNamesystem), kGaugeTime);
  if (!answer || answer->status != 200) return std::nullopt;
  const auto state = read_gauge_text(answer->body, "FSState");
  const auto live = read_gauge(answer->body, "NumLiveDataNodes");
  const auto dead = read_gauge(answer->body, "NumDeadDataNodes");
  const auto remaining = read_gauge(answer->body, "CapacityRemaining");
  if (!state || !live || !dead || !remaining) return std::nullopt;
  return Gauges{*state, *live, *dead, *remaining};
}

std::vector<WebHdfs::NameNode> WebHdfs::namenodes() {
  const auto ask = [this](const std::string& address) {
    auto answer = http_.send("GET", address + jmx("NameNodeStatus"), kGaugeTime);
    if (!answer) return NameNode{host_of(address), answer.error().why, false};
    if (answer->status != 200) {
      const Failure failure = read_failure(answer->status, answer->body, answer->challenge);
      return NameNode{host_of(address), "its JMX does not tell: " + failure.text, true};
    }
    auto state = read_gauge_text(answer->body, "State");
    return NameNode{host_of(address), state.value_or("its JMX does not tell"), true};
  };
  std::vector<std::future<NameNode>> asked;
  for (const std::string& address : settings_.namenodes) {
    asked.push_back(std::async(std::launch::async, ask, address));
  }
  std::vector<NameNode> out;
  for (auto& one : asked) {
    out.push_back(one.get());
    if (out.back().state == "active") serving_ = out.size() - 1;
  }
  return out;
}

}  // namespace lockstep::hdfs
