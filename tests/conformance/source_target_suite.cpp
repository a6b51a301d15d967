#include "tests/conformance/source_target_suite.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/conformance/carry.hpp"
#include "tests/support/differences.hpp"

namespace lockstep::test {

namespace fs = std::filesystem;
using component::Action;
using component::Context;
using component::Entry;
using component::EntryKind;
using component::Version;

namespace {

std::string run_id(int number) {
  return "01930000-0000-7000-8000-0000000000" + std::to_string(10 + number);
}

Context context_of(const std::string& run) {
  Context context;
  context.run = run;
  return context;
}

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}
void must(Result<void> result) {
  if (!result) FAIL(result.error().text());
}

Version pin(SourceTargetSubject& subject, const std::string& run) {
  component::Snapshots& snapshots = *subject.component.snapshots();
  const Context context = context_of(run);
  auto armed = must(snapshots.arm(context, subject.set, subject.clock.utc()));
  (void)must(armed->pin());
  return must(armed->settle(context));
}

Carry carry_of(SourceTargetSubject& subject, const Version& pinned, const std::string& run) {
  return {*subject.component.sources(), *subject.component.target(), subject.target, pinned, run};
}

std::string path_of(SourceTargetSubject& subject, const Version& version) {
  return subject.component.target()->path_of(version);
}

// Everything that is carried. Names: with a newline, of 255 bytes, no UTF-8, with a leading dash.
void fill(const SourceTargetSubject& subject) {
  shell("cd '" + subject.tree + R"sh('
    mkdir -p a/deep/er b 'with blank' empty ./-d
    for i in $(seq 1 30); do echo "invoice $i" > a/invoice-$i; done
    head -c 3000000 /dev/urandom > b/big; head -c 2500000 /dev/urandom > b/large
    truncate -s 20M b/sparse; printf tail | dd of=b/sparse bs=1 seek=10000000 conv=notrunc status=none
    head -c 2000000 /dev/urandom > b/holed; fallocate -p -o 262144 -l 524288 b/holed
    truncate -s 5M b/all-hole
    echo linked > a/first; ln a/first b/second; ln a/first 'with blank/third'
    ln -s ../a/first b/link; ln -s /nowhere/at/all dangling; ln -s "$(head -c 900 /dev/zero | tr '\0' x)" long-link
    mkfifo b/fifo; /usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("b/socket")'
    printf 'x' > "$(printf 'bytes-\377\376')"; : > 'a-b'; : > a/zero; echo q > "$(printf 'line\nbreak')"
    echo dash > ./-rf; : > "$(head -c 255 /dev/zero | tr '\0' n)"; echo hidden > .hidden
    setfattr -n user.colour -v red a/first; setfattr -n user.empty a/invoice-9
    setfattr -n user.gone -v soon a/invoice-20; setfacl -m u:12345:r a/invoice-20
    setfattr -n user.dir -v d b; setfattr -n user.root -v r .
    setfacl -m u:12345:r a/invoice-1; setfacl -d -m g:54321:rwx a/deep; : > a/deep/inherits
    chmod 4755 a/invoice-2 a/invoice-22; chmod 0400 a/invoice-4; chmod 0500 'with blank'; chmod 1777 -- -d
    touch -d '1969-07-20T20:17:40.123456789Z' a/invoice-5; touch -d 2001-02-03T04:05:06.7 empty
    touch -h -d 2002-02-03T04:05:06.7 dangling
  )sh");
  if (!subject.privileged) return;
  shell("cd '" + subject.tree + R"sh('
    mknod b/null c 1 3; mknod b/disk b 7 200
    chown 1234:5678 a/invoice-3; chown -h 4321:8765 dangling; chown 77:88 b/fifo empty
    setfattr -n trusted.kept -v yes b/big; setfattr -h -n trusted.onlink -v yes dangling
    setcap cap_net_bind_service+ep a/invoice-6; chown 1234 a/invoice-2; chmod 6755 a/invoice-2
    setfattr -n trusted.f -v f b/fifo; chmod 0 a/invoice-7; chmod 0 a/deep/er
  )sh");
}

// Creation, changes inside a large file, metadata alone, removal, and kinds that change.
void change(const SourceTargetSubject& subject) {
  shell("cd '" + subject.tree + R"sh('
    mkdir -p new/er; echo fresh > new/er/file; echo more >> a/invoice-8
    printf changed | dd of=b/big bs=1 seek=1500000 conv=notrunc status=none
    head -c 100000 /dev/urandom >> b/big; truncate -s 2000000 b/large
    printf x | dd of=b/sparse bs=1 seek=3000000 conv=notrunc status=none
    fallocate -p -o 1048576 -l 524288 b/holed; echo grown >> b/holed
    chmod 640 a/invoice-10; setfattr -n user.new -v 1 a/invoice-11; setfattr -x user.empty a/invoice-9
    setfacl -b a/invoice-1; touch -d 2011-11-11 b/link -h; touch -d 2012-12-12 a/invoice-12
    rm a/invoice-13; chmod u+w 'with blank'; rm 'with blank/third'; chmod u-w 'with blank'
    rm b/second; ln b/large b/large-too; ln a/invoice-14 a/invoice-14-too
    rm -r empty; echo now-a-file > empty; rm dangling; mkdir dangling; echo in > dangling/side
    rm b/link; mkdir -p b/link/x; rm a/invoice-15; ln -s elsewhere a/invoice-15
    rm b/fifo; echo plain > b/fifo; rm a/invoice-16; mkfifo a/invoice-16
    mv a/deep moved; mv a/invoice-17 a/invoice-17-moved; setfattr -x user.root .
    cp a/invoice-18 copy; mv copy a/invoice-18; : > a/invoice-19
    echo x > a/invoice-20; setfattr -x user.gone a/invoice-20; setfacl -b a/invoice-20
    : > a/invoice-22; chmod 4755 a/invoice-22; echo more >> a/invoice-2; chmod 4755 a/invoice-2; echo more >> a/first
    chmod u+w a/invoice-4; echo more >> a/invoice-4; chmod 0400 a/invoice-4
  )sh");
  if (!subject.privileged) return;
  shell("cd '" + subject.tree + R"sh('
    chown 99:99 a/invoice-3; chmod 6755 a/invoice-2; setcap -r a/invoice-6; rm b/null; mknod b/null c 1 5; chmod 755 moved/er
    setfattr -x trusted.kept b/big; setcap cap_chown+ep b/large
  )sh");
}

void keep_copy(const std::string& of, const std::string& at) {
  shell("cp -a --sparse=always '" + of + "' '" + at + "'");
}

// Both sides' sources list the same.
void same_entries(SourceTargetSubject& subject, const Version& pinned, const Version& kept) {
  auto of_pin = must(subject.component.sources()->open(pinned));
  auto of_kept = must(subject.component.sources()->open(kept));
  const std::vector<Entry> left = must(entries_of(*of_pin));
  const std::vector<Entry> right = must(entries_of(*of_kept));
  REQUIRE(left.size() == right.size());
  std::string last;
  for (std::size_t i = 0; i < left.size(); ++i) {
    INFO(left[i].path);
    CHECK(left[i].path == right[i].path);
    CHECK((i == 0 || component::path_less(last, left[i].path)));
    last = left[i].path;
    CHECK(left[i].kind == right[i].kind);
    CHECK(left[i].mode == right[i].mode);
    CHECK(left[i].uid == right[i].uid);
    CHECK(left[i].gid == right[i].gid);
    CHECK(left[i].mtime_ns == right[i].mtime_ns);
    CHECK(left[i].size == right[i].size);
    CHECK(left[i].device == right[i].device);
    CHECK(left[i].link_target == right[i].link_target);
    CHECK((left[i].xattrs == right[i].xattrs));
    if (left[i].kind == EntryKind::regular) {
      CHECK((must(content_of(*of_pin, left[i])) == must(content_of(*of_kept, right[i]))));
    }
  }
}

void check_restored(SourceTargetSubject& subject, const Version& kept, const std::string& expected,
                    const std::string& name) {
  const std::string at = subject.room + "/" + name;
  const auto restored =
      must(subject.component.target()->restore(context_of(run_id(80)), kept, {at, {}}, "", false));
  CHECK(restored.entries > 1);
  CHECK(restored.moved_aside.empty());
  CHECK(differences(expected, at) == "");
}

}  // namespace

