#include "common/users/ldap/ldap.hpp"

#include <functional>
#include <utility>

#include "common/users/ldap/connection.hpp"
#include "common/users/ldap/names.hpp"

namespace lockstep::users {

namespace {

using What = Change::What;

constexpr int kReadings = 10;

bool contains_class(const Values& classes, const char* name) {
  for (const auto& one : classes) {
    if (lower(one) == name) return true;
  }
  return false;
}

// How a group's members stand in it.
enum class Form { dn, unique_dn, uid };
Form form_of(const Record& record) {
  const auto found = record.attributes.find("objectclass");
  if (found == record.attributes.end()) return Form::dn;
  if (contains_class(found->second, "groupofuniquenames")) return Form::unique_dn;
  if (contains_class(found->second, "posixgroup") &&
      !contains_class(found->second, "groupofnames")) {
    return Form::uid;
  }
  return Form::dn;
}
const char* member_attribute(Form form) {
  return form == Form::dn ? "member" : form == Form::unique_dn ? "uniqueMember" : "memberUid";
}
// Its object class asks for one at least; the group itself then stands for nobody.
bool needs_member(const Record& record) {
  const auto found = record.attributes.find("objectclass");
  return found != record.attributes.end() && (contains_class(found->second, "groupofnames") ||
                                              contains_class(found->second, "groupofuniquenames"));
}

// Fields of one record go together, in one modification.
bool is_field(const Change& change) {
  return change.what == What::set || change.what == What::passwords || change.what == What::lock ||
         change.what == What::unlock;
}

bool in_any_order(const Change& before, const Change& change) {
  if (is_field(before) && is_field(change)) return true;
  return before.what == change.what && before.kind == change.kind && before.id != change.id &&
         change.kind != Kind::unit && change.what != What::rename && change.what != What::adopt;
}

class Ldap final : public Store {
 public:
  explicit Ldap(LdapSettings settings) : settings_(std::move(settings)), server_(settings_) {}

  const char* kind() const override { return "ldap"; }

  Result<void> probe() override {
    auto answered = context_csn();
    if (!answered && answered.error().code == ErrorCode::unreachable) answered = context_csn();
    if (!answered) return answered.error();
    return {};
  }

  Result<State> read() override {
    return read_unchanged([] {}, {});
  }

  Result<Reading> capture(const Clock& clock, const std::stop_token& stop) override {
    Reading out;
    out.store = kind();
    LOCKSTEP_TRY(out.state, read_unchanged([&] { out.during.requested = clock.utc(); }, stop));
    out.during.acknowledged = clock.utc();
    return out;
  }

  Result<void> apply(const State& present, const Changes& changes, const OnDone& on_done) override {
    state_ = present;
    std::size_t done = 0;
    const Change* before = nullptr;
    Result<void> carried;
    for (const Change& change : changes) {
      // What may be carried out in any order goes without waiting.
      if (before == nullptr || !in_any_order(*before, change)) carried = settle();
      if (carried) carried = carry_out(change);
      if (!carried) break;
      if (!on_done(++done)) {
        carried = make_error(ErrorCode::cancelled, "applying user data was stopped", settings_.url,
                             "the next `lockstep users apply` goes on");
        break;
      }
      before = &change;
    }
    auto settled = settle();
    state_.clear();
    if (!carried) return carried;
    return settled;
  }

 private:
  // Of one moment: nothing was written from before to after. A server that keeps no contextCSN
  // (without the overlay syncprov) is read until it says the same twice. `begun` is told each time
  // that what is returned in the end may have been read from now on.
  Result<State> read_unchanged(const std::function<void()>& begun, const std::stop_token& stop) {
    begun();
    auto before = context_csn();
    if (!before && before.error().code == ErrorCode::unreachable) before = context_csn();
    if (!before) return before.error();
    Result<State> last = read_once();
    for (int i = 0; i < kReadings; ++i) {
      // What does not fit together may have been changed between two searches: source-read.
      if (!last && last.error().code != ErrorCode::source_read) return last;
      if (stop.stop_requested()) {
        return make_error(ErrorCode::cancelled, "reading the directory was stopped", settings_.url);
      }
      LOCKSTEP_TRY(const std::string after, context_csn());
      if (!after.empty() && after == *before) return last;
      if (after.empty() && !last) return last;
      if (!after.empty()) begun();
      *before = after;
      auto next = read_once();
      if (after.empty() && next && *next == *last) return next;
      last = std::move(next);
    }
    return make_error(ErrorCode::source_read,
                      "the directory changed while it was read, again and again", settings_.url,
                      "do it when fewer changes are made");
  }

