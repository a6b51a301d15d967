// Two real clusters (hadoop.py), whose NameNodes LOCKSTEP_HDFS_NORTH and LOCKSTEP_HDFS_SOUTH name,
// as the component and as a user see them; and a directory that holds whatever is carried.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "common/components/hdfs/hdfs.hpp"
#include "common/components/hdfs/webhdfs.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/carry.hpp"

namespace lockstep::on_clusters {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;
using hdfs::WebHdfs;

template <class T, class E>
T must(Expected<T, E> result) {
  if constexpr (std::is_same_v<E, Error>) {
    if (!result) FAIL(result.error().text());
  } else {
    if (!result) FAIL(result.error().text);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline std::string namenode(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) FAIL(std::string(name) + " does not say where the NameNode is");
  return value;
}

inline std::string run_id(int number) {
  return "01930000-0000-7000-8000-0000000000" + std::to_string(10 + number);
}

inline component::Context context_of(const std::string& run, int attempt = 1) {
  component::Context context;
  context.run = run;
  context.attempt = attempt;
  return context;
}

// One cluster, as an agent and as a user see it.
struct Side {
  explicit Side(const char* variable)
      : settings{.namenodes = {namenode(variable)}, .user = "hdfs", .ca = {}},
        component(hdfs::make_hdfs(surroundings, settings)),
        user(settings, *clock) {}

  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  component::Surroundings surroundings{*disk, *processes, *clock, "/tmp"};
  hdfs::Settings settings;
  std::unique_ptr<component::Component> component;
  WebHdfs user;
};

struct World {
  World() {
    static int number = 0;
    const std::string own = std::to_string(::getpid()) + "-" + std::to_string(++number);
    top = "/tests/" + own;
    source = top + "/source";
    for (Side* side : {&north, &south}) must(side->user.make_directory(top));
    must(north.user.make_directory(source));
    set = set_at(source);
    target = set_at(top + "/target");
  }
  ~World() {
    for (Side* side : {&north, &south}) {
      for (const std::string& place : {source, target.place.location}) {
        auto page = side->user.list(place + "/.snapshot", "");
        if (!page) continue;
        for (const auto& status : page->statuses) {
          (void)side->user.remove_snapshot(place, status.name);
        }
      }
      (void)side->user.remove(top);
    }
  }

  component::DataSet set_at(const std::string& location) const {
    component::DataSet made;
    made.id = {"orders", "invoices"};
    made.component = "hdfs";
    made.place.location = location;
    made.place.options["allow_snapshot"] = "true";
    return made;
  }

  // Of the user's doing, on the source.
  void put(const std::string& path, const std::string& content,
           const WebHdfs::Creation& creation = {}) {
    put_on(north, source + "/" + path, content, creation);
  }
  static void put_on(Side& side, const std::string& path, const std::string& content,
                     const WebHdfs::Creation& creation = {}) {
    must(side.user.create(path, creation, content.size(), [&content] {
      return [&content, at = std::size_t{0}](std::span<std::byte> into) mutable {
        const std::size_t count = std::min(into.size(), content.size() - at);
        std::copy_n(content.data() + at, count, reinterpret_cast<char*>(into.data()));
        at += count;
        return count;
      };
    }));
  }

  Version pin(int number) {
    component::Snapshots& snapshots = *north.component->snapshots();
    auto armed = must(snapshots.arm(context_of(run_id(number)), set, north.clock->utc()));
    (void)must(armed->pin());
    return must(armed->settle(context_of(run_id(number))));
  }

  test::Carry carry(const Version& pinned, int number) {
    return {*north.component->sources(), *south.component->target(), target, pinned,
            run_id(number)};
  }

  Version carried(const Version& pinned, int number) {
    return must(test::Carrier(carry(pinned, number)).run()).version;
  }

  void same(const Version& pinned, const Version& kept) {
    auto from = must(north.component->sources()->open(pinned));
    auto to = must(south.component->sources()->open(kept));
    same_sources(*from, *to);
  }
  static void same_sources(component::Source& from, component::Source& to) {
    const std::vector<Entry> left = must(test::entries_of(from));
    const std::vector<Entry> right = must(test::entries_of(to));
    REQUIRE(left.size() == right.size());
    std::string last;
    for (std::size_t i = 0; i < left.size(); ++i) {
      INFO(left[i].path);
      REQUIRE(left[i].path == right[i].path);
      CHECK((i == 0 || component::path_less(last, left[i].path)));
      last = left[i].path;
      CHECK(left[i].kind == right[i].kind);
      CHECK(left[i].mode == right[i].mode);
      CHECK(left[i].mtime_ns == right[i].mtime_ns);
      CHECK(left[i].size == right[i].size);
      CHECK((left[i].xattrs == right[i].xattrs));
      if (left[i].kind != EntryKind::regular) continue;
      CHECK((must(test::content_of(from, left[i])) == must(test::content_of(to, right[i]))));
    }
  }

  Side north{"LOCKSTEP_HDFS_NORTH"};
  Side south{"LOCKSTEP_HDFS_SOUTH"};
  std::string top, source;
  component::DataSet set, target;
};

inline std::string noise(std::size_t size, unsigned seed) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525U + 1013904223U;
    c = static_cast<char>(seed >> 24U);
  }
  return out;
}

