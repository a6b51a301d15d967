#include "common/transport/keys.hpp"

#include <fcntl.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "common/os/durable.hpp"

namespace lockstep::transport {

namespace {

constexpr std::size_t kKeyText = 40;
constexpr std::size_t kKeyBytes = 32;

// A key file that is there stays.
Result<void> write_file(os::Disk& disk, const std::string& path, const std::string& key,
                        mode_t mode) {
  auto written = os::write_durably(disk, path, key + "\n", {.mode = mode, .replace = false});
  if (!written && written.error().code == ErrorCode::place_not_empty) {
    written.error().hint = "remove it if the key is no longer wanted, then make a new one";
  }
  return written;
}

struct KeyFile {
  struct ::stat status {};
  std::string text;
};

Result<KeyFile> read_file(os::Disk& disk, const std::string& path) {
  const auto unreadable = [&](const os::Errno& problem) {
    return from_errno(ErrorCode::key_unreadable, problem.number, "read a key file", path);
  };
  auto file = disk.open(os::kCwd, path, O_RDONLY | O_NONBLOCK);
  if (!file) return unreadable(file.error());
  KeyFile out;
  auto status = disk.stat(file->get());
  if (!status) return unreadable(status.error());
  out.status = *status;
  if (!S_ISREG(out.status.st_mode)) {
    return make_error(ErrorCode::key_unreadable, "a key file must be a regular file", path);
  }
  std::array<std::byte, kKeyText + 8> buffer{};
  auto got = disk.read_at(file->get(), 0, buffer);
  if (!got) return unreadable(got.error());
  for (std::size_t i = 0; i < *got; ++i) out.text += static_cast<char>(buffer[i]);
  while (!out.text.empty() && (out.text.back() == '\n' || out.text.back() == '\r')) {
    out.text.pop_back();
  }
  if (!is_key(out.text)) {
    return make_error(ErrorCode::key_unreadable,
                      "the file does not hold a key (40 characters of Z85)", path);
  }
  return out;
}

}  // namespace

KeyPair make_key_pair() {
  std::array<char, kKeyText + 1> public_key{};
  std::array<char, kKeyText + 1> secret_key{};
  // Fails only where libzmq was built without CURVE, which no build of ours can use.
  if (::zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) std::abort();
  return {public_key.data(), secret_key.data()};
}

bool is_key(std::string_view text) {
  if (text.size() != kKeyText) return false;
  std::array<std::uint8_t, kKeyBytes> bytes{};
  // A NUL would end the text for libzmq; no other character escapes its own check.
  if (text.find('\0') != std::string_view::npos) return false;
  return ::zmq_z85_decode(bytes.data(), std::string(text).c_str()) != nullptr;
}

std::string public_key_of(const std::string& secret_key) {
  std::array<char, kKeyText + 1> public_key{};
  if (!is_key(secret_key) || ::zmq_curve_public(public_key.data(), secret_key.c_str()) != 0) {
    std::abort();
  }
  return public_key.data();
}

std::string public_key_path(const std::string& directory, const std::string& name) {
  return directory + "/" + name + ".pub";
}
std::string secret_key_path(const std::string& directory, const std::string& name) {
  return directory + "/" + name + ".key";
}

Result<void> write_key_files(os::Disk& disk, const std::string& directory, const std::string& name,
                             const KeyPair& pair) {
  LOCKSTEP_CHECK(write_file(disk, secret_key_path(directory, name), pair.secret_key, 0600));
  return write_file(disk, public_key_path(directory, name), pair.public_key, 0644);
}

Result<std::string> read_public_key(os::Disk& disk, const std::string& directory,
                                    const std::string& name) {
  LOCKSTEP_TRY(KeyFile file, read_file(disk, public_key_path(directory, name)));
  return std::move(file.text);
}

Result<std::string> read_secret_key(os::Disk& disk, const std::string& directory,
                                    const std::string& name) {
  const std::string path = secret_key_path(directory, name);
  LOCKSTEP_TRY(KeyFile file, read_file(disk, path));
  if ((file.status.st_mode & 077U) != 0) {
    return make_error(ErrorCode::key_mode, "others than its owner may use this secret key file",
                      path, "chmod 0600 " + path);
  }
  return std::move(file.text);
}

}  // namespace lockstep::transport