  Result<std::string> context_csn() {
    std::string out;
    if (suffix_.empty()) {
      LOCKSTEP_CHECK(
          server_.search("", LDAP_SCOPE_BASE, {"namingContexts"}, [this](const Entry& entry) {
            const auto found = entry.attributes.find("namingcontexts");
            if (found == entry.attributes.end()) return;
            for (const auto& suffix : found->second) {
              const bool fits = normal_dn(suffix) == normal_dn(settings_.base) ||
                                !below(settings_.base, suffix).empty();
              if (fits && suffix.size() > suffix_.size()) suffix_ = suffix;
            }
          }));
    }
    if (suffix_.empty()) return out;
    LOCKSTEP_CHECK(
        server_.search(suffix_, LDAP_SCOPE_BASE, {"contextCSN"}, [&out](const Entry& entry) {
          const auto found = entry.attributes.find("contextcsn");
          if (found == entry.attributes.end()) return;
          for (const auto& csn : found->second) out += csn + " ";
        }));
    return out;
  }

  Result<State> read_once() {
    State state;
    std::map<std::string, std::string> ids;           // by DN
    std::map<std::string, std::string> ids_of_users;  // by uid
    std::map<std::string, std::pair<Form, Values>> members;
    fillers_.clear();
    const std::vector<std::string> attributes{"*", "entryUUID", settings_.lock_attribute};
    const auto read_tree = [&](Kind kind, const std::string& tree) {
      return server_.search(
          tree + "," + settings_.base, LDAP_SCOPE_SUBTREE, attributes, [&](Entry entry) {
            Record record = record_of(kind, entry);
            if (record.name.empty() || record.id.empty()) return;
            ids.emplace(normal_dn(entry.dn), record.id);
            if (record.kind == Kind::user) {
              for (const auto& uid : record.attributes["uid"]) ids_of_users.emplace(uid, record.id);
              if (record.attributes["uid"].empty()) record.attributes.erase("uid");
            }
            const Form form = form_of(record);
            auto held = entry.attributes.extract(lower(member_attribute(form)));
            if (!held.empty() && record.kind != Kind::user && record.kind != Kind::unit) {
              members.emplace(record.id, std::pair(form, std::move(held.mapped())));
              record.attributes.erase(lower(member_attribute(form)));
            }
            state.emplace(record.id, std::move(record));
          });
    };
    for (const auto& tree : settings_.users) LOCKSTEP_CHECK(read_tree(Kind::user, tree));
    for (const auto& tree : settings_.groups) LOCKSTEP_CHECK(read_tree(Kind::group, tree));
    for (const auto& tree : settings_.roles) LOCKSTEP_CHECK(read_tree(Kind::role, tree));
    // Members that lie in none of the subtrees are not Lockstep's, and left alone.
    for (const auto& [id, held] : members) {
      Record& record = state.at(id);
      for (const auto& value : held.second) {
        const auto& by = held.first == Form::uid ? ids_of_users : ids;
        const auto found = by.find(held.first == Form::uid ? value : normal_dn(value));
        if (found == by.end()) continue;
        if (found->second == id) {
          fillers_.insert(id);
        } else {
          record.members.insert(found->second);
        }
      }
    }
    LOCKSTEP_CHECK(check(state));
    return state;
  }

