#include "common/stream/resume_state.hpp"

namespace lockstep::stream {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::size_t kMaxText = 4096;

void write_mark(ByteWriter& out, const Mark& mark) {
  out.number(mark.sequence);
  out.digest(mark.chain);
  const ApplyState& apply = mark.apply;
  out.number(static_cast<std::uint8_t>(apply.with_base));
  out.number(apply.manifest_offset);
  out.number(apply.base_offset);
  out.counted(apply.last_path);
  out.number(static_cast<std::uint8_t>(apply.any));
  out.number(static_cast<std::uint32_t>(apply.touched.size()));
  for (const std::string& path : apply.touched) out.counted(path);
  out.number(apply.entries);
  out.number(apply.bytes);
  out.number(static_cast<std::uint8_t>(apply.open));
  out.number(static_cast<std::uint8_t>(apply.action));
  out.number(static_cast<std::uint8_t>(apply.has_base));
  out.number(apply.extent_end);
  out.number(apply.next_leaf);
  out.number(static_cast<std::uint8_t>(apply.partial_leaf));
  out.number(static_cast<std::uint8_t>(apply.single_leaf.has_value()));
  out.digest(apply.single_leaf.value_or(Digest128{}));
}

Mark read_mark(ByteReader& in) {
  Mark mark;
  const auto flag = [&in] { return in.number<std::uint8_t>() != 0; };
  mark.sequence = in.number<std::uint64_t>();
  mark.chain = in.digest<16>();
  ApplyState& apply = mark.apply;
  apply.with_base = flag();
  apply.manifest_offset = in.number<std::uint64_t>();
  apply.base_offset = in.number<std::uint64_t>();
  apply.last_path = in.counted(kMaxText);
  apply.any = flag();
  const auto touched = in.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < touched && in.ok(); ++i)
    apply.touched.emplace_back(in.counted(kMaxText));
  apply.entries = in.number<std::uint64_t>();
  apply.bytes = in.number<std::uint64_t>();
  apply.open = flag();
  apply.action = static_cast<component::Action>(in.number<std::uint8_t>());
  apply.has_base = flag();
  apply.extent_end = in.number<std::uint64_t>();
  apply.next_leaf = in.number<std::uint64_t>();
  apply.partial_leaf = flag();
  const bool single = flag();
  const Digest128 leaf = in.digest<16>();
  if (single) apply.single_leaf = leaf;
  return mark;
}

void write_carried(ByteWriter& out, const std::optional<component::Carried>& carried) {
  out.number(static_cast<std::uint8_t>(carried.has_value()));
  if (!carried) return;
  out.number(static_cast<std::uint8_t>(carried->any));
  out.counted(carried->how);
  out.number(static_cast<std::uint32_t>(carried->except.size()));
  for (const std::string& path : carried->except) out.counted(path);
}

std::optional<component::Carried> read_carried(ByteReader& in) {
  if (in.number<std::uint8_t>() == 0) return std::nullopt;
  component::Carried carried;
  carried.any = in.number<std::uint8_t>() != 0;
  carried.how = in.counted(kMaxText);
  const auto count = in.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i)
    carried.except.emplace_back(in.counted(kMaxText));
  return carried;
}

}  // namespace

std::string encode_state(const ResumeState& state) {
  Buffer bytes;
  ByteWriter out(bytes);
  out.number(kVersion);
  out.counted(state.transfer);
  out.counted(state.boot_id);
  write_mark(out, state.applied);
  write_mark(out, state.durable);
  out.number(static_cast<std::uint8_t>(state.sealing));
  out.number(static_cast<std::uint8_t>(state.complete));
  out.number(state.seen);
  out.number(state.received);
  out.number(state.again);
  write_carried(out, state.carried);
  out.digest(xxh3_128(bytes));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::optional<ResumeState> decode_state(std::string_view bytes) {
  ByteReader in(std::as_bytes(std::span(bytes)));
  if (bytes.size() < 17 || in.number<std::uint8_t>() != kVersion) return std::nullopt;
  ResumeState state;
  state.transfer = in.counted(kMaxText);
  state.boot_id = in.counted(kMaxText);
  state.applied = read_mark(in);
  state.durable = read_mark(in);
  state.sealing = in.number<std::uint8_t>() != 0;
  state.complete = in.number<std::uint8_t>() != 0;
  state.seen = in.number<std::uint64_t>();
  state.received = in.number<std::uint64_t>();
  state.again = in.number<std::uint64_t>();
  state.carried = read_carried(in);
  const Digest128 sum = in.digest<16>();
  const auto covered = std::as_bytes(std::span(bytes)).first(bytes.size() - 16);
  if (!in.done() || sum != xxh3_128(covered)) return std::nullopt;
  return state;
}

}  // namespace lockstep::stream
