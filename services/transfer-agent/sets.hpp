// Data sets and versions, from the messages' form to the components' and back (docs/protocol.md,
// "Data sets in messages"). Requires bodies that their schema let through.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>

#include "common/component/data_set.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::transfer {

enum class End { from, to };

component::DataSet data_set_of(const std::string& service, const message::Body& set, End end);

// Of `version` in a message or a record.
component::Version version_of(const component::SetId& id, const message::Body& version);
message::Body body_of(const component::Version& version);

// The data set's own keys, for the journal.
message::Body body_of(const component::DataSet& set);
component::DataSet data_set_from(const message::Body& kept);

// The one of that name in an array of data sets; null where there is none.
const message::Body* find_set(const message::Body& sets, const std::string& name);

// The run whose version is the base, where the instruction names one.
std::optional<std::string> base_of(const message::Body& set);

// True where the policy would rather have the transfer fail than everything carried for want of the
// base that the instruction names (`on_base_lost: fail`).
bool fails_without_base(const message::Body& set);
Error base_lost(const component::SetId& id, const std::string& run, const std::string& why);

// Whether the policy would have an engine carry the content that it can (`engine`); `at_will`:
// where the engine finds it worth while.
enum class Engine { stream, always, at_will };
Engine engine_of(const message::Body& set);

}  // namespace lockstep::transfer
