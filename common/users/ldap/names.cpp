#include "common/users/ldap/names.hpp"

#include <ldap.h>

#include <memory>

namespace lockstep::users {

namespace {

struct FreeDn {
  void operator()(LDAPRDN* dn) const { ldap_dnfree(dn); }
};

std::unique_ptr<LDAPRDN, FreeDn> parsed(const std::string& dn) {
  LDAPDN raw = nullptr;
  if (ldap_str2dn(dn.c_str(), &raw, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS) return nullptr;
  return std::unique_ptr<LDAPRDN, FreeDn>(raw);
}

}  // namespace

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string normal_dn(const std::string& dn) {
  const auto parts = parsed(dn);
  char* text = nullptr;
  if (!parts || ldap_dn2str(parts.get(), &text, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS) {
    return lower(dn);
  }
  std::string out = lower(text);
  ldap_memfree(text);
  return out;
}

std::string below(const std::string& dn, const std::string& base) {
  // Depths and not lengths: the same base may be spelt with other spaces.
  const std::string wanted = normal_dn(base);
  std::string head;
  std::string rest = dn;
  while (!rest.empty()) {
    if (normal_dn(rest) == wanted) return head;
    auto [first, after] = split_dn(rest);
    head += (head.empty() ? "" : ",") + first;
    rest = after;
  }
  return {};
}

std::pair<std::string, std::string> split_dn(const std::string& dn) {
  for (std::size_t i = 0; i < dn.size(); ++i) {
    if (dn[i] == '\\') {
      ++i;
    } else if (dn[i] == ',') {
      const auto rest = dn.find_first_not_of(' ', i + 1);
      return {dn.substr(0, i), rest == std::string::npos ? "" : dn.substr(rest)};
    }
  }
  return {dn, ""};
}

std::vector<std::pair<std::string, std::string>> rdn_values(const std::string& dn) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto parts = parsed(dn);
  if (!parts || parts.get()[0] == nullptr) return out;
  for (LDAPAVA** ava = parts.get()[0]; *ava != nullptr; ++ava) {
    out.emplace_back(lower({(*ava)->la_attr.bv_val, (*ava)->la_attr.bv_len}),
                     std::string{(*ava)->la_value.bv_val, (*ava)->la_value.bv_len});
  }
  return out;
}

}  // namespace lockstep::users
