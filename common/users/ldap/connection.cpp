#include "common/users/ldap/connection.hpp"

#include <sys/stat.h>
#include <sys/time.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "common/users/ldap/names.hpp"

namespace lockstep::users {

namespace {

constexpr std::size_t kWindow = 64;
constexpr ber_int_t kPage = 1000;
constexpr int kConnectSeconds = 10;
constexpr int kAnswerSeconds = 120;
constexpr const char* kRelax = "1.3.6.1.4.1.4203.666.5.12";

berval view(const std::string& text) { return {text.size(), const_cast<char*>(text.data())}; }

std::string text_of(const berval& value) { return {value.bv_val, value.bv_len}; }

// What libldap takes: arrays that end with nullptr, over strings that stay where they are.
class Mods {
 public:
  Mods(const std::vector<Modification>& modifications, bool adding) {
    mods_.resize(modifications.size());
    values_.resize(modifications.size());
    for (std::size_t i = 0; i < modifications.size(); ++i) {
      const Modification& from = modifications[i];
      values_[i].reserve(from.values.size());
      for (const auto& value : from.values) values_[i].push_back(view(value));
      auto& list = lists_.emplace_back();
      for (auto& value : values_[i]) list.push_back(&value);
      list.push_back(nullptr);
    }
    for (std::size_t i = 0; i < modifications.size(); ++i) {
      mods_[i].mod_op = (adding ? LDAP_MOD_ADD : modifications[i].op) | LDAP_MOD_BVALUES;
      mods_[i].mod_type = const_cast<char*>(modifications[i].attribute.c_str());
      mods_[i].mod_bvalues = modifications[i].values.empty() ? nullptr : lists_[i].data();
      pointers_.push_back(&mods_[i]);
    }
    pointers_.push_back(nullptr);
  }
  LDAPMod** get() { return pointers_.data(); }

 private:
  std::vector<LDAPMod> mods_;
  std::vector<std::vector<berval>> values_;
  std::vector<std::vector<berval*>> lists_;
  std::vector<LDAPMod*> pointers_;
};

struct Relax {
  LDAPControl control{};
  LDAPControl* list[2]{};

  explicit Relax(bool wanted) {
    control.ldctl_oid = const_cast<char*>(kRelax);
    control.ldctl_iscritical = 1;
    if (wanted) list[0] = &control;
  }
};

struct FreeMessage {
  void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
};
struct FreeControl {
  void operator()(LDAPControl* control) const { ldap_control_free(control); }
};
struct FreeControls {
  void operator()(LDAPControl** controls) const { ldap_controls_free(controls); }
};

Entry entry_of(LDAP* ldap, LDAPMessage* message) {
  Entry entry;
  BerElement* element = nullptr;
  berval dn{};
  if (ldap_get_dn_ber(ldap, message, &element, &dn) == LDAP_SUCCESS) entry.dn = text_of(dn);
  berval name{};
  BerVarray values = nullptr;
  while (ldap_get_attribute_ber(ldap, message, element, &name, &values) == LDAP_SUCCESS &&
         name.bv_val != nullptr) {
    Values& into = entry.attributes[lower(text_of(name))];
    for (auto* value = values; value != nullptr && value->bv_val != nullptr; ++value) {
      into.insert(text_of(*value));
    }
    if (values != nullptr) ber_memfree(values);
    values = nullptr;
  }
  if (element != nullptr) ber_free(element, 0);
  return entry;
}

bool on_this_host(const std::string& url) {
  for (const char* host : {"ldap://127.", "ldap://localhost", "ldap://[::1]", "ldapi:"}) {
    if (url.starts_with(host)) return true;
  }
  return false;
}

Result<std::string> read_secret(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return from_errno(ErrorCode::config_unreadable, errno, "read the password file", path);
  }
  if ((status.st_mode & 077) != 0) {
    return make_error(ErrorCode::key_mode, "others may read the password file", path);
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) {  // which would be an unauthenticated bind, and succeed
    return make_error(ErrorCode::config_unreadable, "the password file is empty", path);
  }
  return text;
}

}  // namespace

