#include "common/service/audit.hpp"

#include <fcntl.h>

#include <set>
#include <span>

#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/service/log.hpp"

namespace lockstep::service {

namespace {

constexpr std::size_t kMostOfABody = 4096;

Result<void> append(os::Disk& disk, const std::string& path, const std::string& line) {
  LOCKSTEP_CHECK(os::make_directories(disk, os::directory_of(path)));
  auto file = disk.open(os::kCwd, path, O_RDWR | O_CREAT, 0600);
  if (!file) return os::write_error(file.error(), "open the audit log", path);
  const auto status = disk.stat_at(os::kCwd, path);
  if (!status) return os::write_error(status.error(), "look at the audit log", path);
  const auto end = static_cast<std::uint64_t>(status->st_size);
  // A line that a power loss cut short is ended first.
  std::byte last{'\n'};
  if (end > 0) {
    const auto read = disk.read_at(file->get(), end - 1, std::span(&last, 1));
    if (!read) return os::write_error(read.error(), "read the end of the audit log", path);
  }
  const std::string text = last == std::byte{'\n'} ? line : "\n" + line;
  const auto bytes = std::as_bytes(std::span<const char>(text.data(), text.size()));
  if (auto written = disk.write_at(file->get(), end, bytes); !written) {
    return os::write_error(written.error(), "write the audit log", path);
  }
  if (auto synced = disk.fdatasync(file->get()); !synced) {
    return os::write_error(synced.error(), "sync the audit log", path);
  }
  if (end == 0) return os::make_names_last(disk, os::directory_of(path));
  return {};
}

class AuditedServer final : public transport::Server {
 public:
  AuditedServer(transport::Server& server, os::Disk& disk, const Clock& clock, std::string path)
      : server_(server), disk_(disk), clock_(clock), path_(std::move(path)) {}

  void on(const std::string& type, std::set<transport::Role> roles, Handler handler) override {
    if (!is_audited(type)) {
      server_.on(type, std::move(roles), std::move(handler));
      return;
    }
    server_.on(type, std::move(roles),
               [this, handler = std::move(handler)](const transport::Request& request) {
                 if (request.peer().role == transport::Role::user) {
                   if (const auto noted = note(request); !noted) {
                     log_error(noted.error());
                     request.failed(noted.error());
                     return;
                   }
                 }
                 handler(request);
               });
  }
  void on_refusal(OnRefusal callback) override { server_.on_refusal(std::move(callback)); }

 private:
  Result<void> note(const transport::Request& request) {
    const auto& envelope = request.envelope();
    message::Body row{{"time", to_rfc3339(clock_.utc())},
                      {"by", request.peer().name},
                      {"key", request.peer().public_key},
                      {"type", envelope.type},
                      {"id", envelope.id}};
    message::Body body = message::showable(envelope.body);
    // A policy's text is kept by the policy service.
    if (body.dump().size() > kMostOfABody) body = {{"service", body.value("service", "")}};
    body.erase("yaml");
    if (body.contains("passwords")) body["passwords"] = body.at("passwords").size();  // not which
    row["body"] = std::move(body);
    return append(disk_, path_, row.dump() + "\n");
  }

  transport::Server& server_;
  os::Disk& disk_;
  const Clock& clock_;
  std::string path_;
};

}  // namespace

bool is_audited(const std::string& type) {
  static const std::set<std::string> kTypes{
      "policy.apply", "policy.remove",  "policy.pause",    "policy.resume", "run.start",
      "run.abort",    "run.resume",     "prune",           "point.delete",  "point.restore",
      "promote",      "policy.recover", "point.drill",     "log.level",     "injection.mark",
      "users.edit",   "users.sync",     "snapshot.release"};
  return kTypes.contains(type);
}

std::unique_ptr<transport::Server> make_audited_server(transport::Server& server, os::Disk& disk,
                                                       const Clock& clock, std::string path) {
  return std::make_unique<AuditedServer>(server, disk, clock, std::move(path));
}

}  // namespace lockstep::service
