// Names in a directory: DNs below the base, whatever their spelling.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lockstep::users {

std::string lower(std::string text);
// One spelling for each DN: RFC 4514 without needless spaces, in lower case. A text that is no DN
// stays as it is, in lower case.
std::string normal_dn(const std::string& dn);
// "uid=a,ou=people" of "uid=a,ou=people,dc=x" below "dc=x"; "" where it does not lie below.
std::string below(const std::string& dn, const std::string& base);
// The first part, and the rest without its comma.
std::pair<std::string, std::string> split_dn(const std::string& dn);
// Its attributes (in lower case) and values.
std::vector<std::pair<std::string, std::string>> rdn_values(const std::string& dn);

}  // namespace lockstep::users
