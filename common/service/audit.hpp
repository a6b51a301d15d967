// Audit: who asked this service to change something, by key, a JSON line for each, kept for ever in
// <state>/audit/<service>.jsonl (docs/watching.md, "Audit log").
//
// A line is written and synced before the command is handed over; a command that cannot be noted is
// refused. What became of it stands in the events and in the runs.
#pragma once

#include <memory>
#include <string>

#include "common/clock/clock.hpp"
#include "common/os/disk.hpp"
#include "common/transport/server.hpp"

namespace lockstep::service {

// Whether a message of this type is a person's command that changes something.
bool is_audited(const std::string& type);

// A server that notes those, and hands everything over to `server`, which outlives it.
// `path`: of the file; it and its directory are made at the first command.
// Thread rule: the reactor's thread.
std::unique_ptr<transport::Server> make_audited_server(transport::Server& server, os::Disk& disk,
                                                       const Clock& clock, std::string path);

}  // namespace lockstep::service
