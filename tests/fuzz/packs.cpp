// Packs of the stream: header, compressed body, records.
#include <span>

#include "common/stream/compress.hpp"
#include "common/stream/pack.hpp"
#include "tests/fuzz/target.hpp"

namespace lockstep::fuzz {

using namespace stream;

namespace {

// Reads every record and writes it again.
void records(std::span<const std::byte> body) {
  RecordReader reader(body);
  Buffer made;
  PackBuilder builder("fuzz", 1, [&made](RawPack whole) -> Result<void> {
    must(whole.body->size() <= kPackLimit && whole.header.records <= kPackRecords,
         "a pack keeps its limits");
    made.insert(made.end(), whole.body->begin(), whole.body->end());
    return {};
  });
  while (!reader.done()) {
    const auto next = reader.next();
    if (!next) return must_tell(next.error());
    Result<void> written;
    switch (next->kind) {
      case RecordKind::entry:
        written = builder.entry(next->entry, next->action);
        break;
      case RecordKind::data:
        must(next->data.size() == next->length, "data has its length");
        written = builder.data(next->offset, next->data);
        break;
      case RecordKind::zeros:
        written = builder.zeros(next->offset, next->length);
        break;
      case RecordKind::close:
        written = builder.close(next->content);
        break;
      case RecordKind::remove:
        written = builder.remove(next->path);
        break;
    }
    must(written.has_value(), "a record that was read can be sent");
  }
  must(builder.finish().has_value(), "a pack can be ended");
  must(std::equal(made.begin(), made.end(), body.begin(), body.end()),
       "records are written as they were read");
}

}  // namespace

void pack(std::string_view input) {
  const auto bytes = std::as_bytes(std::span(input));
  if (!looks_like_pack(bytes)) return records(bytes);
  if (bytes.size() < kPackHeaderBytes) return;
  const DecodedHeader head = decode_header(bytes.first(kPackHeaderBytes));
  if (head.bad != nullptr) return;
  const Buffer again = encode_header(head.header);
  must(std::equal(again.begin(), again.end(), bytes.begin()), "a header is written as it was read");
  const auto wire = bytes.subspan(kPackHeaderBytes);
  if (head.header.codec == Codec::none) return records(wire);
  Decompressor decompressor;
  const auto body = decompressor.decompress(wire, head.header.raw_length);
  if (!body) return;
  must(body->size() == head.header.raw_length, "a body has the length that was told");
  Compressor compressor;
  if (const auto packed = compressor.compress(*body)) {
    const auto unpacked = decompressor.decompress(*packed, body->size());
    must(unpacked && *unpacked == *body, "a body survives compression");
  }
  records(*body);
}

}  // namespace lockstep::fuzz
