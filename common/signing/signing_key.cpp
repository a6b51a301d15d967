#include "common/signing/signing_key.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <optional>
#include <vector>

#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::signing {

namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeContext>;
using Memory = std::unique_ptr<BIO, FreeBio>;

constexpr std::size_t kPublicBytes = 32;
constexpr std::size_t kSignatureBytes = 64;

std::string hex_of(const unsigned char* bytes, std::size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += kDigits[bytes[i] >> 4U];
    out += kDigits[bytes[i] & 0xfU];
  }
  return out;
}

std::optional<std::vector<unsigned char>> from_hex(const std::string& text, std::size_t count) {
  if (text.size() != 2 * count || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return std::nullopt;
  }
  std::vector<unsigned char> out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    out.push_back(static_cast<unsigned char>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return out;
}

const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string signing_key_path(const std::string& directory, const std::string& name) {
  return directory + "/" + name + ".sign";
}

struct SigningKey::Impl {
  Key key;
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

Result<SigningKey> SigningKey::make() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return make_error(ErrorCode::internal, "OpenSSL cannot make an Ed25519 key");
  return SigningKey(std::make_unique<Impl>(Impl{std::move(key)}));
}

Result<SigningKey> SigningKey::load_or_make(os::Disk& disk, const std::string& directory,
                                            const std::string& name) {
  const std::string path = signing_key_path(directory, name);
  if (auto there = disk.stat_at(os::kCwd, path); !there) {
    LOCKSTEP_TRY(auto made, make());
    const Memory memory(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_PKCS8PrivateKey(memory.get(), made.impl_->key.get(), nullptr, nullptr, 0,
                                      nullptr, nullptr) != 1) {
      return make_error(ErrorCode::internal, "OpenSSL cannot write the signing key", path);
    }
    char* text = nullptr;
    const long length = BIO_get_mem_data(memory.get(), &text);
    LOCKSTEP_CHECK(os::write_durably(disk, path, {text, static_cast<std::size_t>(length)}, {}));
    return made;
  } else if ((there->st_mode & 077) != 0) {
    return make_error(ErrorCode::key_mode, "the signing key may be read by others", path);
  }
  auto text = read_file(disk, path, 65536);
  if (!text) {
    return make_error(ErrorCode::key_unreadable, text.error().what, path);
  }
  const Memory memory(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return make_error(ErrorCode::key_unreadable, "the file is not an Ed25519 key in PEM", path);
  }
  return SigningKey(std::make_unique<Impl>(Impl{std::move(key)}));
}

std::string SigningKey::public_hex() const {
  std::array<unsigned char, kPublicBytes> bytes{};
  std::size_t size = bytes.size();
  EVP_PKEY_get_raw_public_key(impl_->key.get(), bytes.data(), &size);
  return hex_of(bytes.data(), size);
}

Result<std::string> SigningKey::sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new());
  std::array<unsigned char, kSignatureBytes> bytes{};
  std::size_t size = bytes.size();
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), bytes.data(), &size, raw(message), message.size()) != 1) {
    return make_error(ErrorCode::internal, "OpenSSL cannot sign");
  }
  return hex_of(bytes.data(), size);
}

bool signature_holds(std::string_view message, const std::string& public_hex,
                     const std::string& signature_hex) {
  const auto public_bytes = from_hex(public_hex, kPublicBytes);
  const auto signature = from_hex(signature_hex, kSignatureBytes);
  if (!public_bytes || !signature) return false;
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_bytes->data(),
                                            public_bytes->size()));
  const DigestContext context(EVP_MD_CTX_new());
  return key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature->data(), signature->size(), raw(message),
                          message.size()) == 1;
}

}  // namespace lockstep::signing
