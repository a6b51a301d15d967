// SigningKey: the Ed25519 key (RFC 8032) with which a registrar signs its records.
//
// `<directory>/<name>.sign` holds it as PKCS#8 in PEM, mode 0600, beside the CURVE keys; what
// `openssl pkey` reads. `lockstep keys init` makes it; a registrar without one makes its own.
//
// Thread rule: an object may be used from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::signing {

std::string signing_key_path(const std::string& directory, const std::string& name);

class SigningKey {
 public:
  ~SigningKey();
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;

  // Read, or made where it is missing; the directory must exist. Errors: key-unreadable, key-mode,
  // target-write, permission, no-space.
  static Result<SigningKey> load_or_make(os::Disk& disk, const std::string& directory,
                                         const std::string& name);
  static Result<SigningKey> make();

  std::string public_hex() const;                            // 64 digits
  Result<std::string> sign(std::string_view message) const;  // 128 digits

 private:
  struct Impl;
  explicit SigningKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether `signature_hex` is `public_hex`'s over `message`; false too where either is malformed.
bool signature_holds(std::string_view message, const std::string& public_hex,
                     const std::string& signature_hex);

}  // namespace lockstep::signing
