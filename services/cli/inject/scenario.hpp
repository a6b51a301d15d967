// Scenario: a story of messages, as `lockstep inject` plays it (docs/injection.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config/tree.hpp"
#include "services/cli/inject/pattern.hpp"
#include "services/cli/inject/rules.hpp"

namespace lockstep::cli::inject {

// One message, and what is expected of it.
struct Send {
  std::string to;
  std::string as;  // the party whose key is used; empty: the command's user
  std::string type;
  Body body = Body::object();
  Body envelope = Body::object();    // what is to stand in the envelope instead
  std::optional<std::string> bytes;  // sent as they are, instead of all that
  std::optional<Body> expect;        // of a reply
  std::optional<Nanos> silent;       // no reply comes for so long
  Nanos within = seconds(20);
  std::string call;                         // a name for `reply`
  std::map<std::string, std::string> keep;  // value: JSON pointer into the reply that fits
};
// A reply to a message that was sent before.
struct Reply {
  std::string to;  // the name given by `call`
  Body expect;
  Nanos within = seconds(20);
  std::map<std::string, std::string> keep;
};
// An event since the scenario began, that no step before took; or that there is none.
struct Event {
  std::string from;
  Body pattern;
  Nanos within = seconds(20);
  bool absent = false;
};
struct Wait {
  Nanos span;
};
// What happens from now on to the messages between two services.
struct Between {
  std::string from;
  std::string to;
  std::vector<Rule> rules;
};
// That so many messages of a type came to where the command stands between the two.
struct Came {
  std::string from;
  std::string to;
  std::string type;
  int at_least = 1;
  Nanos within = seconds(20);
};
// A message of this type, broken in every way that its schema lets derive; each is refused.
struct Broken {
  std::string to;
  std::string as;
  std::string type;
  Body body = Body::object();
  Nanos within = seconds(60);
};
// The service's process is killed; it comes back by whoever keeps it running.
struct Kill {
  std::string service;
  Nanos within = seconds(60);
};
struct Program {
  std::vector<std::string> words;
};
struct Step;
struct Repeat {
  int times = 1;
  std::vector<Step> steps;
};

using Act = std::variant<Send, Reply, Event, Wait, Between, Came, Broken, Kill, Program, Repeat>;
struct Step {
  Act act;
  std::string where;  // "file:line"
};

struct Scenario {
  std::string title;
  std::vector<Step> steps;
};

// Errors: config-*, as of every document of this project.
Result<Scenario> parse_scenario(std::string_view yaml, const std::string& shown_as);

}  // namespace lockstep::cli::inject
