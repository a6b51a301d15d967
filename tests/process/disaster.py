#!/usr/bin/python3
"""The story that scripts/disaster tells. Exit status 0: it ended well."""
import datetime
import json
import os
import sqlite3
import sys
import time

from harness import Disks, ledger_check
from two_halves import POLICY, Service, TwoHalves

STARTED = time.monotonic()


class Lost(Exception):
    """What must not have happened."""


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def need(condition, what):
    if not condition:
        raise Lost(what)


def seconds_of(instant):
    return datetime.datetime.fromisoformat(instant[:26].rstrip("Z") + "+00:00").timestamp()


def causal(service, cluster):
    home = service.homes[cluster]
    with sqlite3.connect(os.path.join(home, "ledger.db")) as db:      # what a killed application's next start does
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = ledger_check.check(os.path.join(home, "invoices"), os.path.join(home, "ledger.db"), False)
    need(not found["problems"], f"{cluster}: {found['problems'][:5]}")
    return found["rows"]


def lost_rows(service, before, prompt):
    """What north had written and south has not: each inside the range that the prompt named."""
    first, last = seconds_of(prompt["services"][0]["moment"]), seconds_of(prompt["since"])
    lost = before["rows"] - service.rows("south")
    for worker, number, version in lost:
        written = before["times"].get((worker, number))
        need(written is not None and first < written < last,
             f"invoice {number} of worker {worker}, version {version}, was lost: written {written}, "
             f"the prompt had named {first} to {last}")
    return len(lost)


def as_it_was(service, cluster):
    times = {}
    for directory, _, names in os.walk(os.path.join(service.homes[cluster], "invoices")):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as handle:
                words = handle.read(200).split()
            if name.endswith(".inv") and len(words) > 3:
                times[(int(words[3]), int(words[1]))] = os.stat(path).st_mtime
    return {"rows": service.rows(cluster), "times": times}


def story(site, service, mode):
    say(f"by {mode}: a service that never stops writing, in cluster north")
    service.start("north")
    site.up()
    site.apply(POLICY.format(north=site.north).replace("mode: push", f"mode: {mode}\nschedule: {{every: 4s}}"))
    site.wait_until("three backups", lambda: len(site.json("points", "orders")) >= 3, 120)
    say("backups run every 4 s; three points are sealed in south. Now north dies, all of it at once")
    service.crash("north")
    site.kill_north()

    site.wait_until("the prompt", lambda: (site.client()["prompt"] or {}).get("services"))
    prompt = site.client()["prompt"]
    say(f"prompt: {prompt['cluster']} is {prompt['health']} since {prompt['since']}: {prompt['reason']}")
    say(f"        what was written after {prompt['services'][0]['moment']} would be lost; to take over: {prompt['command']}")
    need(site.client()["application"] == "north", "nothing happens by itself")
    before = as_it_was(service, "north")
    causal(service, "north")

    # The service at south begins by itself, once its data is live: what it began with is compared first.
    began = os.path.join(service.state, "began")
    site.hook("start-writers", f"[ \"$1\" = south ] || exec '{service.run_it}' start \"$1\"\n"
                               f"cp -a '{service.homes['south']}' '{began}'\nexec '{service.run_it}' start \"$1\"\n")
    started = time.monotonic()
    done = site.json(*prompt["command"].split()[1:], "--yes")
    say(f"promoted in {time.monotonic() - started:.1f} s: {done['decision']['primary']} is the primary under epoch "
        f"{done['decision']['number']}, the old one is {done['old_primary']}; applications are to use {site.client()['application']}")
    need(done["services"][0]["point"] == prompt["services"][0]["point"], "the prompt's point became live")
    live = service.homes
    service.homes = {**live, "south": began}
    rows = causal(service, "south")
    lost = lost_rows(service, before, prompt)
    service.homes = live
    say(f"the service goes on at south with {rows} invoices; {lost} writes are lost, all inside the range of the prompt")

    time.sleep(3)
    site.start_north()
    site.wait_until("north stands down", lambda: [(one["identity"], one["epoch"], one["health"])
                                                  for one in site.client()["clusters"]][0] == ("secondary", 2, "healthy"))
    say("north is back and stands down: secondary, epoch 2")
    site.wait_until("a backup to north", lambda: site.json("points", "orders", "--from", "north"), 120)
    say("the service is backed up the other way round, from south to north")

    kept = os.path.join(service.state, "kept")
    site.hook("start-writers", f"cp -a '{service.homes['north']}' '{kept}'\nexec '{service.run_it}' start \"$1\"\n")
    started = time.monotonic()
    done = site.json("failback", "--yes")
    aside = {one["name"]: one for one in done["divergent"][0]["sets"]}
    say(f"failback in {time.monotonic() - started:.1f} s: {done['decision']['primary']} is the primary under epoch "
        f"{done['decision']['number']}, the old one is {done['old_primary']} to be stopped")
    say(f"what north had and nobody else is kept at {aside['invoices']['path']}: {aside['invoices']['written']} written, "
        f"{aside['invoices']['removed']} removed")
    need(lost == 0 or aside["invoices"]["written"] > 0, "the lost writes are kept aside and named")
    causal(service, "south")
    south = service.rows("south")
    service.homes = {**live, "north": kept}
    need(causal(service, "north") == len(south) and service.rows("north") == south, "no write was lost on the way back")
    service.homes = live
    time.sleep(2)
    need(service.rows("north") != south, "the service goes on at north")
    service.stop("north")
    say(f"the service went on at north with the {len(south)} invoices of south, and has {causal(service, 'north')} now; "
        "no violation in all of it")


def main():
    if os.geteuid() != 0:
        print("disaster: needs root, for loop devices and mounts", file=sys.stderr)
        return 2
    for mode in sys.argv[1:] or ["push", "pull"]:
        disks = Disks()
        site = service = None
        try:
            site = TwoHalves(disks.make("north", "btrfs"), disks.make("south", "btrfs"))
            service = Service(site)
            story(site, service, mode)
        except (Lost, AssertionError, OSError, json.JSONDecodeError) as problem:
            print(f"disaster: {mode}: {problem}", file=sys.stderr)
            if site is not None:
                print(site.logs(12), file=sys.stderr)
            return 1
        finally:
            if service is not None:
                service.close()
            if site is not None:
                site.close()
            disks.close()
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
