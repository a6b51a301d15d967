// The golden vectors: schemas/vectors/samples.json through the real encode(). In the samples a bin
// is written {"$bin": "hexadecimal"}.
#pragma once

#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include "common/message/envelope.hpp"

namespace lockstep::protocol {

using message::Body;

inline Body with_bins(const Body& value) {
  if (value.is_object() && value.contains("$bin")) {
    const auto hex = value["$bin"].get<std::string>();
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return Body::binary(std::move(bytes));
  }
  Body out = value;
  if (value.is_structured()) {
    for (auto& item : out) item = with_bins(item);
  }
  return out;
}

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(result).value();
}

inline message::Envelope envelope_of(const Body& fields, const std::string& type, Body body) {
  message::Envelope out;
  out.v = fields["v"].get<int>();
  out.type = type;
  out.id = fields["id"].get<std::string>();
  out.run = fields["run"].get<std::string>();
  out.step = fields["step"].get<std::string>();
  out.attempt = fields["attempt"].get<int>();
  out.epoch = {fields["epoch"]["number"].get<std::uint64_t>(),
               fields["epoch"]["promotion"].get<std::string>()};
  out.from = fields["from"].get<std::string>();
  out.sent_at = need(parse_rfc3339(fields["sent_at"].get<std::string>()));
  out.deadline = need(parse_rfc3339(fields["deadline"].get<std::string>()));
  out.body = std::move(body);
  return out;
}

inline Body read_samples(const std::string& folder) {
  std::ifstream file(folder + "/samples.json");
  return with_bins(Body::parse(file));
}

// File name below schemas/vectors, to its bytes. Throws where a sample breaks its schema.
inline std::map<std::string, std::string> make_vectors(const Body& samples) {
  std::map<std::string, std::string> out;
  for (const auto& [type, body] : samples["messages"].items()) {
    out[type + ".msgpack"] = need(message::encode(envelope_of(samples["envelope"], type, body)));
  }
  for (const auto& [type, event] : samples["events"].items()) {
    if (auto good = message::check_schema("event", event); !good) {
      throw std::runtime_error(good.error().text());
    }
    if (auto good = message::check_schema("events/" + type, event["data"]); !good) {
      throw std::runtime_error(good.error().text());
    }
    out["events/" + type + ".msgpack"] = message::pack_body(event);
  }
  if (auto good = message::check_schema("heartbeat", samples["heartbeat"]); !good) {
    throw std::runtime_error(good.error().text());
  }
  out["heartbeat.msgpack"] = message::pack_body(samples["heartbeat"]);
  return out;
}

}  // namespace lockstep::protocol
