// Addresses of WebHDFS: paths and queries with every byte that means something escaped.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::hdfs {

using Query = std::vector<std::pair<std::string, std::string>>;

// Percent-encoded, but for letters, digits, '-', '.', '_', '~' and, with `path`, '/'. Space is %20,
// '+' is %2B: what servers disagree on is never sent.
std::string escape(std::string_view text, bool path);

// "http://host:9870/webhdfs/v1/a%20b?op=MKDIRS&user.name=u"
std::string address(std::string_view namenode, std::string_view path, std::string_view operation,
                    const Query& query);

// "host:9870" of such an address, or of a NameNode's.
std::string host_of(const std::string& address);

// A Location as a NameNode writes it may hold raw bytes of a name: those that no address may hold
// are escaped, the rest stays as it is.
std::string repair(std::string_view location);

// "/a/b" + "c" = "/a/b/c"; with an empty `below`: `directory`.
std::string join(std::string_view directory, std::string_view below);
std::string parent_of(std::string_view path);  // "/a/b" of "/a/b/c"; of relative "a": ""
std::string_view name_of(std::string_view path);

// HDFS keeps names as UTF-8 text, without ':' and '/' (DFSUtil.isValidName).
bool can_be_named(std::string_view name);

}  // namespace lockstep::hdfs
