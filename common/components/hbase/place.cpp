#include "common/components/hbase/place.hpp"

#include <algorithm>
#include <string_view>

namespace lockstep::hbase {

namespace {

constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

bool made_of(std::string_view text, const std::string& letters) {
  return !text.empty() && text.find_first_not_of(letters) == std::string_view::npos;
}

Error unfit(const std::string& location) {
  return make_error(ErrorCode::not_supported, "this names no tables of HBase", location,
                    "write /NAMESPACE/TABLE, such as /default/lines; several tables with commas, "
                    "or with `*` and `?`");
}

// One word with * and ? as a regular expression.
std::string expression(std::string_view word) {
  std::string out;
  for (const char letter : word) {
    if (letter == '*') {
      out += "[^:]*";
    } else if (letter == '?') {
      out += "[^:]";
    } else if (letter == '.') {
      out += "\\.";
    } else {
      out += letter;
    }
  }
  return out;
}

}  // namespace

Result<std::string> pattern_of(const std::string& location) {
  const std::size_t slash = location.find('/', 1);
  if (!location.starts_with('/') || slash == std::string::npos) return unfit(location);
  const std::string space = location.substr(1, slash - 1);
  std::string_view tables = std::string_view(location).substr(slash + 1);
  const std::string globs = std::string(kLetters) + "*?";
  if (!made_of(space, globs)) return unfit(location);
  std::string any;
  for (;;) {
    const std::size_t comma = std::min(tables.find(','), tables.size());
    const std::string_view word = tables.substr(0, comma);
    if (!made_of(word, globs + ".-")) return unfit(location);
    any += (any.empty() ? "" : "|") + expression(word);
    if (comma == tables.size()) break;
    tables.remove_prefix(comma + 1);
  }
  return expression(space) + ":(?:" + any + ")";
}

bool can_be_named(const TableName& name) {
  return made_of(name.space, std::string(kLetters)) &&
         made_of(name.table, std::string(kLetters) + ".-") && name.table.front() != '.' &&
         name.table.front() != '-';
}

Result<TableName> restored_name(const std::string& location, const TableName& name) {
  const std::size_t slash = location.find('/', 1);
  TableName out;
  if (location.starts_with('/') && slash != std::string::npos) {
    out.space = location.substr(1, slash - 1);
    out.table = location.substr(slash + 1) + "." + name.space + "." + name.table;
  }
  if (can_be_named(out)) return out;
  return make_error(ErrorCode::usage, "tables cannot be restored to that place", location,
                    "name a namespace: --to /NAMESPACE gives tables "
                    "NAMESPACE:SET.namespace.table");
}

}  // namespace lockstep::hbase