Error Connection::error(int code, ErrorCode failing, const std::string& what) {
  ErrorCode ours = failing;
  switch (code) {
    case LDAP_SERVER_DOWN:
    case LDAP_CONNECT_ERROR:
    case LDAP_TIMEOUT:
    case LDAP_UNAVAILABLE:
    case LDAP_BUSY:
      ours = ErrorCode::unreachable;
      break;
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_STRONG_AUTH_REQUIRED:
    case LDAP_INAPPROPRIATE_AUTH:
      ours = ErrorCode::permission;
      break;
    default:
      break;
  }
  if (ours == ErrorCode::unreachable) {  // connected anew by the next use
    under_way_.clear();
    ldap_.reset();
  }
  return make_error(ours, what + ": " + ldap_err2string(code), settings_.url);
}

Result<void> Connection::open() {
  if (ldap_) return {};
  LDAP* raw = nullptr;
  if (const int code = ldap_initialize(&raw, settings_.url.c_str()); code != LDAP_SUCCESS) {
    return error(code, ErrorCode::unreachable, "cannot connect to the directory");
  }
  ldap_.reset(raw);
  const int version = LDAP_VERSION3;
  const timeval connect{kConnectSeconds, 0};
  const timeval answer{kAnswerSeconds, 0};
  ldap_set_option(raw, LDAP_OPT_PROTOCOL_VERSION, &version);
  ldap_set_option(raw, LDAP_OPT_NETWORK_TIMEOUT, &connect);
  ldap_set_option(raw, LDAP_OPT_TIMEOUT, &answer);
  ldap_set_option(raw, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  if (auto bound = bind(); !bound) {
    ldap_.reset();
    return bound.error();
  }
  return {};
}

Result<void> Connection::bind() {
  if (settings_.url.starts_with("ldap://") && !on_this_host(settings_.url)) {
    if (const int code = ldap_start_tls_s(ldap_.get(), nullptr, nullptr); code != LDAP_SUCCESS) {
      return error(code, ErrorCode::unreachable, "cannot encrypt the connection by StartTLS");
    }
  }
  std::string password;
  if (!settings_.bind.empty()) {
    LOCKSTEP_TRY(password, read_secret(settings_.password_file));
  }
  berval credentials = view(password);
  const int code = settings_.bind.empty()
                       ? ldap_sasl_bind_s(ldap_.get(), nullptr, "EXTERNAL", &credentials, nullptr,
                                          nullptr, nullptr)
                       : ldap_sasl_bind_s(ldap_.get(), settings_.bind.c_str(), LDAP_SASL_SIMPLE,
                                          &credentials, nullptr, nullptr, nullptr);
  if (code != LDAP_SUCCESS) {
    return error(code, ErrorCode::permission, "the directory does not let this account in");
  }
  return {};
}

Result<void> Connection::search(const std::string& dn, int scope,
                                const std::vector<std::string>& attributes,
                                const std::function<void(Entry)>& each) {
  LOCKSTEP_CHECK(open());
  std::vector<char*> names;
  for (const auto& name : attributes) names.push_back(const_cast<char*>(name.c_str()));
  names.push_back(nullptr);
  berval cookie{0, nullptr};
  const std::unique_ptr<berval, void (*)(berval*)> owner(
      &cookie, [](berval* held) { ber_memfree(held->bv_val); });
  while (true) {
    LDAPControl* raw_page = nullptr;
    ldap_create_page_control(ldap_.get(), kPage, &cookie, 0, &raw_page);
    const std::unique_ptr<LDAPControl, FreeControl> page(raw_page);
    LDAPControl* controls[] = {page.get(), nullptr};
    LDAPMessage* raw = nullptr;
    int code = ldap_search_ext_s(ldap_.get(), dn.c_str(), scope, "(objectClass=*)", names.data(), 0,
                                 controls, nullptr, nullptr, LDAP_NO_LIMIT, &raw);
    const std::unique_ptr<LDAPMessage, FreeMessage> result(raw);
    if (code == LDAP_NO_SUCH_OBJECT) return {};
    if (code != LDAP_SUCCESS) return error(code, ErrorCode::source_read, "cannot read " + dn);
    for (auto* message = ldap_first_entry(ldap_.get(), raw); message != nullptr;
         message = ldap_next_entry(ldap_.get(), message)) {
      each(entry_of(ldap_.get(), message));
    }
    LDAPControl** raw_answered = nullptr;
    code = LDAP_SUCCESS;
    ldap_parse_result(ldap_.get(), raw, &code, nullptr, nullptr, nullptr, &raw_answered, 0);
    const std::unique_ptr<LDAPControl*, FreeControls> answered(raw_answered);
    ber_memfree(cookie.bv_val);
    cookie = {0, nullptr};
    auto* paged =
        answered ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, answered.get(), nullptr) : nullptr;
    if (paged == nullptr) return {};  // a server that does not know pages gave all
    ber_int_t estimate = 0;
    if (ldap_parse_pageresponse_control(ldap_.get(), paged, &estimate, &cookie) != LDAP_SUCCESS ||
        cookie.bv_len == 0) {
      return {};
    }
  }
}

