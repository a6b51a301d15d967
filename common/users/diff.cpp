#include "common/users/diff.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>

namespace lockstep::users {

namespace {

using What = Change::What;

constexpr std::array kWhats{"adopt", "leave",     "remove", "rename", "add",
                            "set",   "passwords", "lock",   "unlock", "join"};

Values without(const Values& all, const Values& less) {
  Values out;
  std::set_difference(all.begin(), all.end(), less.begin(), less.end(),
                      std::inserter(out, out.end()));
  return out;
}

// What is deeper in a tree of names comes later.
bool outer_first(const Record* left, const Record* right) {
  const auto depth = [](const Record* record) {
    return std::count(record->name.begin(), record->name.end(), ',');
  };
  return std::pair(depth(left), left->name) < std::pair(depth(right), right->name);
}

struct Rename {
  Kind kind;
  std::string id;
  std::string from;
  std::string to;
};

// "uid=anna,ou=people" to "uid=anna~1,ou=people": a name on the way, of the same form.
std::string passing_name(const Name& name, const std::map<Name, std::string>& taken,
                         const std::map<Name, std::string>& reserved) {
  const auto comma = std::min(name.second.find(','), name.second.size());
  for (int i = 1;; ++i) {
    std::string out = name.second;
    out.insert(comma, "~" + std::to_string(i));
    const Name passing{name.first, out};
    if (!taken.contains(passing) && !reserved.contains(passing)) return out;
  }
}

// Each rename's name is free when its turn comes; a ring of them is opened by a passing name.
// `taken`: the names once what goes is gone; also those still wanted must not serve in passing.
class Renames {
 public:
  Renames(std::vector<Rename> renames, std::map<Name, std::string> taken, Changes& out)
      : renames_(std::move(renames)), taken_(std::move(taken)), out_(out) {
    for (std::size_t i = 0; i < renames_.size(); ++i) {
      const Name to{renames_[i].kind, renames_[i].to};
      if (taken_.contains(to)) {
        waiting_.emplace(to, i);
      } else {
        ready_.push_back(i);
      }
      reserved_.emplace(to, renames_[i].id);
    }
  }

  void carry_out() {
    drain();
    while (!waiting_.empty()) {
      const std::size_t first = waiting_.begin()->second;
      Rename& rename = renames_[first];
      move(rename, passing_name({rename.kind, rename.from}, taken_, reserved_));
      drain();
    }
  }

 private:
  void move(Rename& rename, const std::string& to) {
    Change change{What::rename, rename.kind, rename.id, rename.from};
    change.to = to;
    out_.push_back(change);
    const Name from{rename.kind, rename.from};
    taken_.erase(from);
    taken_.emplace(Name{rename.kind, to}, rename.id);
    rename.from = to;
    if (const auto next = waiting_.find(from); next != waiting_.end()) {
      ready_.push_back(next->second);
      waiting_.erase(next);
    }
  }
  void drain() {
    while (!ready_.empty()) {
      const std::size_t next = ready_.front();
      ready_.pop_front();
      move(renames_[next], renames_[next].to);
    }
  }

