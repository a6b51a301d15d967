#include "common/components/hdfs/at_will.hpp"

namespace lockstep::hdfs {

using component::Carried;

namespace {

constexpr std::uint64_t kMebibyte = 1U << 20U;

// What says of the engine, and not of the run, that it does not work.
bool is_the_engines(const Error& error) {
  return error.code == ErrorCode::carry_failed || error.code == ErrorCode::unreachable ||
         error.code == ErrorCode::permission || error.code == ErrorCode::not_supported;
}

}  // namespace

std::string in_mebibytes(std::uint64_t bytes) {
  return bytes < 10 * kMebibyte ? std::to_string(bytes) + " bytes"
                                : std::to_string(bytes / kMebibyte) + " MiB";
}

Carried left_to_the_stream(const std::string& why) {
  return Carried{false, "The stream carried the content: " + why + ".", {}};
}

std::string too_small(std::uint64_t bytes, std::uint64_t from, const std::string& program) {
  if (bytes >= from) return {};
  return "`engine: auto` uses " + program + " from " + in_mebibytes(from) + " on, and this is " +
         in_mebibytes(bytes);
}

std::string chosen_at_will(std::uint64_t from) {
  return "`engine: auto`: at least " + in_mebibytes(from);
}

std::string but_for(const Carried& carried) {
  if (carried.except.empty()) return {};
  return ", but for " + std::to_string(carried.except.size()) + " files that the stream carried";
}

Result<Carried> failed(const Error& error, bool at_will, const std::string& program) {
  if (!at_will || !is_the_engines(error)) return error;
  return left_to_the_stream("`engine: auto` would have used " + program + ", but " + error.text());
}

}  // namespace lockstep::hdfs
