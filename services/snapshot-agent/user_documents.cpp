#include "services/snapshot-agent/user_documents.hpp"

namespace lockstep::snapshot {

namespace {

constexpr std::size_t kMost = 4;
constexpr Nanos kOld = seconds(300);

}  // namespace

UserDocuments::Held* UserDocuments::held(const std::string& name) {
  for (auto& one : all_) {
    if (one.name != name) continue;
    one.used = clock_.mono();
    return &one;
  }
  return nullptr;
}

void UserDocuments::put(const std::string& name, std::string document) {
  forget(name);
  all_.push_front({name, std::move(document), clock_.mono()});
  while (all_.size() > kMost) all_.pop_back();
}

Result<std::size_t> UserDocuments::append(const std::string& name, std::size_t offset,
                                          std::string_view bytes) {
  if (held(name) == nullptr) put(name, {});
  std::string& document = held(name)->document;
  if (offset > document.size()) {
    return make_error(ErrorCode::message_malformed, "user data arrives with a gap", name,
                      "it was forgotten meanwhile; do it again");
  }
  if (offset + bytes.size() > kMostUserData) {
    forget(name);
    return make_error(ErrorCode::message_too_large, "more user data than an agent takes", name);
  }
  const std::size_t known = document.size() - offset;
  if (bytes.size() > known) document += bytes.substr(known);
  return document.size();
}

const std::string* UserDocuments::find(const std::string& name) {
  const Held* one = held(name);
  return one == nullptr ? nullptr : &one->document;
}

void UserDocuments::forget(const std::string& name) {
  all_.remove_if([&](const Held& one) { return one.name == name; });
}

void UserDocuments::forget_old() {
  const MonoNanos now = clock_.mono();
  all_.remove_if([&](const Held& one) { return now - one.used > kOld; });
}

}  // namespace lockstep::snapshot
