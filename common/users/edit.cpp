#include "common/users/edit.hpp"

namespace lockstep::users {

namespace {

Error missing(Kind kind, const std::string& name) {
  return make_error(ErrorCode::not_found,
                    std::string("the user data has no ") + kind_name(kind) + " of that name", name,
                    "`lockstep users show` lists them");
}

Result<std::string> holder(const State& state, const std::string& wish) {
  const auto names = names_of(state);
  for (const Kind kind : {Kind::group, Kind::role}) {
    const std::string prefix = std::string(kind_name(kind)) + ":";
    if (!wish.starts_with(prefix)) continue;
    const auto found = names.find({kind, wish.substr(prefix.size())});
    if (found == names.end()) return missing(kind, wish.substr(prefix.size()));
    return found->second;
  }
  const auto group = names.find({Kind::group, wish});
  const auto role = names.find({Kind::role, wish});
  if (group != names.end() && role != names.end()) {
    return make_error(ErrorCode::usage, "both a group and a role have that name", wish,
                      "write group:" + wish + " or role:" + wish);
  }
  if (group == names.end() && role == names.end()) {
    return make_error(ErrorCode::not_found, "the user data has no group or role of that name", wish,
                      "`lockstep users show` lists them");
  }
  return group != names.end() ? group->second : role->second;
}

}  // namespace

Result<State> edit(State state, const Edit& edit) {
  auto names = names_of(state);
  const auto found = names.find({edit.kind, edit.name});
  if (edit.kind == Kind::unit || edit.name.empty()) {
    return make_error(ErrorCode::usage, "a user, a group or a role has to be named", edit.name);
  }
  std::string id;
  if (edit.how == Edit::How::add) {
    if (found != names.end()) {
      return make_error(ErrorCode::guard, "there is one of that name", edit.name,
                        "leave out --add to change it");
    }
    Record record;
    record.kind = edit.kind;
    record.id = id = edit.id;
    record.name = edit.name;
    state.emplace(id, std::move(record));
  } else {
    if (found == names.end()) return missing(edit.kind, edit.name);
    id = found->second;
  }
  if (edit.how == Edit::How::remove) {
    state.erase(id);
    for (auto& [other, record] : state) record.members.erase(id);
    return state;
  }
  for (const auto& name : edit.join) {
    LOCKSTEP_TRY(const std::string of, holder(state, name));
    state.at(of).members.insert(id);
  }
  for (const auto& name : edit.leave) {
    LOCKSTEP_TRY(const std::string of, holder(state, name));
    state.at(of).members.erase(id);
  }
  Record& record = state.at(id);
  if (!edit.rename.empty() && edit.rename != edit.name) {
    if (names.contains({edit.kind, edit.rename})) {
      return make_error(ErrorCode::guard, "there is one of that name", edit.rename);
    }
    record.name = edit.rename;
  }
  for (const auto& [attribute, values] : edit.set) {
    if (values.empty()) {
      record.attributes.erase(attribute);
    } else {
      record.attributes[attribute] = values;
    }
  }
  if (edit.locked) record.locked = *edit.locked;
  if (edit.passwords) record.passwords = *edit.passwords;
  return state;
}

}  // namespace lockstep::users