void carries_everything(SourceTargetSubject subject) {
  fill(subject);
  must(subject.component.target()->check(subject.target, 1 << 20));
  const Version pinned = pin(subject, run_id(1));
  const Version kept = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  CHECK(kept.name == run_id(1));
  CHECK(differences(subject.tree, path_of(subject, kept)) == "");
  same_entries(subject, pinned, kept);
  must(subject.component.target()->check_version(kept));
  const auto found = must(subject.component.target()->find(context_of(run_id(1)), subject.target));
  REQUIRE(found);
  CHECK(found->native == kept.native);
  check_restored(subject, kept, subject.tree, "everything");
  CHECK(differences(subject.tree, path_of(subject, kept)) == "");
}

void carries_changes(SourceTargetSubject subject) {
  fill(subject);
  const Version first_pin = pin(subject, run_id(1));
  const Version first = must(Carrier(carry_of(subject, first_pin, run_id(1))).run()).version;
  keep_copy(subject.tree, subject.room + "/first");
  change(subject);
  const Version second_pin = pin(subject, run_id(2));
  Carry carry = carry_of(subject, second_pin, run_id(2));
  carry.base_pin = first_pin;
  carry.base_version = first;
  const Carried second = must(Carrier(carry).run());
  CHECK(differences(subject.tree, path_of(subject, second.version)) == "");
  same_entries(subject, second_pin, second.version);
  INFO("a version never changes, whatever is made from it");
  CHECK(differences(subject.room + "/first", path_of(subject, first)) == "");
  check_restored(subject, second.version, subject.tree, "second");
  check_restored(subject, first, subject.room + "/first", "first-again");
  must(subject.component.target()->drop(context_of(run_id(2)), first));
  CHECK(differences(subject.tree, path_of(subject, second.version)) == "");
  must(subject.component.target()->check_version(second.version));
}

