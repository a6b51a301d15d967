#!/usr/bin/python3
"""Makes error_codes.hpp and error_table.inc from common/errors.yaml (standard library only)."""
import json
import re
import sys

ROW = re.compile(r'^([a-z][a-z0-9-]*): \[(\d+), ([1-4]), (".*")\]$')


def main(source, header, table):
    rows, numbers, names = [], set(), set()
    for count, line in enumerate(open(source, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        match = ROW.match(line)
        if not match:
            sys.exit(f"{source}:{count}: expected `name: [number, exit status, \"hint\"]`")
        name, number, status, hint = match.group(1), int(match.group(2)), match.group(3), match.group(4)
        if number in numbers or name in names:
            sys.exit(f"{source}:{count}: {name} or {number} stands twice")
        numbers.add(number)
        names.add(name)
        rows.append((name, number, status, json.loads(hint)))
    with open(header, "w", encoding="utf-8") as out:
        out.write("// Made from common/errors.yaml by the build. Do not edit.\n#pragma once\n\n")
        out.write("namespace lockstep {\n\nenum class ErrorCode : int {\n")
        for name, number, _, _ in rows:
            out.write(f"  {name.replace('-', '_')} = {number},\n")
        out.write("};\n\n}  // namespace lockstep\n")
    with open(table, "w", encoding="utf-8") as out:
        for name, number, status, hint in rows:
            out.write(f'{{ErrorCode::{name.replace("-", "_")}, {number}, "{name}", {status}, {json.dumps(hint)}}},\n')


if __name__ == "__main__":
    main(*sys.argv[1:4])
