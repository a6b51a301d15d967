// The JSON Schemas of schemas/, as the build put them into the program (cmake/embed_schemas.py).
#pragma once

#include <cstddef>

namespace lockstep::message {

struct EmbeddedSchema {
  const char*
      name;  // the path below schemas/ without ".json": "instruction.snapshot", "events/pin.made"
  const char* text;  // with every definition it refers to
};
extern const EmbeddedSchema kEmbeddedSchemas[];  // sorted by name
extern const std::size_t kEmbeddedSchemaCount;

}  // namespace lockstep::message