void is_idempotent(SourceTargetSubject subject) {
  fill(subject);
  const Version first_pin = pin(subject, run_id(1));
  Carry carry = carry_of(subject, first_pin, run_id(1));
  carry.twice = true;
  const Carried first = must(Carrier(carry).run());
  CHECK(differences(subject.tree, path_of(subject, first.version)) == "");
  change(subject);
  const Version second_pin = pin(subject, run_id(2));
  int number = 2;
  for (const std::size_t stop : {std::size_t{0}, std::size_t{1}, std::size_t{9}, std::size_t{25}}) {
    INFO("stopped after " << stop);
    Carry again = carry_of(subject, second_pin, run_id(number++));
    again.base_pin = first_pin;
    again.base_version = first.version;
    again.twice = stop == 0;
    again.stop_after = stop;
    const Carried second = must(Carrier(again).run());
    CHECK(differences(subject.tree, path_of(subject, second.version)) == "");
  }
}

void shares_what_is_unchanged(SourceTargetSubject subject) {
  fill(subject);
  // What changed within a clock tick before a pin may change once more within it unseen, so a
  // component may carry it again.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  component::Target& target = *subject.component.target();
  const Version pinned = pin(subject, run_id(1));
  const Version first = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  Carry carry = carry_of(subject, pinned, run_id(2));
  carry.base_pin = pinned;
  carry.base_version = first;
  const Carried second = must(Carrier(carry).run());
  CHECK(second.steps == 0);
  CHECK(second.version.name == run_id(2));
  carry.run = run_id(3);
  carry.base_version = second.version;
  const Carried third = must(Carrier(carry).run());
  CHECK(must(target.list(subject.target)).size() == 3);
  must(target.drop(context_of(run_id(4)), first));
  CHECK(differences(subject.tree, path_of(subject, second.version)) == "");
  must(target.drop(context_of(run_id(4)), third.version));
  must(target.drop(context_of(run_id(4)), third.version));
  CHECK(differences(subject.tree, path_of(subject, second.version)) == "");
  CHECK_FALSE(must(target.find(context_of(run_id(1)), subject.target)));
  must(target.drop(context_of(run_id(4)), second.version));
  CHECK(must(target.list(subject.target)).empty());
  CHECK_FALSE(fs::exists(path_of(subject, second.version)));
}

