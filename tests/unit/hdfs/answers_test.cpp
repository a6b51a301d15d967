// What needs no cluster: addresses, answers, differences.
#include "common/components/hdfs/answers.hpp"

#include <catch2/catch.hpp>

#include "common/components/hdfs/address.hpp"
#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/native.hpp"

using namespace lockstep;
using namespace lockstep::hdfs;

TEST_CASE("hdfs: every byte of a name that means something in an address is escaped") {
  CHECK(address("http://n:1", "/a%b/c+d e;f?g#h&i=\xC3\xA9", "OPEN", {{"user.name", "a&b"}}) ==
        "http://n:1/webhdfs/v1/a%25b/c%2Bd%20e%3Bf%3Fg%23h%26i%3D%C3%A9?op=OPEN&user.name=a%26b");
  CHECK(escape("a/b", false) == "a%2Fb");
  CHECK(repair("http://d:1/a%20b\xC3\xA9?x=1&y") == "http://d:1/a%20b%C3%A9?x=1&y");
}

TEST_CASE("hdfs: names that it cannot have") {
  for (const char* good : {"a", "a%b", "\xC3\xA9", "\xE6\x97\xA5", "\xF0\x9F\x98\x80", "..."}) {
    CHECK(can_be_named(good));
  }
  for (const char* bad : {"", ".", "..", "a:b", "a/b", "\xff", "\xC3", "\xC0\xAF", "\xED\xA0\x80",
                          "\xF5\x80\x80\x80", ".snapshot", ".reserved"}) {
    INFO(bad);
    CHECK_FALSE(can_be_named(bad));
  }
  CHECK_FALSE(can_be_named(std::string(256, 'n')));
  CHECK_FALSE(can_be_named(std::string_view("a\0b", 3)));
}

TEST_CASE("hdfs: a failure says what to do about it") {
  const auto trouble = [](const char* exception, const char* message, long status = 403) {
    return read_failure(status,
                        std::string(R"({"RemoteException":{"exception":")") + exception +
                            R"(","message":")" + message + R"("}})",
                        "")
        .trouble;
  };
  CHECK(trouble("StandbyException", "x") == Trouble::wait);
  CHECK(trouble("RetriableException", "x") == Trouble::wait);
  CHECK(trouble("SafeModeException", "x") == Trouble::wait);
  CHECK(trouble("FileNotFoundException", "x", 404) == Trouble::missing);
  CHECK(trouble("FileAlreadyExistsException", "x") == Trouble::exists);
  CHECK(trouble("AccessControlException", "x") == Trouble::denied);
  CHECK(trouble("DSQuotaExceededException", "x") == Trouble::no_space);
  CHECK(trouble("SnapshotException", "x") == Trouble::snapshot);
  CHECK(trouble("InvalidPathException", "x", 400) == Trouble::argument);
  CHECK(trouble("IOException", "File /a could only be written to 0 of the 1") == Trouble::no_space);
  CHECK(trouble("IOException", "x") == Trouble::other);
  CHECK(read_failure(401, "<html>", " Negotiate").trouble == Trouble::kerberos);
  CHECK(read_failure(401, "<html>", "").trouble == Trouble::denied);
  CHECK(read_failure(503, "<html>", "").trouble == Trouble::wait);
  CHECK(read_failure(500, R"({"RemoteException":[]})", "").trouble == Trouble::other);
  INFO("a stack is left out");
  const std::string stack =
      R"x({"RemoteException":{"exception":"E","message":"m\n\tat a.b(C.java:1)"}})x";
  CHECK(read_failure(403, stack, "").text == "E: m");
  const Error error = to_error({Trouble::kerberos, "the cluster asks for Kerberos (SPNEGO)"},
                               ErrorCode::source_read, "read", "/a");
  CHECK(error.code == ErrorCode::not_built_yet);
  CHECK(error.text() == "cannot read: the cluster asks for Kerberos (SPNEGO): /a [not-built-yet]");
}

TEST_CASE("hdfs: what is no answer is refused, whatever it is") {
  for (const char* text : {"",
                           "{",
                           "[]",
                           "null",
                           "7",
                           "\"x\"",
                           "{}",
                           R"({"FileStatus":7})",
                           R"({"FileStatus":{}})",
                           R"({"FileStatuses":[]})",
                           R"({"FileStatuses":{"FileStatus":[7]}})",
                           R"({"DirectoryListing":{"partialListing":7}})",
                           R"({"AclStatus":7})",
                           R"({"AclStatus":{"entries":[7]}})",
                           R"({"XAttrs":[{"name":"a"}]})",
                           R"({"XAttrs":[7]})",
                           R"({"XAttrs":[{"name":"a","value":"0x0"}]})",
                           R"({"XAttrs":[{"name":"a","value":"0xzz"}]})",
                           R"({"SnapshotDiffReport":{"diffList":[{"type":"EXPLODE"}]}})",
                           R"({"SnapshotDiffReport":{"diffList":[7]}})",
                           R"({"Location":7})",
                           R"({"Location":"file:///etc/passwd"})",
                           R"({"FileStatus":{"type":"FILE","permission":"x"}})"}) {
    INFO(text);
    CHECK_FALSE(read_status(text));
    CHECK_FALSE(read_statuses(text));
    CHECK_FALSE(read_page(text));
    CHECK_FALSE(read_acl(text));
    CHECK_FALSE(read_xattrs(text));
    CHECK_FALSE(read_differences(text));
    CHECK_FALSE(read_location(text));
  }
  CHECK_FALSE(native_from_text("{}"));
  CHECK_FALSE(native_from_text("x"));
  CHECK_FALSE(native_from_text(R"({"directory":7})"));
  CHECK_FALSE(native_from_text(R"({"directory":"relative"})"));
}

TEST_CASE("hdfs: properties and gauges") {
  CHECK(read_property(R"({"property":{"key":"a","value":"true"}})", "a") == "true");
  CHECK_FALSE(read_property(R"({"property":{"key":"a","value":"true"}})", "b"));
  CHECK(read_property("<property><name>a</name><value>false</value>", "a") == "false");
  CHECK_FALSE(read_property("<property>", "a"));
  CHECK(read_gauge(R"({"beans":[{"x":1},{"CapacityRemaining":7}]})", "CapacityRemaining") == 7U);
  CHECK_FALSE(read_gauge(R"({"beans":[]})", "CapacityRemaining"));
}

TEST_CASE("hdfs: differences become places to look at, in order, none inside one that is listed") {
  using Kind = Difference::Kind;
  const auto touched = touched_by({{Kind::modified, "", ""},
                                   {Kind::renamed, "b", "a/moved"},
                                   {Kind::modified, "b/inside", ""},
                                   {Kind::modified, "a/moved/inside", ""},
                                   {Kind::created, "new", ""},
                                   {Kind::created, "new/too", ""},
                                   {Kind::removed, "a-b", ""},
                                   {Kind::removed, "again", ""},
                                   {Kind::created, "again", ""},
                                   {Kind::modified, "a/file", ""}});
  std::string text;
  for (const auto& one : touched) text += one.path + (one.below ? "/* " : " ");
  CHECK(text == " a/file a/moved/* a-b again/* b b/inside new/* ");
}
