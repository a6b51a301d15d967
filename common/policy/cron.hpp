// Cron: the five fields of crontab(5), as sets of numbers. Time zones: schedule.cpp.
//
// A field is `*`, a number, a range, a list of these, each range or `*` with a step; months and
// days of the week have their first three letters as names, in ranges too; 0 and 7 are Sunday.
// @hourly,
// @daily, @midnight, @weekly, @monthly, @yearly and @annually stand for their lines.
// Where day-of-month and day-of-week both do not begin with `*`, a day matches if either does.
#pragma once

#include <bitset>
#include <string>
#include <string_view>

#include "common/error/error.hpp"

namespace lockstep::policy {

struct Cron {
  std::bitset<60> minutes;
  std::bitset<24> hours;
  std::bitset<32> days;     // 1 to 31
  std::bitset<13> months;   // 1 to 12
  std::bitset<7> weekdays;  // 0 is Sunday
  bool days_star = false;   // the field began with `*`
  bool weekdays_star = false;

  bool day_matches(unsigned month, unsigned day, unsigned weekday) const;
};

// Error: config-bad-value; `what` names the field and what it may hold.
Result<Cron> parse_cron(std::string_view line);

}  // namespace lockstep::policy