void refuses_hostile_peers(SourceTargetSubject subject) {
  const std::string outside = subject.room + "/outside";
  shell("mkdir '" + outside + "' && echo safe > '" + outside + "/file'");
  keep_copy(outside, subject.room + "/outside-before");
  auto staging = must(subject.component.target()->stage(context_of(run_id(1)),
                                                        {subject.target, std::nullopt, false}));
  const auto entry = [](const std::string& path, EntryKind kind, const std::string& link = "") {
    Entry made;
    made.path = path;
    made.kind = kind;
    made.mode = 0644;
    made.uid = ::geteuid();
    made.gid = ::getegid();
    made.link_target = link;
    made.size = kind == EntryKind::regular ? 4 : 0;
    return made;
  };
  const auto refused = [&](const Entry& bad, Action action = Action::create) {
    INFO(bad.path << " -> " << bad.link_target);
    auto begun = staging->begin(bad, action);
    REQUIRE_FALSE(begun);
    CHECK(begun.error().code == ErrorCode::stream_hostile);
  };
  must(staging->begin(entry("", EntryKind::directory), Action::create));
  must(staging->finish());
  for (const char* path : {"../evil", "/evil", "a/../../evil", "./evil", "a//evil", "..", "a/"}) {
    refused(entry(path, EntryKind::regular));
    refused(entry(path, EntryKind::directory));
    auto removed = staging->remove(path);
    REQUIRE_FALSE(removed);
    CHECK(removed.error().code == ErrorCode::stream_hostile);
    auto left = staging->leave_directory(entry(path, EntryKind::directory));
    REQUIRE_FALSE(left);
    CHECK(left.error().code == ErrorCode::stream_hostile);
  }
  refused(entry(std::string("nul\0name", 8), EntryKind::regular));
  CHECK_FALSE(staging->remove(""));
  refused(entry("", EntryKind::symlink, outside));

  INFO("a symbolic link is made, and never followed");
  must(staging->begin(entry("way", EntryKind::symlink, outside), Action::create));
  must(staging->finish());
  refused(entry("way/evil", EntryKind::regular));
  refused(entry("way/evil", EntryKind::directory));
  refused(entry("way/evil", EntryKind::symlink, "x"));
  refused(entry("way/evil", EntryKind::fifo));
  refused(entry("link", EntryKind::hard_link, "way/file"));
  refused(entry("link", EntryKind::hard_link, "../outside/file"));
  refused(entry("link", EntryKind::hard_link, "/etc/hostname"));
  refused(entry("link", EntryKind::hard_link, "way"));  // a link to the symbolic link
  CHECK_FALSE(staging->begin(entry("way", EntryKind::regular), Action::patch));
  CHECK_FALSE(staging->begin(entry("way", EntryKind::regular), Action::metadata));
  auto left = staging->leave_directory(entry("way", EntryKind::directory));
  REQUIRE_FALSE(left);
  CHECK(left.error().code == ErrorCode::stream_hostile);
  must(staging->remove("way/file"));  // nothing of that path is in the tree

  INFO("a directory, opened before, that became a symbolic link");
  must(staging->begin(entry("swap", EntryKind::directory), Action::create));
  must(staging->finish());
  must(staging->begin(entry("swap/file", EntryKind::regular), Action::create));
  must(staging->finish());
  must(staging->begin(entry("swap", EntryKind::symlink, outside), Action::create));
  must(staging->finish());
  refused(entry("swap/file", EntryKind::regular));
  refused(entry("swap/file", EntryKind::regular), Action::patch);

  INFO("content and attributes that no honest peer sends");
  must(staging->begin(entry("small", EntryKind::regular), Action::create));
  const std::array<std::byte, 8> bytes{};
  CHECK_FALSE(staging->write(0, bytes));
  CHECK_FALSE(staging->write(3, std::span(bytes).first(2)));
  CHECK_FALSE(staging->write(~std::uint64_t{0}, std::span(bytes).first(1)));
  must(staging->write(0, std::span(bytes).first(4)));
  must(staging->finish());
  Entry foreign = entry("foreign", EntryKind::regular);
  foreign.xattrs = {{"btrfs.compression", "zstd"}};
  refused(foreign);
  CHECK_FALSE(staging->write(0, std::span(bytes).first(1)));

  must(staging->abandon());
  CHECK(differences(subject.room + "/outside-before", outside) == "");
  CHECK(must(subject.component.target()->list(subject.target)).empty());
}

