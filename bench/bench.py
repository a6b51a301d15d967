#!/usr/bin/python3
"""Measures Lockstep beside its peers. docs/benchmarks.md tells what and how.

    scripts/bench [CASE...] [--quick | --full] [--rounds N] [--json FILE] [--list]
    scripts/bench hadoop ...     the cases of two Hadoop clusters, beside DistCp (docs/hadoop.md)

--quick: three rounds, the short cases, smaller data; --full: the issue's sizes (4 GiB of large files,
a database of 2 GiB, 1,000,000 files). Needs root for loop devices, and up to 8 GiB of memory.
Exit status 1 where a "must" is missed.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases  # noqa: E402
import hadoop_cases  # noqa: E402
from contest import XCP, cache_state, commit  # noqa: E402
from world import World  # noqa: E402


def line_of(name, bound, unit=""):
    """One row of the table: what was measured, against which bound."""
    met = bound["met"]
    return (f"{name:22} {bound['what']:44} {bound['value']:>9.3g}{unit} must {bound['must']:<14} aim {bound['aim']:<12} "
            + ("met" if met else "MISSED"))


def show(name, result):
    for one in result.get("contestants", {}).items():
        print(f"{name:22} {one[0]:44} {one[1]['median']:>9.3f} s  "
              f"({min(one[1]['seconds']):.3f} to {max(one[1]['seconds']):.3f})")
    for bound in result["bounds"]:
        print(line_of(name, bound))
    sys.stdout.flush()


def machine():
    def version(words):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else None
    with open("/proc/cpuinfo", encoding="utf-8") as handle:
        model = next((line.split(":")[1].strip() for line in handle if line.startswith("model name")), "")
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load_before": os.getloadavg(),
            "rsync": version(["rsync", "--version"]), "cp": version(["cp", "--version"]),
            "xcp": version([XCP, "--version"]) if XCP else None}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("case", nargs="*")
    words.add_argument("--rounds", type=int)
    words.add_argument("--json")
    words.add_argument("--quick", action="store_true")
    words.add_argument("--full", action="store_true")
    words.add_argument("--list", action="store_true")
    asked = words.parse_args()
    known = cases.CASES | hadoop_cases.CASES
    if asked.list:
        for name, case in known.items():
            print(f"{name:20} {case.__doc__.splitlines()[0]}")
        return 0
    if os.geteuid() != 0:
        raise SystemExit("needs root for loop devices and mounts")
    if "hadoop" in asked.case:
        asked.case = [name for name in asked.case if name != "hadoop"] + list(hadoop_cases.CASES)
    unknown = set(asked.case) - set(known)
    if unknown:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}; --list names them")
    size = "quick" if asked.quick else "full" if asked.full else "default"
    chosen = asked.case or (cases.QUICK if asked.quick else list(cases.CASES))
    rounds = asked.rounds or (3 if asked.quick else 5)
    if XCP is None:
        print("xcp is left out: not installed (`cargo install xcp`, or XCP=/path/to/xcp)", file=sys.stderr)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was opened is closed
    world, results, started = World(), {}, time.monotonic()
    try:
        plan = cases.Plan(world, rounds, size)
        for name in chosen:
            print(f"== {name}: {known[name].__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
            results[name] = known[name](plan)
            show(name, results[name])
    finally:
        world.close()
    missed = [f"{name}: {bound['what']}" for name, result in results.items() for bound in result["bounds"] if not bound["met"]]
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as handle:
            json.dump({"commit": commit(), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(),
                       "size": size, "rounds": rounds, "cache": cache_state(),
                       "memory_steady": world.memory.steady, "cases": results}, handle, indent=1)
    print(f"{len(results)} cases in {time.monotonic() - started:.0f} s; "
          + (f"missed: {'; '.join(missed)}" if missed else "every must is met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
