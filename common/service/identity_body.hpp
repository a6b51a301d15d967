// The agreement's values (common/identity) as bodies of messages and rows of the journal.
// Requires of the reading functions: a body that its schema has passed, or that this program wrote.
#pragma once

#include "common/identity/site.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::service {

message::Body body_of(const identity::Decision& decision);
message::Body body_of(const identity::Ballot& ballot);
message::Body body_of(const identity::Answer& answer);
message::Body body_of(const identity::Lesson& lesson);
message::Body body_of(const identity::Record& record);

identity::Decision decision_from(const message::Body& body);
identity::Ballot ballot_from(const message::Body& body);
identity::Answer answer_from(const message::Body& body);
identity::Lesson lesson_from(const message::Body& body);
identity::Record record_from(const message::Body& body);

message::Epoch epoch_of(const identity::Decision& decision);

}  // namespace lockstep::service
