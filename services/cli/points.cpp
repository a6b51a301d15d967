// lockstep points, point show|ls|delete.
#include <fmt/format.h>

#include <memory>

#include "common/message/bytes.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Listing {
  std::string service;
  std::string from;
};

Result<Body> fetch(const Session& session, const Listing& listing) {
  if (!listing.service.empty()) LOCKSTEP_CHECK(check_name(listing.service));
  Body body = Body::object();
  if (!listing.service.empty()) body["service"] = listing.service;
  if (listing.from.empty()) return session.call("scheduler", "point.catalog", std::move(body));
  const auto* registrar = session.site().registrar(listing.from);
  if (registrar == nullptr) {
    return make_error(ErrorCode::not_found, "no cluster of this site is named", listing.from);
  }
  return session.call(registrar->name, "point.list", std::move(body));
}

std::string verified_text(const Body& point) {
  if (!point.contains("verified_at")) return paint(Colour::dim, "not yet");
  return point.value("verified_ok", false) ? paint(Colour::good, "ok")
                                           : paint(Colour::bad, "DAMAGED");
}

Result<int> list_points(const Options& options, const Listing& listing) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, fetch(session, listing));
  const auto& points = done.at("points");
  if (options.json) {
    print_json(points);
    return 0;
  }
  Table table{
      {"POINT", "SERVICE", "MOMENT", "MODE", "CONSISTENCY", "SKEW", "ENTRIES", "SIZE", "VERIFIED"}};
  for (const auto& point : points) {
    table.row({field(point, "id"), field(point, "service"), short_instant(field(point, "moment")),
               field(point, "mode"), field(point, "consistency"),
               span_text(point.value("skew_ns", std::int64_t{0})), field(point, "entries"),
               size_text(point.value("bytes", std::uint64_t{0})), verified_text(point)});
  }
  print(table.empty() ? "no recovery points yet" : table.text());
  return 0;
}

Result<int> show_point(const Options& options, const std::string& id) {
  LOCKSTEP_CHECK(check_id(id));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call_registrar("point.read", {{"id", id}}));
  const auto& record = done.at("record");
  if (options.json) {
    print_json(record);
    return 0;
  }
  const auto& certificate = record.at("certificate");
  print(fmt::format(
      "point {} of {}\n  moment       {}\n  sealed       {}\n  mode         {} from {} "
      "to {}\n  consistency  {}: {}\n  not promised {}\n  skew         {}, lateness "
      "{}\n  digest       {}\n  signed by    {}",
      paint(Colour::bold, field(record, "id")), field(record, "service"), field(record, "moment"),
      field(record, "sealed_at"), field(record, "mode"), field(certificate, "primary"),
      field(certificate, "secondary"), field(certificate, "consistency"),
      field(certificate, "promises"), field(certificate, "does_not_promise"),
      span_text(certificate.value("skew_ns", std::int64_t{0})),
      span_text(certificate.value("lateness_ns", std::int64_t{0})), field(record, "digest"),
      field(record.at("signature"), "key")));
  Table table{{"  SET", "COMPONENT", "ENTRIES", "SIZE", "LIES AT"}};
  for (const auto& set : record.at("sets")) {
    table.row({"  " + field(set, "name"), field(set, "component"), field(set, "entries"),
               size_text(set.value("bytes", std::uint64_t{0})), field(set, "path")});
  }
  print(table.text());
  for (const auto& set : certificate.at("sets")) {
    for (const auto& caveat : set.at("caveats")) {
      print(paint(Colour::warn, "  " + field(set, "name") + ": " + text_of(caveat)));
    }
  }
  return 0;
}

struct Ls {
  std::string id;
  std::string set;
  std::string path;
};

char kind_letter(const std::string& kind) {
  if (kind == "directory") return 'd';
  if (kind == "symlink") return 'l';
  if (kind == "hard_link") return 'h';
  if (kind == "fifo") return 'p';
  if (kind == "socket") return 's';
  if (kind == "char_device") return 'c';
  if (kind == "block_device") return 'b';
  return '-';
}

std::string entry_line(const Body& entry) {
  const auto kind = field(entry, "kind");
  std::string line = fmt::format("{} {:04o} {:>6} {:>6} {:>14} {} {}", kind_letter(kind),
                                 entry.value("mode", 0U), entry.value("uid", 0U),
                                 entry.value("gid", 0U), entry.value("size", std::uint64_t{0}),
                                 short_instant(field(entry, "mtime")), field(entry, "path"));
  if (const auto target = field(entry, "link_target"); !target.empty()) {
    line += (kind == "hard_link" ? " = " : " -> ") + target;
  }
  return line;
}

