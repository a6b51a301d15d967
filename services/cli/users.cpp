// lockstep users: what the clusters' directories hold, and one made like the other (docs/users.md).
#include <fmt/format.h>

#include <memory>

#include "common/message/bytes.hpp"
#include "common/os/disk.hpp"
#include "common/users/state.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

using users::Kind;

struct Wish {
  std::string cluster;
  std::string how;
  std::string point;
  bool dry_run = false;
  std::int64_t removals = -1;
  // edit
  std::string kind;
  std::string name;
  bool add = false;
  bool remove = false;
  std::string rename;
  std::vector<std::string> set;
  std::vector<std::string> unset;
  bool lock = false;
  bool unlock = false;
  std::string password_file;
  std::vector<std::string> join;
  std::vector<std::string> leave;
};

// The cluster named, or the one that is the primary now.
Result<std::string> agent_of(const Session& session, std::string cluster) {
  if (cluster.empty()) {
    LOCKSTEP_TRY(const Body status, session.call("scheduler", "status", Body::object()));
    for (const auto& one : status.at("clusters")) {
      if (field(one, "identity") == "primary") cluster = field(one, "name");
    }
  }
  const auto found = session.site().clusters.find(cluster);
  if (found == session.site().clusters.end()) {
    return make_error(ErrorCode::not_found, "no cluster is named so", cluster);
  }
  if (!found->second.directory) {
    return make_error(ErrorCode::not_found, "the cluster has no `directory`", cluster,
                      "docs/users.md says how it is named in lockstep.yaml");
  }
  return found->second.directory->agent;
}

Result<users::State> read_users(const Session& session, const std::string& agent) {
  std::string document;
  Body ask = Body::object();
  while (true) {
    LOCKSTEP_TRY(const Body part, session.call(agent, "users.read", ask, Patience::long_));
    const std::string bytes = message::bytes_of(part.at("bytes"));
    document += bytes;
    if (document.size() >= part.at("total").get<std::size_t>() || bytes.empty()) break;
    ask = {{"token", part.at("token")}, {"offset", document.size()}};
  }
  LOCKSTEP_TRY(users::Document read, users::from_document(document));
  return std::move(read.state);
}

std::string joined(const users::Values& values) {
  std::string out;
  for (const auto& value : values) out += (out.empty() ? "" : ", ") + safe(value);
  return out;
}

Result<int> show(const Options& options, const Wish& wish) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const std::string agent, agent_of(session, wish.cluster));
  LOCKSTEP_TRY(const users::State state, read_users(session, agent));
  const auto member_names = [&](const users::Record& record) {
    users::Values out;
    for (const auto& member : record.members) out.insert(state.at(member).name);
    return out;
  };
  if (options.json) {
    Body all = Body::array();
    for (const auto& [id, record] : state) {
      Body attributes = Body::object();
      for (const auto& [name, values] : record.attributes) {
        for (const auto& value : values) {
          attributes[message::show(name)].push_back(message::text_or_bytes(value));
        }
      }
      Body members = Body::array();
      for (const auto& name : member_names(record)) {
        members.push_back(message::text_or_bytes(name));
      }
      all.push_back({{"kind", kind_name(record.kind)},
                     {"id", message::text_or_bytes(id)},
                     {"name", message::text_or_bytes(record.name)},
                     {"locked", record.locked},
                     {"password", !record.passwords.empty()},
                     {"attributes", attributes},
                     {"members", members}});
    }
    print_json({{"records", std::move(all)}});
    return 0;
  }
  Table table{{"KIND", "NAME", "", "MEMBERS AND ATTRIBUTES"}};
  for (const auto& [name, id] : users::names_of(state)) {
    const users::Record& record = state.at(id);
    std::string rest = joined(member_names(record));
    for (const auto& [attribute, values] : record.attributes) {
      rest += (rest.empty() ? "" : "; ") + safe(attribute) + "=" + joined(values);
    }
    std::string marks = record.passwords.empty() ? "" : "password";
    if (record.locked) marks += (marks.empty() ? "" : " ") + paint(Colour::warn, "locked");
    table.row({kind_name(record.kind), safe(record.name), marks, rest});
  }
  print(table.empty() ? "the directory is empty" : table.text());
  return 0;
}

std::string line_of(const Body& change) {
  std::string out = fmt::format("  {} {} {}", field(change, "what"), field(change, "kind"),
                                text_of(change.at("name")));
  if (change.contains("to")) out += " to " + text_of(change.at("to"));
  if (change.contains("attribute")) out += " " + text_of(change.at("attribute"));
  if (change.contains("members")) {
    std::string members;
    for (const auto& name : change.at("members")) {
      members += (members.empty() ? "" : ", ") + text_of(name);
    }
    out += ": " + members;
  }
  return out;
}

void print_changes(const Body& done, const char* verb) {
  std::string counts;
  for (const auto& [name, count] : done.at("counts").items()) {
    if (count != 0) counts += fmt::format(", {} {}", count.get<std::uint64_t>(), name);
  }
  for (const auto& change : done.at("changes")) print(line_of(change));
  if (done.at("more").get<bool>()) print("  ...");
  print(fmt::format("{} to {}: {} records{}", field(done, "primary"), field(done, "secondary"),
                    done.at("records").get<std::uint64_t>(),
                    counts.empty() ? ", nothing to change" : fmt::format("; {}{}", verb, counts)));
}

