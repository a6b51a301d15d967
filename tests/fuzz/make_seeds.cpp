// Writes the seeds that no golden vector and no sample gives: make-fuzz-seeds REPOSITORY. Run it
// after a format changed on purpose.
#include <filesystem>
#include <iostream>

#include "common/stream/compress.hpp"
#include "common/stream/control.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/pack.hpp"
#include "services/transfer-agent/record.hpp"
#include "tests/protocol/vectors.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using component::Action;
using component::EntryKind;
using protocol::need;

namespace {

class Corpus {
 public:
  explicit Corpus(std::string folder) : folder_(std::move(folder)) {}
  void put(const std::string& target, const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories(folder_ + "/" + target);
    std::ofstream file(folder_ + "/" + target + "/" + name, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + target + "/" + name);
  }

 private:
  std::string folder_;
};

std::string_view text(const Buffer& bytes) {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

void done(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().text());
}

Entry entry(EntryKind kind, const std::string& path) {
  Entry out;
  out.kind = kind;
  out.path = path;
  out.mode = kind == EntryKind::symlink || kind == EntryKind::hard_link ? 0 : 0644;
  if (kind != EntryKind::hard_link) out.mtime_ns = 1'700'000'000'123'456'789;
  return out;
}

// One of each kind, in the order of a manifest.
std::vector<Entry> tree() {
  std::vector<Entry> all;
  all.push_back(entry(EntryKind::directory, ""));
  all.push_back(entry(EntryKind::directory, "d"));
  all.push_back(entry(EntryKind::regular, "d/f"));
  all.back().size = 70000;
  all.back().holes = {{4096, 8192}};
  all.back().xattrs = {{"user.a", "1"}, {"user.b", std::string("\0\xff", 2)}};
  all.push_back(entry(EntryKind::hard_link, "d/h"));
  all.back().link_target = "d/f";
  all.push_back(entry(EntryKind::symlink, "l"));
  all.back().link_target = "../away";
  all.push_back(entry(EntryKind::fifo, "p"));
  all.push_back(entry(EntryKind::char_device, "z\xff"));
  all.back().device = 0x103;
  return all;
}

void packs(const Corpus& corpus) {
  Buffer body;
  PackHeader header;
  PackBuilder builder("0193a5f0/orders/files", 3, [&](RawPack pack) -> Result<void> {
    header = pack.header;
    body = *pack.body;
    return {};
  });
  for (const Entry& one : tree()) {
    done(builder.entry(one, Action::create));
    if (one.kind != EntryKind::regular) continue;
    const Buffer data(4096, std::byte{'a'});
    done(builder.data(0, data));
    done(builder.zeros(4096, 8192));
    done(builder.close(Digest256{}));
  }
  done(builder.remove("d/old"));
  done(builder.finish());
  corpus.put("pack", "body", text(body));
  const Buffer plain = encode_header(header);
  corpus.put("pack", "plain", std::string(text(plain)) + std::string(text(body)));
  Compressor compressor;
  const auto small = compressor.compress(body);
  if (!small) throw std::runtime_error("the body does not compress");
  header.codec = Codec::zstd;
  header.wire_length = static_cast<std::uint32_t>(small->size());
  const Buffer packed = encode_header(header);
  corpus.put("pack", "compressed", std::string(text(packed)) + std::string(text(*small)));
}

void manifests(const Corpus& corpus) {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  for (const auto native : {WithNative::no, WithNative::yes}) {
    Buffer entries;
    auto writer = need(ManifestWriter::create(*disk, scratch / "m", native));
    for (const Entry& one : tree()) {
      done(encode_entry(one, WithNative::yes, entries));
      if (!need(writer.leave_until(one.path))) throw std::runtime_error("not a tree");
      done(writer.begin(one));
      if (one.kind == EntryKind::directory) continue;
      for (std::uint64_t i = 0; i < stored_leaves(one); ++i) {
        done(writer.leaf(zero_leaf_digest(leaf_length(one.size, i))));
      }
      need(writer.end());
    }
    need(writer.finish());
    done(writer.flush());
    std::ifstream file(scratch / "m", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    corpus.put("manifest", native == WithNative::no ? "plain" : "native", bytes);
    corpus.put("manifest", "entries", text(entries));
  }
}

void controls(const Corpus& corpus) {
  Opening opening;
  opening.kind = Opening::Kind::push;
  opening.transfer = "0193a5f0/orders/files";
  opening.service = "orders";
  opening.set = "files";
  opening.attempt = 1;
  opening.epoch = 3;
  opening.body = std::string("\x81\xa1x\x01", 4);
  corpus.put("control", "open", opening_control(opening).encode().text());
  const Error error = make_error(ErrorCode::no_space, "cannot write", "/srv/\xff", "free some");
  corpus.put("control", "fail", fail_control("fail", error).encode().text());
  corpus.put(
      "control", "numbers",
      Control("credit").set("bytes", 1 << 20).set("sequence", ~std::uint64_t{0}).encode().text());
}

void bodies(const Corpus& corpus, const std::string& vectors) {
  const auto samples = protocol::read_samples(vectors);
  for (const char* name :
       {"failed", "instruction.snapshot", "instruction.snapshot.done", "instruction.push",
        "instruction.push.done", "snapshot.raise.done", "snapshot.pin.done", "snapshot.lower.done",
        "snapshot.commit.done", "point.seal", "point.seal.done", "policy.show.done",
        "run.show.done", "status.done"}) {
    const auto& body = samples.at("messages").at(name);
    corpus.put("body", name, std::string(name) + "\n" + message::pack_body(body));
  }
  const auto& event = samples.at("messages").at("events.since.done").at("events").at(0);
  corpus.put("body", "event", "event\n" + message::pack_body(event));
  const auto& policy = samples.at("messages").at("policy.show.done").at("policy");
  corpus.put("body", "policy", "policy\n" + message::pack_body(policy));

  // Whole and signed, with the roots that its certificate has.
  const auto& seal = samples.at("messages").at("point.seal");
  std::vector<transfer::KeptSet> kept;
  for (const auto& set : seal.at("certificate").at("sets")) {
    transfer::KeptSet one;
    one.version.id.set = set.at("name").get<std::string>();
    one.version.component = "files";
    one.version.name = "v";
    one.path = "/srv/south/v";
    one.root = set.at("root").get<std::string>();
    one.manifest = "/srv/south/m";
    kept.push_back(one);
  }
  const auto run = seal.at("certificate").at("run").get<std::string>();
  const auto record = need(
      transfer::make_record(run, seal, kept, {1'700'000'000}, need(signing::SigningKey::make())));
  for (const auto& problem : transfer::record_problems(record)) std::cerr << problem << "\n";
  corpus.put("record", "signed", transfer::canonical(record));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make-fuzz-seeds REPOSITORY\n";
    return 2;
  }
  const std::string repository = argv[1];
  try {
    const Corpus corpus(repository + "/tests/fuzz/corpus");
    packs(corpus);
    manifests(corpus);
    controls(corpus);
    bodies(corpus, repository + "/schemas/vectors");
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << "\n";
    return 1;
  }
}