  std::vector<Rename> renames_;
  std::map<Name, std::string> taken_;
  std::map<Name, std::string> reserved_;
  std::map<Name, std::size_t> waiting_;
  std::deque<std::size_t> ready_;
  Changes& out_;
};

// The two sides as they face each other.
struct Pairs {
  std::vector<std::pair<Record, const Record*>> both;  // present (with the wanted id), wanted
  std::vector<const Record*> added;
  std::vector<const Record*> gone;
};

Change about(What what, const Record& record) {
  return {what, record.kind, record.id, record.name};
}

Pairs pair_up(const State& present, const State& wanted, Changes& out) {
  Pairs pairs;
  const auto names = names_of(present);
  std::set<std::string> met;
  std::map<std::string, std::string> adopted;
  const auto same = [&](const Record& record) -> const Record* {
    const auto found = present.find(record.id);
    return found != present.end() && found->second.kind == record.kind ? &found->second : nullptr;
  };
  for (const auto& [id, record] : wanted) {
    if (same(record) != nullptr) met.insert(id);
  }
  for (const auto& [id, record] : wanted) {
    if (same(record) != nullptr || present.contains(id)) continue;
    const auto named = names.find(Name{record.kind, record.name});
    if (named == names.end() || met.contains(named->second)) continue;
    met.insert(named->second);
    adopted.emplace(named->second, id);
    Change change = about(What::adopt, present.at(named->second));
    change.to = id;
    out.push_back(change);
  }
  std::map<std::string, std::string> from;
  for (const auto& [before, now] : adopted) from.emplace(now, before);
  for (const auto& [id, record] : wanted) {
    const auto taken_over = from.find(id);
    const Record* before =
        taken_over != from.end() ? &present.at(taken_over->second) : same(record);
    if (before == nullptr) {
      pairs.added.push_back(&record);
      continue;
    }
    Record now = *before;
    now.id = id;
    now.members.clear();
    for (const auto& member : before->members) {
      const auto other = adopted.find(member);
      now.members.insert(other == adopted.end() ? member : other->second);
    }
    pairs.both.emplace_back(std::move(now), &record);
  }
  for (const auto& [id, record] : present) {
    if (!met.contains(id)) pairs.gone.push_back(&record);
  }
  return pairs;
}

void change_fields(const Record& now, const Record& wanted, const Scope& scope, Changes& out) {
  const auto set = [&](const std::string& attribute, const Values& values) {
    Change change = about(What::set, wanted);
    change.attribute = attribute;
    change.values = values;
    out.push_back(std::move(change));
  };
  for (const auto& [attribute, values] : wanted.attributes) {
    const auto found = now.attributes.find(attribute);
    const bool equal = found != now.attributes.end() && found->second == values;
    if (scope.covers(attribute) && !equal) set(attribute, values);
  }
  for (const auto& [attribute, values] : now.attributes) {
    if (scope.covers(attribute) && !wanted.attributes.contains(attribute)) set(attribute, {});
  }
  if (now.passwords != wanted.passwords) {
    Change change = about(What::passwords, wanted);
    change.values = wanted.passwords;
    out.push_back(std::move(change));
  }
  if (now.locked != wanted.locked) {
    out.push_back(about(wanted.locked ? What::lock : What::unlock, wanted));
  }
}

void add(const Record& wanted, const Scope& scope, Changes& out) {
  Change change = about(What::add, wanted);
  change.record = wanted;
  change.record->members.clear();
  std::erase_if(change.record->attributes,
                [&](const auto& entry) { return !scope.covers(entry.first); });
  out.push_back(std::move(change));
}

}  // namespace

const char* what_name(What what) { return kWhats[static_cast<std::size_t>(what)]; }

Scope scope_for(const std::string& store, std::optional<std::set<std::string>> only,
                std::set<std::string> own) {
  if (store != "ldap" || !only) return {std::move(only), std::move(own)};
  std::set<std::string> lower{"objectclass"};
  for (std::string name : *only) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    lower.insert(std::move(name));
  }
  return {std::move(lower), std::move(own)};
}

Changes diff(const State& present, const State& wanted, const Scope& scope) {
  Changes out;
  Pairs pairs = pair_up(present, wanted, out);
  std::sort(pairs.added.begin(), pairs.added.end(), outer_first);
  std::sort(pairs.gone.begin(), pairs.gone.end(), outer_first);

  for (const Record* record : pairs.added) {
    if (record->kind == Kind::unit) add(*record, scope, out);
  }
  const auto memberships = [&](What what, const Record& of, Values values) {
    if (values.empty()) return;
    Change change = about(what, of);
    change.values = std::move(values);
    out.push_back(std::move(change));
  };
  // What goes leaves first, even where one of its id comes again as something else.
  Values gone;
  for (const Record* record : pairs.gone) gone.insert(record->id);
  for (auto& [now, wants] : pairs.both) {
    Values leaving = without(now.members, wants->members);
    for (const auto& member : now.members) {
      if (gone.contains(member)) leaving.insert(member);
    }
    now.members = without(now.members, leaving);
    memberships(What::leave, now, std::move(leaving));
  }
  for (const Record* record : pairs.gone) {
    if (record->kind != Kind::unit) out.push_back(about(What::remove, *record));
  }

  std::map<Name, std::string> taken;
  std::vector<Rename> renames;
  for (const auto& [now, wants] : pairs.both) {
    taken.emplace(Name{now.kind, now.name}, now.id);
    if (now.name != wants->name) renames.push_back({now.kind, now.id, now.name, wants->name});
  }
  Renames(std::move(renames), std::move(taken), out).carry_out();

  for (const Kind kind : {Kind::user, Kind::group, Kind::role}) {
    for (const Record* record : pairs.added) {
      if (record->kind == kind) add(*record, scope, out);
    }
  }
  for (const auto& [now, wants] : pairs.both) change_fields(now, *wants, scope, out);
  for (const Record* record : pairs.added) memberships(What::join, *record, record->members);
  for (const auto& [now, wants] : pairs.both) {
    memberships(What::join, *wants, without(wants->members, now.members));
  }
  for (auto record = pairs.gone.rbegin(); record != pairs.gone.rend(); ++record) {
    if ((*record)->kind == Kind::unit) out.push_back(about(What::remove, **record));
  }
  return out;
}