  Record record_of(Kind kind, const Entry& entry) const {
    Record record;
    record.name = below(entry.dn, settings_.base);
    const auto classes = entry.attributes.find("objectclass");
    const bool unit =
        classes != entry.attributes.end() && contains_class(classes->second, "organizationalunit");
    record.kind = unit ? Kind::unit : kind;
    for (const auto& [name, values] : entry.attributes) {
      if (name == "entryuuid") {
        record.id = *values.begin();
      } else if (name == lower(settings_.lock_attribute)) {
        record.locked = values.contains(settings_.lock_value);
      } else if (name == "userpassword") {
        record.passwords = values;
      } else if (!values.empty()) {
        record.attributes.emplace(name, values);
      }
    }
    if (unit) record.id = "unit:" + lower(record.name);
    return record;
  }

  std::string dn_of(const std::string& id) const {
    return state_.at(id).name + "," + settings_.base;
  }

  Values member_values(Form form, const Values& ids) const {
    Values out;
    for (const auto& id : ids) {
      const auto found = state_.find(id);
      if (found == state_.end()) continue;
      if (form != Form::uid) {
        out.insert(dn_of(id));
      } else if (const auto uid = found->second.attributes.find("uid");
                 uid != found->second.attributes.end()) {
        out.insert(*uid->second.begin());
      }
    }
    return out;
  }

  // One record's fields, until another one's turn comes.
  Result<void> field(const std::string& dn, Modification modification) {
    if (dn != fields_of_) LOCKSTEP_CHECK(flush());
    fields_of_ = dn;
    fields_.push_back(std::move(modification));
    return {};
  }
  Result<void> flush() {
    const std::vector<Modification> all = std::exchange(fields_, {});
    if (all.empty()) return {};
    return server_.modify(fields_of_, all);
  }
  Result<void> settle() {
    const auto flushed = flush();
    auto settled = server_.settle();
    if (!flushed) return flushed;
    return settled;
  }

  Result<void> carry_out(const Change& change) {
    if (change.what == What::add) return add(change);
    const auto found = state_.find(change.id);
    if (found == state_.end()) {
      return make_error(ErrorCode::internal, "a change of user data does not fit", change.name);
    }
    Record& record = found->second;
    const std::string dn = dn_of(change.id);
    switch (change.what) {
      case What::adopt: {
        LOCKSTEP_CHECK(server_.modify(dn, {{LDAP_MOD_REPLACE, "entryUUID", {change.to}}}, true));
        Record now = record;
        now.id = change.to;
        state_.erase(found);
        state_.emplace(change.to, std::move(now));
        for (auto& [id, other] : state_) {
          if (other.members.erase(change.id) != 0) other.members.insert(change.to);
        }
        return {};
      }
      case What::remove:
        state_.erase(found);
        return server_.remove(dn);
      case What::rename:
        return rename(change, record, dn);
      case What::set:
        if (change.values.empty()) {
          record.attributes.erase(change.attribute);
        } else {
          record.attributes[change.attribute] = change.values;
        }
        return field(dn, {LDAP_MOD_REPLACE, change.attribute, change.values});
      case What::passwords:
        LOCKSTEP_CHECK(field(dn, {LDAP_MOD_REPLACE, "userPassword", change.values}));
        if (!record.locked) return {};
        // The overlay ppolicy unlocks an account whose password changes: it is locked again, until
        // a change says otherwise.
        LOCKSTEP_CHECK(settle());
        LOCKSTEP_CHECK(server_.modify(
            dn, {{LDAP_MOD_REPLACE, settings_.lock_attribute, {settings_.lock_value}}}));
        return settle();
      case What::lock:
        return field(dn, {LDAP_MOD_REPLACE, settings_.lock_attribute, {settings_.lock_value}});
      case What::unlock:
        return field(dn, {LDAP_MOD_DELETE, settings_.lock_attribute, {}});
      case What::join:
        return join(change, record, dn);
      case What::leave:
        return leave(change, record, dn);
      case What::add:
        break;
    }
    return {};
  }

