// Who is who, from lockstep.yaml and the key files beside it.
#include "common/config/site.hpp"
#include "common/os/disk.hpp"
#include "common/transport/keys.hpp"

namespace lockstep::config {

namespace {

using transport::Directory;
using transport::Party;
using transport::Role;

void add(Directory& directory, Party party) {
  const std::string name = party.name;
  directory.parties.emplace(name, std::move(party));
}

Party person(const std::string& name, Role role) {
  Party party;
  party.name = name;
  party.role = role;
  return party;
}

// Where a service listens at every address of its host. A connection to 0.0.0.0 goes to the host
// itself (ip(7)), so that it finds itself there, too.
std::string at_every_address(const std::string& endpoint) {
  if (!endpoint.starts_with("tcp://")) return endpoint;
  return "tcp://0.0.0.0" + endpoint.substr(endpoint.rfind(':'));
}

}  // namespace

Result<Directory> Site::directory(const std::string& self) const {
  Directory out;
  out.self = self;
  out.insecure = insecure;
  for (const auto& service : control) {
    Party party =
        person(service.name, transport::role_from_name(service.name).value_or(Role::policy));
    party.endpoint = service.endpoint;
    party.events = service.events;
    add(out, std::move(party));
  }
  for (const auto& [cluster_name, cluster] : clusters) {
    for (const auto& agent : cluster.agents) {
      Party party = person(agent.name, agent.role);
      party.cluster = cluster_name;
      party.endpoint = agent.endpoint;
      party.bulk = agent.bulk;
      party.events = agent.events;
      party.registrar = agent.registrar;
      add(out, std::move(party));
    }
  }
  for (const auto& user : users) add(out, person(user, Role::user));
  for (const auto& subscriber : subscribers) {
    const auto* own = out.find(self);
    const bool outsider = gateway && own != nullptr && own->role != Role::gateway;
    if (!outsider || own->role == Role::user) add(out, person(subscriber, Role::subscriber));
  }

  if (!out.parties.contains(self)) {
    return make_error(ErrorCode::not_found, "no party of this site is named `" + self + "`", file,
                      "names stand under control, clusters, users and subscribers");
  }
  for (const auto& way : injection.through) {
    if (injection.allowed && way.from == self) out.parties.at(way.to).endpoint = way.endpoint;
  }
  if (bind_all) {
    Party& own = out.parties.at(self);
    for (auto* endpoint : {&own.endpoint, &own.events, &own.bulk}) {
      *endpoint = at_every_address(*endpoint);
    }
  }
  if (keys.empty()) return out;
  const auto disk = os::make_kernel_disk();
  for (auto& [party_name, party] : out.parties) {
    LOCKSTEP_TRY(party.public_key, transport::read_public_key(*disk, keys, party_name));
  }
  LOCKSTEP_TRY(out.secret_key, transport::read_secret_key(*disk, keys, self));
  if (transport::public_key_of(out.secret_key) != out.parties.at(self).public_key) {
    return make_error(ErrorCode::key_unreadable,
                      "the secret and the public key of `" + self + "` do not belong together",
                      transport::secret_key_path(keys, self),
                      "copy both from the host where `lockstep keys init` made them");
  }
  return out;
}

}  // namespace lockstep::config