Result<State> carry_out(State state, const Changes& changes) {
  auto names = names_of(state);
  const auto misfit = [](const Change& change, const char* why) {
    return make_error(
        ErrorCode::internal,
        std::string("a change of user data does not fit: ") + what_name(change.what) + ": " + why,
        change.name);
  };
  for (const Change& change : changes) {
    if (change.what == What::add) {
      if (!change.record || state.contains(change.id)) return misfit(change, "it is there");
      if (!names.emplace(Name{change.kind, change.name}, change.id).second) {
        return misfit(change, "the name is taken");
      }
      state.emplace(change.id, *change.record);
      continue;
    }
    const auto found = state.find(change.id);
    if (found == state.end()) return misfit(change, "it is not there");
    Record& record = found->second;
    switch (change.what) {
      case What::adopt: {
        if (state.contains(change.to)) return misfit(change, "the id is taken");
        Record now = record;
        now.id = change.to;
        names[Name{now.kind, now.name}] = now.id;
        state.erase(found);
        state.emplace(change.to, std::move(now));
        for (auto& [id, other] : state) {
          if (other.members.erase(change.id) != 0) other.members.insert(change.to);
        }
        break;
      }
      case What::remove:
        names.erase(Name{record.kind, record.name});
        state.erase(found);
        for (auto& [id, other] : state) other.members.erase(change.id);
        break;
      case What::rename:
        if (!names.emplace(Name{record.kind, change.to}, record.id).second) {
          return misfit(change, "the name is taken");
        }
        names.erase(Name{record.kind, record.name});
        record.name = change.to;
        break;
      case What::set:
        if (change.values.empty()) {
          record.attributes.erase(change.attribute);
        } else {
          record.attributes[change.attribute] = change.values;
        }
        break;
      case What::passwords:
        record.passwords = change.values;
        break;
      case What::lock:
      case What::unlock:
        record.locked = change.what == What::lock;
        break;
      case What::leave:
        record.members = without(record.members, change.values);
        break;
      case What::join:
        for (const auto& member : change.values) {
          if (!state.contains(member)) return misfit(change, "a member is not there");
          record.members.insert(member);
        }
        break;
      case What::add:
        break;
    }
  }
  return state;
}

Result<void> admit(const Guard& guard, const Changes& changes, std::size_t present) {
  const auto removals = static_cast<std::size_t>(std::count_if(
      changes.begin(), changes.end(), [](const Change& c) { return c.what == What::remove; }));
  const bool share = removals * 100 > guard.percent * present;
  if (removals <= guard.removals && !share) return {};
  const std::string limit =
      share ? std::to_string(guard.percent) + " %" : std::to_string(guard.removals);
  return make_error(
      ErrorCode::guard,
      "this would remove " + std::to_string(removals) + " of " + std::to_string(present) +
          " records of the secondary's user data; the guard allows " + limit,
      {},
      "look at `lockstep users diff`; if that is meant: `lockstep users apply --removals " +
          std::to_string(removals) + "`");
}

}  // namespace lockstep::users
