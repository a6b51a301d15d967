// Places of hbase: tables, written as paths.
//
//   /orders/lines         the table orders:lines
//   /default/lines,heads  two tables
//   /orders/*             all tables of the namespace; `*` and `?` as in file names, but for '/'
#pragma once

#include <string>

#include "common/error/error.hpp"

namespace lockstep::hbase {

struct TableName {
  std::string space;  // "default"
  std::string table;
  std::string text() const { return space + ":" + table; }
  auto operator<=>(const TableName&) const = default;
};

// A regular expression of Java that "namespace:table" of the tables matches. Error: not-supported.
Result<std::string> pattern_of(const std::string& location);

// Where `name` comes to be when its set is given back at `location`: "/drill/lines" stands for the
// table drill:lines.orders.lines of orders:lines. Error: usage.
Result<TableName> restored_name(const std::string& location, const TableName& name);

// A name that HBase may have.
bool can_be_named(const TableName& name);

}  // namespace lockstep::hbase
