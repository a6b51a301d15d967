// Key files: a CURVE key pair a party (RFC 26), in Z85 text (RFC 32).
//
// `<name>.key` holds the secret key, mode 0600; `<name>.pub` the public one. Each is one line of 40
// characters.
//
// Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::transport {

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

KeyPair make_key_pair();
bool is_key(std::string_view text);  // 40 characters of Z85 that stand for 32 bytes
// Requires is_key(secret_key).
std::string public_key_of(const std::string& secret_key);

std::string public_key_path(const std::string& directory, const std::string& name);
std::string secret_key_path(const std::string& directory, const std::string& name);

// Both files, durably: first the secret one, so that a public key never lacks its secret. Files
// that are there are not touched: place-not-empty. Errors: target-write, no-space, permission.
Result<void> write_key_files(os::Disk& disk, const std::string& directory, const std::string& name,
                             const KeyPair& pair);

// Errors: key-unreadable (missing, not a regular file, not a key); key-mode (group or others may
// read the secret one).
Result<std::string> read_public_key(os::Disk& disk, const std::string& directory,
                                    const std::string& name);
Result<std::string> read_secret_key(os::Disk& disk, const std::string& directory,
                                    const std::string& name);

}  // namespace lockstep::transport
