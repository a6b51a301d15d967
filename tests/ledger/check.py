#!/usr/bin/python3
"""Finds every causal violation in a copy of the living order service (see writer.cpp).

    check.py --files DIR --db FILE [--add-only] [--json]

Exit status 0: none; 1: some; 2: the copy cannot be read. The database is opened immutable: a copy
is not changed by looking at it.

--add-only is for copies pinned `ordered`: the files may be later than the ledger by any number of
creations, so only dangling and torn references count.
"""
import argparse
import json
import os
import re
import sqlite3
import sys

INVOICE = re.compile(rb"\Ainvoice (\d+)\nworker (\d+)\nversion (\d+)\n")


def fnv1a(data):
    h = 1469598103934665603
    for byte in data:
        h = ((h ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return h


def read_invoice(path, problems):
    with open(path, "rb") as handle:
        data = handle.read()
    match = INVOICE.match(data)
    mark = data.rfind(b"sum ")
    if not match or mark < 0:
        problems.append(f"torn: {path} is not a whole invoice")
        return None
    if fnv1a(data[:mark - 1]) != int(data[mark + 4:] or b"0"):
        problems.append(f"torn: {path} does not match its sum")
        return None
    return int(match.group(2)), int(match.group(1)), int(match.group(3))


def check(files, database, add_only):
    problems, on_disk = [], {}
    for directory, _, names in os.walk(files):
        for name in names:
            if not name.endswith(".inv"):
                continue            # a draft: renamed into place when it is whole
            found = read_invoice(os.path.join(directory, name), problems)
            if found:
                on_disk[(found[0], found[1])] = found[2]
    uri = "file:" + os.path.abspath(database).replace("?", "%3f") + "?immutable=1"
    with sqlite3.connect(uri, uri=True) as db:
        verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            problems.append(f"database: {verdict}")
        rows = {(worker, number): version
                for worker, number, version in db.execute("SELECT worker, id, version FROM invoice")}
    under_way = {}
    for key, version in rows.items():
        have = on_disk.get(key)
        if have is None:
            problems.append(f"dangling: row {key} refers to an invoice that does not exist")
        elif have < version:
            problems.append(f"dangling: row {key} is at version {version}, its invoice at {have}")
        elif have > version:
            under_way.setdefault(key[0], []).append(f"invoice {key} at {have}, its row at {version}")
            if have > version + 1 and not add_only:
                problems.append(f"time: invoice {key} is {have - version} versions ahead of its row")
    for key in on_disk.keys() - rows.keys():
        under_way.setdefault(key[0], []).append(f"invoice {key} without a row")
    if not add_only:
        for worker, what in under_way.items():
            if len(what) > 1:
                problems.append(f"time: worker {worker} has {len(what)} operations under way at once "
                                f"({'; '.join(sorted(what)[:3])}...)")
    return {"invoices": len(on_disk), "rows": len(rows), "violations": len(problems), "problems": problems}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--files", required=True)
    parser.add_argument("--db", required=True)
    parser.add_argument("--add-only", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        result = check(options.files, options.db, options.add_only)
    except (OSError, sqlite3.Error) as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['invoices']} invoices, {result['rows']} ledger rows, {result['violations']} violations")
        for problem in result["problems"][:10]:
            print("  " + problem)
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