void restores_parts_and_in_place(SourceTargetSubject subject) {
  fill(subject);
  component::Target& target = *subject.component.target();
  const Version pinned = pin(subject, run_id(1));
  const Version kept = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  const std::string place = subject.room + "/sub/place";
  const auto restore = [&](const std::string& path, bool replace) {
    return target.restore(context_of(run_id(5)), kept, {place, {}}, path, replace);
  };
  INFO("a part, with the directories above it");
  CHECK(must(restore("b/second", false)).entries == 1);
  CHECK(output_of("cat '" + place + "/b/second'") == "linked\n");
  CHECK(output_of("ls -A '" + place + "' '" + place + "/b' | tr '\\n' ' '") ==
        place + ": b  " + place + "/b: second ");
  const std::string meta = "stat -c '%a %u %g %y' ";
  CHECK(output_of(meta + "'" + place + "/b'") == output_of(meta + "'" + subject.tree + "/b'"));
  CHECK(output_of(meta + "'" + place + "'") == output_of(meta + "'" + subject.tree + "'"));
  (void)must(restore("a/deep", false));
  CHECK(differences(subject.tree + "/a/deep", place + "/a/deep") == "");

  INFO("what is there is not touched without being told so, and then set aside");
  for (const char* path : {"", "b/second", "a/deep"}) {
    auto taken = restore(path, false);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == ErrorCode::place_not_empty);
  }
  shell("echo mine > '" + place + "/b/second'");
  auto part = must(restore("b/second", true));
  CHECK(output_of("cat '" + part.moved_aside + "'") == "mine\n");
  CHECK(output_of("cat '" + place + "/b/second'") == "linked\n");
  shell("echo mine > '" + place + "/mine'");
  auto whole = must(restore("", true));
  CHECK(output_of("cat '" + whole.moved_aside + "/mine'") == "mine\n");
  CHECK(differences(subject.tree, place) == "");
  auto again = must(restore("", true));
  CHECK(again.moved_aside != whole.moved_aside);

  INFO("wrong requests");
  CHECK(restore("no/such", false).error().code == ErrorCode::not_found);
  CHECK(restore("../up", false).error().code == ErrorCode::usage);
  auto inside = target.restore(context_of(run_id(5)), kept,
                               {path_of(subject, kept) + "/../over", {}}, "", false);
  REQUIRE_FALSE(inside);
  CHECK(inside.error().code == ErrorCode::target_overlaps);
  INFO("an empty directory is as good as none; nothing else is left beside it");
  shell("mkdir '" + subject.room + "/empty'");
  (void)must(target.restore(context_of(run_id(5)), kept, {subject.room + "/empty", {}}, "", false));
  CHECK(differences(subject.tree, subject.room + "/empty") == "");
  CHECK(output_of("ls -A '" + subject.room + "' | tr '\\n' ' '") == "empty sub ");
}

