// Broken: a message spoilt in every way that its schema lets derive. Pure.
//
// Each field of the envelope and of the body, in turn: not there, of every other type, beyond its
// limits, outside its pattern or its words, with a key too many. What the schema happens to allow
// is left out, so that each is to be refused, with the field's path.
#pragma once

#include <string>
#include <vector>

#include "common/message/envelope.hpp"

namespace lockstep::cli::inject {

using message::Body;

struct BrokenMessage {
  Body envelope;
  std::string pointer;      // the field that was spoilt: "/body/sets/0/name"
  bool answerable = false;  // its id is still one, so that its sender can be told
};

// `envelope` holds a good message. Error: message-* where it is none itself.
Result<std::vector<BrokenMessage>> break_in_every_way(const Body& envelope);

}  // namespace lockstep::cli::inject