Result<int> diff(const Options& options) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done,
               session.call("scheduler", "users.diff", Body::object(), Patience::long_));
  if (options.json) {
    print_json(done);
  } else {
    print_changes(done, "would change");
  }
  return 0;
}

Result<int> apply(const Options& options, const Wish& wish) {
  if (!wish.point.empty()) {
    LOCKSTEP_CHECK(check_id(wish.point));
    if (!wish.how.empty()) {
      return make_error(ErrorCode::usage, "what a point holds is neither pushed nor reconciled",
                        wish.point, "leave --how out");
    }
  }
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Body body{{"dry_run", wish.dry_run}};
  if (!wish.how.empty()) body["how"] = wish.how;
  if (!wish.point.empty()) body["point"] = wish.point;
  if (wish.removals >= 0) body["removals"] = wish.removals;
  LOCKSTEP_TRY(const Body done,
               session.call("scheduler", "users.sync", std::move(body), Patience::long_));
  if (options.json) {
    print_json(done);
  } else {
    print_changes(done, wish.dry_run ? "would change" : "changed");
  }
  return 0;
}

Result<Body> edit_body(const Wish& wish) {
  Body body{{"how", wish.add      ? "add"
                    : wish.remove ? "remove"
                                  : "change"},
            {"kind", wish.kind},
            {"name", message::text_or_bytes(wish.name)}};
  if (!wish.rename.empty()) body["rename"] = message::text_or_bytes(wish.rename);
  Body set = Body::object();
  for (const auto& pair : wish.set) {
    const auto sign = pair.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == pair.size()) {
      return make_error(ErrorCode::usage, "expected NAME=VALUE", pair);
    }
    set[pair.substr(0, sign)].push_back(message::text_or_bytes(pair.substr(sign + 1)));
  }
  for (const auto& name : wish.unset) set[name] = Body::array();
  if (!set.empty()) body["set"] = std::move(set);
  if (wish.lock || wish.unlock) body["locked"] = wish.lock;
  if (!wish.password_file.empty()) {
    const auto disk = os::make_kernel_disk();
    LOCKSTEP_TRY(std::string text, read_small_file(*disk, wish.password_file));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    body["passwords"] = Body::array();
    if (!text.empty()) body["passwords"].push_back(message::text_or_bytes(text));
  }
  const auto names = [&](const char* key, const std::vector<std::string>& list) {
    for (const auto& name : list) body[key].push_back(message::text_or_bytes(name));
  };
  names("join", wish.join);
  names("leave", wish.leave);
  return body;
}

Result<int> edit(const Options& options, const Wish& wish) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const std::string agent, agent_of(session, wish.cluster));
  LOCKSTEP_TRY(Body body, edit_body(wish));
  LOCKSTEP_TRY(const Body done, session.call(agent, "users.edit", std::move(body)));
  if (options.json) {
    print_json(done);
    return 0;
  }
  for (const auto& change : done.at("changes")) print(line_of(change));
  if (done.at("changes").empty()) print("nothing to change");
  return 0;
}

}  // namespace

void add_users(Registry& registry) {
  CLI::App* group = registry.group("users", "User data: what the clusters' directories hold");
  auto wish = std::make_shared<Wish>();

  CLI::App* command = registry.command("show", "The users, groups and roles of a cluster",
                                       "lockstep users show --cluster south", group);
  command->add_option("--cluster", wish->cluster, "Of which cluster; default: the primary");
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return show(registry.options(), *wish); });

  command = registry.command("diff", "What `users apply` would change in the secondary's directory",
                             "lockstep users diff", group);
  registry.takes_json(command);
  registry.on(command, [&registry] { return diff(registry.options()); });

  command = registry.command("apply", "Make the secondary's directory like the primary's",
                             "lockstep users apply --how push", group);
  command->add_option("--how", wish->how, "push or reconcile; default: as lockstep.yaml has it")
      ->check(CLI::IsMember({"push", "reconcile"}));
  command->add_option("--point", wish->point,
                      "What this point holds, into the directory of the cluster that keeps it");
  command->add_flag("--dry-run", wish->dry_run, "Say what would be done");
  command->add_option("--removals", wish->removals, "Allow so many removals this once")
      ->check(CLI::NonNegativeNumber);
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return apply(registry.options(), *wish); });

  command = registry.command(
      "edit", "Change a user, a group or a role of an embedded store",
      "lockstep users edit user anna --add --set mail=anna@example.org --join staff", group);
  command->add_option("KIND", wish->kind, "user, group or role")
      ->required()
      ->check(CLI::IsMember({"user", "group", "role"}));
  command->add_option("NAME", wish->name, "Its name")->required();
  auto* add = command->add_flag("--add", wish->add, "It is new");
  command->add_flag("--remove", wish->remove, "It goes")->excludes(add);
  command->add_option("--rename", wish->rename, "Its new name");
  command->add_option("--set", wish->set, "NAME=VALUE: an attribute; repeated: several values");
  command->add_option("--unset", wish->unset, "An attribute that goes");
  auto* lock = command->add_flag("--lock", wish->lock, "Lock the account");
  command->add_flag("--unlock", wish->unlock, "Unlock it")->excludes(lock);
  command->add_option("--password-file", wish->password_file,
                      "A file with the password's hash; an empty one: none");
  command->add_option("--join", wish->join, "A group or role that it becomes a member of");
  command->add_option("--leave", wish->leave, "One that it is no member of any more");
  command->add_option("--cluster", wish->cluster, "Of which cluster; default: the primary");
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return edit(registry.options(), *wish); });
}

}  // namespace lockstep::cli
