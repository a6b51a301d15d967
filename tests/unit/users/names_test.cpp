#include "common/users/ldap/names.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::users;

TEST_CASE("a DN has one spelling") {
  CHECK(normal_dn("uid=Anna, OU=People,dc=X") == normal_dn("UID=anna,ou=people,DC=x"));
  CHECK(normal_dn("uid=a\\,b,ou=p") == normal_dn("uid=a\\2cb, ou=p"));
  CHECK(normal_dn("uid=a,ou=p") != normal_dn("uid=b,ou=p"));
  CHECK(normal_dn("No DN at all") == "no dn at all");
}

TEST_CASE("a name is what stands below the base") {
  CHECK(below("uid=Anna,ou=people,dc=example,dc=org", "dc=example,dc=org") == "uid=Anna,ou=people");
  CHECK(below("uid=a, ou=people, DC=Example, dc=org", "dc=example,dc=org") == "uid=a,ou=people");
  CHECK(below("uid=a\\,b,ou=people,dc=x", "dc=x") == "uid=a\\,b,ou=people");
  CHECK(below("dc=example,dc=org", "dc=example,dc=org").empty());
  CHECK(below("uid=a,ou=people,dc=other", "dc=example,dc=org").empty());
  CHECK(below("uid=a,dc=an example", "dc=example").empty());
}

TEST_CASE("the first part of a name, its attributes and values") {
  CHECK(split_dn("uid=a\\,b,ou=p") == std::pair<std::string, std::string>("uid=a\\,b", "ou=p"));
  CHECK(split_dn("uid=a") == std::pair<std::string, std::string>("uid=a", ""));
  const auto values = rdn_values("CN=Anna\\, A+uid=anna,ou=people");
  REQUIRE(values.size() == 2);
  CHECK((values[0] == std::pair<std::string, std::string>("cn", "Anna, A") ||
         values[1] == std::pair<std::string, std::string>("cn", "Anna, A")));
  CHECK(rdn_values("").empty());
}
