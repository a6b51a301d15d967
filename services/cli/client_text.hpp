// What the health-monitor's clients see, for people.
#pragma once

#include "common/message/envelope.hpp"

namespace lockstep::cli {

// Of a body of client.show.done: the application's client, a line for each cluster, and, on a
// fault, what there is to decide.
void print_client(const message::Body& body);

}  // namespace lockstep::cli