void leaves_nothing_behind(SourceTargetSubject subject) {
  fill(subject);
  component::Target& target = *subject.component.target();
  const Version pinned = pin(subject, run_id(1));
  const auto stage = [&](int attempt, bool resume) {
    Context context = context_of(run_id(1));
    context.attempt = attempt;
    return target.stage(context, {subject.target, std::nullopt, resume});
  };
  auto nothing = stage(1, true);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().code == ErrorCode::resume_refused);
  Entry root;
  root.kind = EntryKind::directory;
  Entry file;
  file.path = "file";
  file.uid = ::geteuid();
  file.gid = ::getegid();
  {
    auto staging = must(stage(1, false));
    must(staging->begin(root, Action::create));
    must(staging->finish());
    must(staging->begin(file, Action::create));
  }
  INFO("a later attempt removes what the earlier left");
  CHECK(must(target.list(subject.target)).size() == 1);
  CHECK_FALSE(must(target.find(context_of(run_id(1)), subject.target)));
  {
    auto staging = must(stage(2, false));
    CHECK(must(target.list(subject.target)).size() == 1);
    must(staging->begin(file, Action::create));
  }
  const auto listed = must(target.list(subject.target));
  REQUIRE(listed.size() == 1);
  CHECK(listed.front().name == run_id(1));
  must(target.drop(context_of(run_id(1)), listed.front()));
  must(target.drop(context_of(run_id(1)), listed.front()));
  CHECK(must(target.list(subject.target)).empty());

  INFO("sealing again finds the version made");
  const Version kept = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  const Version again = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  CHECK(again.native == kept.native);
  CHECK(must(target.list(subject.target)).size() == 1);
  CHECK(differences(subject.tree, path_of(subject, kept)) == "");

  INFO("a base that is gone is said to be gone");
  must(target.drop(context_of(run_id(1)), kept));
  auto baseless = target.stage(context_of(run_id(2)), {subject.target, kept, false});
  REQUIRE_FALSE(baseless);
  CHECK(baseless.error().code == ErrorCode::version_missing);
  auto unread = subject.component.sources()->open(kept);
  REQUIRE_FALSE(unread);
  CHECK(unread.error().code == ErrorCode::version_missing);
}

namespace {

// As few descriptors as a process may well have left; as before at its end.
class FewDescriptors {
 public:
  FewDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    ::rlimit few = before_;
    few.rlim_cur = 160;
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  ::rlimit before_{};
};

}  // namespace

void carries_deep_trees(SourceTargetSubject subject) {
  // 1,300 directories in each other, with a path of 3,900 bytes: more than a process may open.
  shell("cd '" + subject.tree + R"sh(' && /usr/bin/python3 -c '
import os
for depth in range(1300):
    os.mkdir("dd"); os.chdir("dd")
    if depth % 100 == 99: open("file", "w").write(str(depth))
')sh");
  const Version pinned = pin(subject, run_id(1));
  auto few = std::make_unique<FewDescriptors>();
  const Version kept = must(Carrier(carry_of(subject, pinned, run_id(1))).run()).version;
  same_entries(subject, pinned, kept);
  few.reset();
  shell("cd '" + subject.tree + R"sh(' && /usr/bin/python3 -c '
import os
for depth in range(1300): os.chdir("dd")
open("last", "w").write("new")
')sh");
  const Version second_pin = pin(subject, run_id(2));
  few = std::make_unique<FewDescriptors>();
  Carry carry = carry_of(subject, second_pin, run_id(2));
  carry.base_pin = pinned;
  carry.base_version = kept;
  const Version second = must(Carrier(carry).run()).version;
  same_entries(subject, second_pin, second);
  (void)must(subject.component.target()->restore(context_of(run_id(3)), second,
                                                 {subject.room + "/deep", {}}, "", false));
  component::Target& target = *subject.component.target();
  must(target.drop(context_of(run_id(3)), kept));
  must(target.drop(context_of(run_id(3)), second));
  CHECK(must(target.list(subject.target)).empty());
}

}  // namespace lockstep::test