inline const char* const kNames[] = {"a%b",
                                     "a+b",
                                     "a b",
                                     "a;b",
                                     "é",
                                     "aé",
                                     "ab",
                                     "日本",
                                     "a'b\"c",
                                     "x?y",
                                     "#h",
                                     "n\nl",
                                     "a&b=c",
                                     "a\\b",
                                     "100%25",
                                     "*",
                                     "\xF0\x9F\x98\x80"};

// Everything that is carried.
inline void fill(World& world) {
  WebHdfs& user = world.north.user;
  const auto at = [&](const std::string& path) { return world.source + "/" + path; };
  for (const char* name : kNames) world.put(name, std::string("content of ") + name);
  must(user.make_directory(at("a/deep/er")));
  must(user.make_directory(at("empty directory")));
  for (int i = 0; i < 20; ++i) {
    world.put("a/invoice-" + std::to_string(i), "invoice " + std::to_string(i));
  }
  world.put("nothing", "");
  world.put("large", noise(9'000'001, 1), {.mode = 0600, .replication = 2, .block_size = 1 << 20});
  world.put("grows", noise(200'000, 2));
  must(user.set_owner(at("a/invoice-1"), "alice", "accounting"));
  must(user.set_mode(at("a/invoice-2"), 0400));
  must(user.set_mode(at("a"), 01777));
  must(user.set_xattr(at("a/invoice-3"), {"user.colour", std::string("red\0\xff", 5)}, false));
  must(user.set_xattr(at("a/invoice-3"), {"user.nothing", ""}, false));
  must(user.set_xattr(at("a/deep"), {"trusted.kept", "yes"}, false));
  must(user.set_xattr(world.source, {"user.root", "r"}, false));
  must(user.set_acl(at("a/invoice-4"), "user::rw-,user:bob:r--,group::r--,mask::rw-,other::---"));
  must(user.set_acl(at("a/deep"),
                    "user::rwx,group::r-x,other::r-x,default:user::rwx,default:user:carol:rwx,"
                    "default:group::r-x,default:mask::rwx,default:other::---"));
  world.put("a/deep/inherits", "an ACL");
  must(user.remove_acl(at("a/deep/er")));
  world.put("a/deep/plain", "no ACL");
  must(user.remove_acl(at("a/deep/plain")));
  must(user.set_mode(at("a/deep/plain"), 0644));
  must(user.set_modified(at("a/invoice-5"), 1'234'567'890'123));
  must(user.set_modified(at("empty directory"), 987'654'321'000));
}

// Creation, changes inside files, metadata alone, removal, kinds that change, renames.
inline void change(World& world) {
  WebHdfs& user = world.north.user;
  const auto at = [&](const std::string& path) { return world.source + "/" + path; };
  must(user.make_directory(at("new/er")));
  world.put("new/er/file", "fresh");
  world.put("grows", noise(200'000, 2) + "appended");
  world.put("a/invoice-6", "INVOICE 6");  // of the same size, another inode
  must(user.remove(at("a/invoice-7")));
  must(user.remove(at("empty directory")));
  world.put("empty directory", "a file now");
  must(user.remove(at("nothing")));
  must(user.make_directory(at("nothing/at/all")));
  must(user.rename(at("a/deep"), at("moved")));
  must(user.rename(at("a/invoice-8"), at("a/invoice-8-moved")));
  must(user.set_mode(at("a/invoice-9"), 0640));
  must(user.set_owner(at("ab"), "alice", ""));
  must(user.remove_acl(at("a/invoice-4")));
  must(user.remove_xattr(at("a/invoice-3"), "user.nothing"));
  must(user.set_xattr(at("a/invoice-10"), {"user.new", "1"}, false));
  must(user.set_replication(at("a/invoice-11"), 3));
  must(user.remove(at("a/invoice-12")));
  world.put("a/invoice-12", "invoice 12");          // deleted and made again
  must(user.rename(at("moved/er"), at("a/deep")));  // a name that was another's
}

// Filled and carried as run 1, changed and pinned as run 2.
struct ChangedWorld : World {
  ChangedWorld() {
    fill(*this);
    first_pin = pin(1);
    first = carried(first_pin, 1);
    change(*this);
    second_pin = pin(2);
  }
  Version first_pin, first, second_pin;

  // The second pin as a later run on the first one's base.
  test::Carry carry_on_first(int number) {
    test::Carry on_first = carry(second_pin, number);
    on_first.base_pin = first_pin;
    on_first.base_version = first;
    return on_first;
  }
};

}  // namespace lockstep::on_clusters
