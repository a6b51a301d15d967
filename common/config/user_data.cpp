#include "common/config/user_data.hpp"

namespace lockstep::config {

namespace {

// LDAP knows attributes in any case.
std::set<std::string> set_of(const Value& value, bool lower) {
  auto texts = value.texts().value_or(std::vector<std::string>{});
  for (auto& text : texts) {
    for (char& c : text) {
      if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return {texts.begin(), texts.end()};
}

Ldap read_ldap(Map& map, const std::function<std::string(const std::optional<Value>&)>& absolute) {
  Ldap out;
  if (const auto url = map.require("url", "of the LDAP server")) {
    out.url = url->text().value_or("");
    const bool known = out.url.starts_with("ldapi://") || out.url.starts_with("ldaps://") ||
                       out.url.starts_with("ldap://");
    if (!out.url.empty() && !known) {
      url->problem(ErrorCode::config_bad_value, "expected an LDAP address, found `" + out.url + "`",
                   "ldapi://, ldaps:// or ldap://");
    }
  }
  if (const auto base = map.require("base", "the DN below which all lies")) {
    out.base = base->text().value_or("");
  }
  const auto bind = map.find("bind");
  if (bind) {
    out.bind = bind->text().value_or("");
    out.password_file = absolute(map.require("password_file", "with the password of `bind`"));
  } else if (!out.url.empty() && !out.url.starts_with("ldapi://")) {
    map.problem(ErrorCode::config_missing_key, "`bind` is missing",
                "only ldapi:// knows the agent without it");
  }
  const auto trees = [](const char* key, const std::optional<Value>& found) {
    auto texts =
        found ? found->texts().value_or(std::vector<std::string>{}) : std::vector<std::string>{};
    for (const auto& tree : texts) {
      if (tree.find('=') != std::string::npos) continue;
      found->problem(ErrorCode::config_bad_value,
                     "expected a name below the base, found `" + tree + "`",
                     "such as ou=" + std::string(key));
    }
    return texts;
  };
  out.users = trees("people", map.require("users", "the subtrees with users"));
  out.groups = trees("groups", map.find("groups"));
  out.roles = trees("roles", map.find("roles"));
  if (const auto lock = map.find("lock")) {
    if (auto locked = lock->map()) {
      if (const auto attribute = locked->require("attribute", "that a locked account has")) {
        out.lock_attribute = attribute->text().value_or("");
      }
      if (const auto wanted = locked->require("value", "that it has then")) {
        out.lock_value = wanted->text().value_or("");
      }
      locked->finish();
    }
  }
  return out;
}

}  // namespace

UserData read_user_data(const Value& value) {
  UserData out;
  auto map = value.map();
  if (!map) return out;
  if (const auto mode = map->find("mode")) {
    out.push = mode->choice({"push", "reconcile"}).value_or(0) == 0;
  }
  if (const auto guard = map->find("guard")) {
    if (auto limits = guard->map()) {
      if (const auto removals = limits->find("removals")) {
        out.removals = static_cast<std::size_t>(removals->integer(0, 1'000'000'000).value_or(0));
      }
      if (const auto percent = limits->find("percent")) {
        out.percent = static_cast<std::size_t>(percent->integer(0, 100).value_or(0));
      }
      limits->finish();
    }
  }
  if (const auto attributes = map->find("attributes")) out.attributes = set_of(*attributes, false);
  map->finish();
  return out;
}

UserStore read_user_store(const Value& value,
                          const std::function<std::string(const std::optional<Value>&)>& absolute) {
  UserStore out;
  auto map = value.map();
  if (!map) return out;
  const auto store = map->require("store", "embedded or ldap");
  const bool ldap = store && store->choice({"embedded", "ldap"}).value_or(0) == 1;
  if (ldap) {
    out.store = "ldap";
    out.ldap = read_ldap(*map, absolute);
  } else {
    out.path = absolute(map->require("path", "where its database lies"));
  }
  if (const auto agent = map->find("agent")) out.agent = agent->name().value_or("");
  if (const auto own = map->find("own")) out.own = set_of(*own, ldap);
  map->finish();
  return out;
}

}  // namespace lockstep::config