Result<void> Connection::sent(int code, int id, Sent what) {
  if (code != LDAP_SUCCESS) return error(code, ErrorCode::target_write, "cannot " + what.what);
  under_way_.emplace(id, std::move(what));
  while (under_way_.size() >= kWindow) LOCKSTEP_CHECK(settle_one());
  return {};
}

Result<void> Connection::settle_one() {
  timeval patience{kAnswerSeconds, 0};
  LDAPMessage* raw = nullptr;
  const int kind = ldap_result(ldap_.get(), LDAP_RES_ANY, LDAP_MSG_ONE, &patience, &raw);
  const std::unique_ptr<LDAPMessage, FreeMessage> message(raw);
  if (kind <= 0) {
    return error(kind == 0 ? LDAP_TIMEOUT : LDAP_SERVER_DOWN, ErrorCode::target_write,
                 "the directory does not answer");
  }
  const auto found = under_way_.find(ldap_msgid(raw));
  if (found == under_way_.end()) return {};
  const Sent what = std::move(found->second);
  under_way_.erase(found);
  int code = LDAP_SUCCESS;
  ldap_parse_result(ldap_.get(), raw, &code, nullptr, nullptr, nullptr, nullptr, 0);
  if (code == LDAP_SUCCESS || code == what.also_fine) return {};
  return error(code, ErrorCode::target_write, "cannot " + what.what);
}

Result<void> Connection::settle() {
  Result<void> first;
  while (!under_way_.empty()) {
    auto settled = settle_one();
    if (!settled && first) first = std::move(settled);
  }
  return first;
}

Result<void> Connection::add(const std::string& dn, const std::vector<Modification>& attributes,
                             bool relax) {
  LOCKSTEP_CHECK(open());
  Mods mods(attributes, true);
  Relax control(relax);
  int id = 0;
  const int code = ldap_add_ext(ldap_.get(), dn.c_str(), mods.get(), control.list, nullptr, &id);
  return sent(code, id, {"add " + dn});
}

Result<void> Connection::modify(const std::string& dn,
                                const std::vector<Modification>& modifications, bool relax,
                                int also_fine) {
  LOCKSTEP_CHECK(open());
  Mods mods(modifications, false);
  Relax control(relax);
  int id = 0;
  const int code = ldap_modify_ext(ldap_.get(), dn.c_str(), mods.get(), control.list, nullptr, &id);
  return sent(code, id, {"change " + dn, also_fine});
}

Result<void> Connection::remove(const std::string& dn) {
  LOCKSTEP_CHECK(open());
  int id = 0;
  const int code = ldap_delete_ext(ldap_.get(), dn.c_str(), nullptr, nullptr, &id);
  return sent(code, id, {"remove " + dn, LDAP_NO_SUCH_OBJECT});
}

Result<void> Connection::rename(const std::string& dn, const std::string& rdn,
                                const std::string& parent) {
  LOCKSTEP_CHECK(open());
  int id = 0;
  const int code =
      ldap_rename(ldap_.get(), dn.c_str(), rdn.c_str(), parent.c_str(), 1, nullptr, nullptr, &id);
  return sent(code, id, {"rename " + dn});
}

}  // namespace lockstep::users
