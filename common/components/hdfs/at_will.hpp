// At will: when `engine: auto` leaves the content to the stream, and how an engine's work is told
// in the log and the certificate. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/component/carries.hpp"

namespace lockstep::hdfs {

// "1000 bytes", "12 MiB".
std::string in_mebibytes(std::uint64_t bytes);

component::Carried left_to_the_stream(const std::string& why);
// Why `program` is not worth it; empty: it is.
std::string too_small(std::uint64_t bytes, std::uint64_t from, const std::string& program);
std::string chosen_at_will(std::uint64_t from);
// ", but for 3 files that the stream carried", or nothing.
std::string but_for(const component::Carried& carried);

// What came of an engine that failed: its error, or, at will and where the error is the engine's
// and not the run's, a reason to stream.
Result<component::Carried> failed(const Error& error, bool at_will, const std::string& program);

}  // namespace lockstep::hdfs