// Pages through the entries; the array of JSON is printed as it comes, so that memory stays small.
Result<void> each_page(const Session& session, const Ls& ls, const std::string& set,
                       const std::function<void(const Body&)>& on_entry) {
  Body body{
      {"id", ls.id}, {"set", set}, {"path", message::text_or_bytes(ls.path)}, {"limit", 1000}};
  for (;;) {
    LOCKSTEP_TRY(const Body page, session.call_registrar("point.entries", body));
    const auto& entries = page.at("entries");
    for (const auto& entry : entries) on_entry(entry);
    if (!page.at("more").get<bool>() || entries.empty()) return {};
    body["after"] = entries.back().at("path");
  }
}

Result<std::string> only_set(const Session& session, const Ls& ls) {
  if (!ls.set.empty()) return ls.set;
  LOCKSTEP_TRY(const Body done, session.call_registrar("point.read", {{"id", ls.id}}));
  const auto& sets = done.at("record").at("sets");
  if (sets.size() == 1) return field(sets.front(), "name");
  std::string names;
  for (const auto& set : sets) names += (names.empty() ? "" : ", ") + field(set, "name");
  return make_error(ErrorCode::usage, "the point has several data sets: " + names, ls.id,
                    "name one with --set");
}

Result<int> list_entries(const Options& options, const Ls& ls) {
  LOCKSTEP_CHECK(check_id(ls.id));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const std::string set, only_set(session, ls));
  bool first = true;
  LOCKSTEP_CHECK(each_page(session, ls, set, [&](const Body& entry) {
    if (options.json) {
      print((first ? "[" : ",") + message::showable(entry).dump());
    } else {
      print(entry_line(entry));
    }
    first = false;
  }));
  if (options.json) print(first ? "[]" : "]");
  return 0;
}

struct Delete {
  std::string id;
  bool even_newest = false;
};

Result<int> delete_point(const Options& options, const Delete& wish) {
  LOCKSTEP_CHECK(check_id(wish.id));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(
      const Body done,
      session.call_registrar("point.delete", {{"id", wish.id}, {"even_newest", wish.even_newest}},
                             Patience::long_));
  if (options.json) {
    print_json(done);
  } else {
    print("deleted " + field(done, "id"));
  }
  return 0;
}

}  // namespace

void add_points(Registry& registry) {
  auto listing = std::make_shared<Listing>();
  CLI::App* points = registry.command("points", "Recovery points, the newest first",
                                      "lockstep points orders --json");
  points->add_option("SERVICE", listing->service, "Only of this service");
  points->add_option("--from", listing->from, "Ask this cluster's registrar, not the catalog")
      ->type_name("CLUSTER");
  registry.takes_json(points);
  registry.on(points, [&registry, listing] { return list_points(registry.options(), *listing); });

  CLI::App* group = registry.group("point", "One recovery point");
  auto shown = std::make_shared<std::string>();
  CLI::App* show = registry.command("show", "Its record, with the certificate",
                                    "lockstep point show ID --json", group);
  show->add_option("ID", *shown, "The point's id")->required();
  registry.takes_json(show);
  registry.on(show, [&registry, shown] { return show_point(registry.options(), *shown); });

  auto ls = std::make_shared<Ls>();
  CLI::App* listed = registry.command("ls", "What one of its data sets holds",
                                      "lockstep point ls ID --set invoices 2026/11", group);
  listed->add_option("ID", ls->id, "The point's id")->required();
  listed->add_option("PATH", ls->path, "Below this path of the data set");
  listed->add_option("--set", ls->set, "The data set; the only one may be left out");
  registry.takes_json(listed);
  registry.on(listed, [&registry, ls] { return list_entries(registry.options(), *ls); });

  auto wish = std::make_shared<Delete>();
  CLI::App* removed =
      registry.command("delete", "Delete it for ever", "lockstep point delete ID", group);
  removed->add_option("ID", wish->id, "The point's id")->required();
  removed->add_flag("--even-newest", wish->even_newest,
                    "Also where it is its service's newest good point");
  registry.takes_json(removed);
  registry.on(removed, [&registry, wish] { return delete_point(registry.options(), *wish); });
}

}  // namespace lockstep::cli