  Result<void> add(const Change& change) {
    const Record& record = *change.record;
    state_.emplace(record.id, record);
    const std::string dn = dn_of(record.id);
    std::map<std::string, Values> attributes = record.attributes;
    for (const auto& [name, value] : rdn_values(record.name)) attributes[name].insert(value);
    if (!record.passwords.empty()) attributes["userPassword"] = record.passwords;
    if (record.locked) attributes[settings_.lock_attribute] = {settings_.lock_value};
    if (needs_member(record)) {
      attributes[member_attribute(form_of(record))] = {dn};
      fillers_.insert(record.id);
    }
    const bool unit = record.kind == Kind::unit;
    if (!unit) attributes["entryUUID"] = {record.id};
    std::vector<Modification> all;
    for (auto& [name, values] : attributes) all.push_back({LDAP_MOD_ADD, name, std::move(values)});
    return server_.add(dn, all, !unit);
  }

  // A name of a member stands in its groups, too; a server with the overlay refint has seen to it.
  Result<void> rename(const Change& change, Record& record, const std::string& dn) {
    const auto [rdn, rest] = split_dn(change.to);
    const std::string parent = rest.empty() ? settings_.base : rest + "," + settings_.base;
    const Values uids_before = member_values(Form::uid, {change.id});
    LOCKSTEP_CHECK(server_.rename(dn, rdn, parent));
    LOCKSTEP_CHECK(server_.settle());
    for (const auto& [name, value] : rdn_values(record.name)) record.attributes[name].erase(value);
    record.name = change.to;
    for (const auto& [name, value] : rdn_values(record.name)) {
      record.attributes[name].insert(value);
    }
    for (const auto& [id, holder] : state_) {
      const bool own = id == change.id && fillers_.contains(id);
      if (!own && !holder.members.contains(change.id)) continue;
      const Form form = form_of(holder);
      const Values old = form == Form::uid ? uids_before : Values{dn};
      const Values now = member_values(form, {change.id});
      if (old == now) continue;
      const std::string attribute = member_attribute(form);
      const std::string at = dn_of(id);
      LOCKSTEP_CHECK(
          server_.modify(at, {{LDAP_MOD_ADD, attribute, now}}, false, LDAP_TYPE_OR_VALUE_EXISTS));
      LOCKSTEP_CHECK(server_.settle());
      LOCKSTEP_CHECK(
          server_.modify(at, {{LDAP_MOD_DELETE, attribute, old}}, false, LDAP_NO_SUCH_ATTRIBUTE));
      LOCKSTEP_CHECK(server_.settle());
    }
    return {};
  }

  Result<void> join(const Change& change, Record& record, const std::string& dn) {
    const Form form = form_of(record);
    const Values values = member_values(form, change.values);
    record.members.insert(change.values.begin(), change.values.end());
    if (values.empty()) return {};
    std::vector<Modification> all{{LDAP_MOD_ADD, member_attribute(form), values}};
    if (fillers_.erase(change.id) != 0) {
      all.push_back({LDAP_MOD_DELETE, member_attribute(form), {dn}});
    }
    return server_.modify(dn, all);
  }

  Result<void> leave(const Change& change, Record& record, const std::string& dn) {
    const Form form = form_of(record);
    const Values values = member_values(form, change.values);
    for (const auto& member : change.values) record.members.erase(member);
    std::vector<Modification> all;
    if (record.members.empty() && needs_member(record) && fillers_.insert(change.id).second) {
      all.push_back({LDAP_MOD_ADD, member_attribute(form), {dn}});
    }
    if (!values.empty()) all.push_back({LDAP_MOD_DELETE, member_attribute(form), values});
    if (all.empty()) return {};
    return server_.modify(dn, all);
  }

  const LdapSettings settings_;
  Connection server_;
  std::string suffix_;
  Values fillers_;  // groups that hold themselves, because they have to hold somebody
  std::string fields_of_;
  std::vector<Modification> fields_;
  State state_;  // while changes are applied
};

}  // namespace

std::unique_ptr<Store> make_ldap(LdapSettings settings) {
  return std::make_unique<Ldap>(std::move(settings));
}

}  // namespace lockstep::users
