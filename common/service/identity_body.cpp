#include "common/service/identity_body.hpp"

namespace lockstep::service {

using identity::Answer;
using identity::Ballot;
using identity::Decision;
using identity::Lesson;
using identity::Record;
using message::Body;

namespace {

Body body_of_all(const std::vector<Decision>& decisions) {
  Body list = Body::array();
  for (const Decision& decision : decisions) list.push_back(body_of(decision));
  return list;
}

std::vector<Decision> decisions_from(const Body& list) {
  std::vector<Decision> out;
  for (const Body& one : list) out.push_back(decision_from(one));
  return out;
}

Body body_of_accepted(const std::optional<identity::Accepted>& accepted) {
  if (!accepted) return nullptr;
  return {{"ballot", body_of(accepted->ballot)}, {"decision", body_of(accepted->decision)}};
}

std::optional<identity::Accepted> accepted_from(const Body& body) {
  if (body.is_null()) return std::nullopt;
  return identity::Accepted{ballot_from(body.at("ballot")), decision_from(body.at("decision"))};
}

Body body_of_vote(const identity::Vote& vote) {
  return {{"promised", body_of(vote.promised)}, {"accepted", body_of_accepted(vote.accepted)}};
}

identity::Vote vote_from(const Body& body) {
  return {ballot_from(body.at("promised")), accepted_from(body.at("accepted"))};
}

Body body_of_lives(const identity::Incarnations& incarnations) {
  Body out = Body::object();
  for (const auto& [site, incarnation] : incarnations) out[site] = incarnation;
  return out;
}

identity::Incarnations lives_from(const Body& body) {
  return body.get<std::map<std::string, std::string>>();
}

}  // namespace

Body body_of(const Decision& decision) {
  return {{"number", decision.number},   {"promotion", decision.promotion},
          {"primary", decision.primary}, {"by", decision.by},
          {"at", decision.at},           {"alone", decision.alone}};
}

Decision decision_from(const Body& body) {
  return {body.at("number").get<std::uint64_t>(), body.at("promotion").get<std::string>(),
          body.at("primary").get<std::string>(),  body.at("by").get<std::string>(),
          body.at("at").get<std::string>(),       body.at("alone").get<bool>()};
}

Body body_of(const Ballot& ballot) { return {{"round", ballot.round}, {"token", ballot.token}}; }

Ballot ballot_from(const Body& body) {
  return {body.at("round").get<std::uint64_t>(), body.at("token").get<std::string>()};
}

Body body_of(const Answer& answer) {
  return {{"site", answer.site},
          {"incarnation", answer.incarnation},
          {"incarnations", body_of_lives(answer.incarnations)},
          {"known", answer.known},
          {"granted", answer.granted},
          {"promised", body_of(answer.promised)},
          {"accepted", body_of_accepted(answer.accepted)},
          {"decided", answer.decided ? body_of(*answer.decided) : Body(nullptr)}};
}

Answer answer_from(const Body& body) {
  Answer answer;
  answer.site = body.at("site").get<std::string>();
  answer.incarnation = body.at("incarnation").get<std::string>();
  answer.incarnations = lives_from(body.at("incarnations"));
  answer.known = body.at("known").get<bool>();
  answer.granted = body.at("granted").get<bool>();
  answer.promised = ballot_from(body.at("promised"));
  answer.accepted = accepted_from(body.at("accepted"));
  if (!body.at("decided").is_null()) answer.decided = decision_from(body.at("decided"));
  return answer;
}

Body body_of(const Lesson& lesson) {
  return {{"site", lesson.site},
          {"incarnation", lesson.incarnation},
          {"known", lesson.known},
          {"decided", body_of_all(lesson.decided)},
          {"vote", body_of_vote(lesson.vote)},
          {"incarnations", body_of_lives(lesson.incarnations)},
          {"founders", body_of_lives(lesson.founders)}};
}

Lesson lesson_from(const Body& body) {
  Lesson lesson;
  lesson.site = body.at("site").get<std::string>();
  lesson.incarnation = body.at("incarnation").get<std::string>();
  lesson.known = body.at("known").get<bool>();
  lesson.decided = decisions_from(body.at("decided"));
  lesson.vote = vote_from(body.at("vote"));
  lesson.incarnations = lives_from(body.at("incarnations"));
  lesson.founders = lives_from(body.at("founders"));
  return lesson;
}

Body body_of(const Record& record) {
  Body lessons = Body::array();
  for (const auto& [site, lesson] : record.lessons) lessons.push_back(body_of(lesson));
  return {{"site", record.site},
          {"incarnation", record.incarnation},
          {"known", record.known},
          {"decided", body_of_all(record.decided)},
          {"vote", body_of_vote(record.vote)},
          {"incarnations", body_of_lives(record.incarnations)},
          {"founders", body_of_lives(record.founders)},
          {"clashes", body_of_all(record.clashes)},
          {"active", record.active},
          {"lessons", std::move(lessons)}};
}

Record record_from(const Body& body) {
  Record record;
  record.site = body.at("site").get<std::string>();
  record.incarnation = body.at("incarnation").get<std::string>();
  record.known = body.at("known").get<bool>();
  record.decided = decisions_from(body.at("decided"));
  record.vote = vote_from(body.at("vote"));
  record.incarnations = lives_from(body.at("incarnations"));
  record.founders = lives_from(body.at("founders"));
  record.clashes = decisions_from(body.at("clashes"));
  record.active = body.at("active").get<std::string>();
  for (const Body& one : body.at("lessons")) {
    identity::Lesson lesson = lesson_from(one);
    record.lessons[lesson.site] = std::move(lesson);
  }
  return record;
}

message::Epoch epoch_of(const Decision& decision) { return {decision.number, decision.promotion}; }

}  // namespace lockstep::service
