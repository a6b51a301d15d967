// What the main() of every service does: arguments, configuration, log, journal, sockets, signals,
// `ping`, events, and a clean end.
//
//   int main(int argc, char** argv) {
//     return lockstep::service::run(argc, argv, Role::policy, migrations(), [](Surroundings& here)
//     {
//       ...                                   // make the service, register its handlers
//     });
//   }
//
// Arguments: --config FILE --name NAME. Exit status: 0 after SIGTERM or SIGINT, else that of the
// error (common/errors.yaml).
//
// The journal lies in <state>/<name>.db. One that is corrupt is set aside and begun anew, once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock/clock.hpp"
#include "common/config/site.hpp"
#include "common/journal/journal.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "common/transport/client.hpp"
#include "common/transport/events.hpp"
#include "common/transport/peer.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/server.hpp"

namespace lockstep::service {

// What a service works with. All of it lives longer than what the setup makes.
// Thread rule: `reactor`, `server`, `client` and `events` as their headers say; `fail` from any
// thread; `snapshot` and `epoch` are set by the setup and called on the reactor's thread.
struct Surroundings {
  std::string name;     // of this service, as in lockstep.yaml
  std::string version;  // of the program
  const config::Site& site;
  const transport::Directory& directory;
  const Clock& clock;
  os::Disk& disk;
  os::Processes& processes;
  journal::Journal& journal;
  bool journal_is_new = false;  // the old one was corrupt and was set aside
  transport::Reactor& reactor;
  transport::Server& server;
  transport::Client& client;
  transport::EventPublisher& events;

  // The service's state, given with a gap in its events. Not set: an empty map.
  std::function<message::Body()> snapshot;
  // The identity epoch that `ping` tells. Not set: the site's first.
  std::function<message::Epoch()> epoch;
  // Ends the process with this error's exit status: what journal-write asks for, and whatever else
  // cannot be gone on from. The reactor stops; returns at once.
  std::function<void(const Error&)> fail;
};

// Makes the service and registers its handlers; returns what has to live while it runs. That is
// destroyed first when the reactor has stopped: its threads end there.
using Setup = std::function<Result<std::shared_ptr<void>>(Surroundings&)>;

int run(int argc, char** argv, transport::Role role, const journal::Migrations& migrations,
        const Setup& setup);

// The site's first epoch, which holds until a promotion.
message::Epoch first_epoch(const config::Site& site);

}  // namespace lockstep::service
