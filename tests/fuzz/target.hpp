// Fuzz targets: for each reader of bytes from outside, what must hold whatever the bytes are.
//
// A target gives the bytes to the reader and ends with an exception where a property is broken;
// crashes, leaks, hangs and memory are watched by whoever runs it: libFuzzer (driver.cpp, run by
// scripts/fuzz), or the Catch2 program that replays every committed input (replay_test.cpp).
// targets.txt lists them with the folders of their seeds.
//
// Thread rule: one thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "common/error/error.hpp"

namespace lockstep::fuzz {

struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

inline void must(bool holds, const std::string& property) {
  if (!holds) throw Broken(property);
}

// An error says what happened, and is no longer than a person reads: it may repeat some of the
// input, never all of it.
inline void must_tell(const Error& error) {
  must(!error.what.empty(), "an error says what happened");
  must(error.code != ErrorCode::internal, "no input is an error of the program: " + error.text());
  must(error.text().size() < 16384, "an error is short");
}

// An error about a document says where: FILE:LINE:COLUMN.
void must_tell_place(const Error& error, std::string_view file);

void envelope(std::string_view input);  // a control message
void body(std::string_view input);      // schema's name, line feed, MessagePack of a body
void control(std::string_view input);   // a control frame of the stream
void pack(std::string_view input);      // a pack of the stream, or the body of one
void manifest(std::string_view input);  // a manifest file, or entries one after another
void policy(std::string_view input);    // a policy document
void site(std::string_view input);      // lockstep.yaml
void scenario(std::string_view input);  // a scenario of `lockstep inject`
void record(std::string_view input);    // the record of a recovery point

}  // namespace lockstep::fuzz
