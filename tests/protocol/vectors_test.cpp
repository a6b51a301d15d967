#include "tests/protocol/vectors.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "common/message/embedded_schemas.hpp"

using namespace lockstep;
using namespace lockstep::protocol;

namespace {
const std::string kFolder = LOCKSTEP_SOURCE_DIR "/schemas/vectors";

std::string read(const std::string& name) {
  std::ifstream file(kFolder + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
}  // namespace

TEST_CASE("what is encoded today is, bit for bit, what the vectors hold") {
  const auto vectors = make_vectors(read_samples(kFolder));
  for (const auto& [name, bytes] : vectors) {
    INFO(name);
    CHECK((read(name) == bytes));
  }
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() == ".msgpack") {
      files.insert(std::filesystem::relative(entry.path(), kFolder).string());
    }
  }
  for (const auto& name : files) {
    INFO(name);
    CHECK(vectors.contains(name));
  }
}

TEST_CASE("every vector decodes to its sample") {
  const Body samples = read_samples(kFolder);
  for (const auto& [type, body] : samples["messages"].items()) {
    INFO(type);
    const auto envelope = message::decode(read(type + ".msgpack"));
    REQUIRE(envelope.has_value());
    CHECK(envelope->type == type);
    CHECK(envelope->body == body);
    CHECK(envelope->run == samples["envelope"]["run"]);
    CHECK(to_rfc3339(*envelope->deadline) == samples["envelope"]["deadline"]);
  }
  for (const auto& [type, event] : samples["events"].items()) {
    INFO(type);
    CHECK(message::unpack_body(read("events/" + type + ".msgpack")).value() == event);
  }
}

TEST_CASE("every schema of a message or an event has a vector") {
  // These describe parts of messages, or the lack of a body.
  const std::set<std::string> parts{"certificate", "empty",  "envelope",
                                    "event",       "policy", "point-record"};
  const auto vectors = make_vectors(read_samples(kFolder));
  for (std::size_t i = 0; i < message::kEmbeddedSchemaCount; ++i) {
    const std::string name = message::kEmbeddedSchemas[i].name;
    INFO(name);
    CHECK((parts.contains(name) || vectors.contains(name + ".msgpack")));
  }
}

TEST_CASE("a vector with any byte changed or cut is a message or an error, never a crash") {
  const auto vectors = make_vectors(read_samples(kFolder));
  int read_anyway = 0;
  for (const auto& [name, bytes] : vectors) {
    for (std::size_t i = 0; i < bytes.size(); i += 7) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      if (message::decode(changed)) ++read_anyway;
      CHECK_FALSE(message::decode(std::string_view(bytes).substr(0, i)).has_value());
    }
  }
  CHECK(read_anyway > 0);
}
