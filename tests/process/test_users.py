#!/usr/bin/python3
"""User data in embedded stores, carried by push and by reconcile; what the directories hold is read by plain SQL."""
import hashlib
import json
import os
import re
import sqlite3
import stat
import subprocess
import time
import unittest

from harness import BIN, SiteTest, free_port
from wiretap import serve_tapped
from prometheus import Prometheus
import client as wire  # tests/protocol

HASH = "{SSHA512}bm9ib2R5LW1heS1zZWUtdGhpcy1hbnl3aGVyZQ"
OTHER = "{SSHA512}YW5vdGhlci1zZWNyZXQtb2Ytc29tZWJvZHk"


class UserSite(SiteTest):
    """`directory:` in both clusters, `own` attributes in the south."""

    def setUp(self):
        super().setUp()
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        for name in ("north", "south"):
            os.makedirs(os.path.join(self.site.base, "people", name))
            own = ", own: [phone]" if name == "south" else ""
            text = text.replace(f"  {name}:\n    root:", f"  {name}:\n    directory: "
                                f"{{store: embedded, path: people/{name}/users.db{own}}}\n    root:")
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text)

    def database(self, name):
        return os.path.join(self.site.base, "people", name, "users.db")

    def contents(self, name, without=()):
        """What stands in the store, by names alone."""
        with sqlite3.connect(f"file:{self.database(name)}?mode=ro", uri=True) as db:
            return {
                "principals": set(db.execute("SELECT id, kind, name, locked FROM principals")),
                "passwords": set(db.execute("SELECT name, hash FROM passwords JOIN principals ON id = principal")),
                "attributes": {row for row in db.execute("SELECT p.name, a.name, value FROM attributes a "
                                                         "JOIN principals p ON id = principal") if row[1] not in without},
                "memberships": set(db.execute("SELECT h.kind, h.name, m.name FROM memberships JOIN principals h ON "
                                              "h.id = holder JOIN principals m ON m.id = member"))}

    def edit(self, *words, ok=(0,)):
        return self.site.cli("users", "edit", *words, ok=ok)

    def password(self, text):
        path = os.path.join(self.site.base, "hash")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text + "\n")
        return path

    def fill(self):
        self.edit("user", "anna", "--add", "--set", "mail=anna@example.org", "--set", "mail=a@example.org",
                  "--set", "phone=1", "--password-file", self.password(HASH))
        self.edit("user", "bob", "--add", "--lock", "--password-file", self.password(OTHER))
        self.edit("user", "cleo", "--add")
        self.edit("group", "staff", "--add")
        self.edit("role", "auditor", "--add")
        for name in ("anna", "bob"):
            self.edit("user", name, "--join", "staff")
        self.edit("user", "anna", "--join", "auditor")

    def assert_no_secret_but_in_the_stores(self):
        found = []
        for folder, _, files in os.walk(self.site.base):
            # What an application would have undone is kept there, as secret as the stores.
            if folder.startswith((self.site.north, self.site.south, os.path.join(self.site.base, "var", "user-data-before"))):
                continue
            for name in files:
                path = os.path.join(folder, name)
                if name.startswith("users.db") or name == "hash" or not os.path.isfile(path):
                    continue
                with open(path, "rb") as handle:
                    data = handle.read()
                if any(secret.encode() in data for secret in (HASH, OTHER)):
                    found.append(path)
        self.assertEqual(found, [], "a password hash stands there")


class Users(UserSite):
    def check_carried(self, how):
        self.site.up()
        self.site.cli("log-level", "north-snapshot", "trace")
        self.site.cli("log-level", "south-snapshot", "trace")
        self.site.cli("log-level", "scheduler", "trace")
        self.fill()
        before = self.site.json("users", "diff")
        self.assertEqual(before["counts"]["added"], 5)
        self.assertEqual(self.contents("south")["principals"], set(), "a diff changes nothing")
        self.site.json("users", "apply", "--how", how, "--dry-run")
        self.assertEqual(self.contents("south")["principals"], set(), "a dry run changes nothing")
        done = self.site.json("users", "apply", "--how", how)
        self.assertEqual((done["how"], done["primary"], done["secondary"], done["counts"]["added"]), (how, "north", "south", 5))
        self.assertEqual(self.contents("south"), {**self.contents("north"), "attributes": self.contents("north", ("phone",))["attributes"]})
        self.assertIn(("anna", HASH.encode()), self.contents("south")["passwords"])

        # The second run changes nothing, not even the file.
        again = self.site.json("users", "apply", "--how", how)
        self.assertEqual((again["changes"], sum(again["counts"].values())), ([], 0))

        # What belongs to the secondary stays; all else follows.
        self.edit("user", "anna", "--cluster", "south", "--set", "phone=south")
        self.edit("user", "anna", "--rename", "anne", "--set", "title=Dr", "--unset", "mail", "--set", "phone=2", "--leave", "staff")
        self.edit("user", "bob", "--unlock", "--password-file", self.password(HASH))
        self.edit("user", "cleo", "--remove")
        self.edit("user", "dora", "--add", "--join", "staff", "--lock")
        done = self.site.json("users", "apply", "--how", how)
        self.assertEqual({name: count for name, count in done["counts"].items() if count},
                         {"added": 1, "removed": 1, "renamed": 1, "changed": 1, "passwords": 1, "unlocked": 1, "memberships": 2})
        south = self.contents("south")
        self.assertEqual(south, {**self.contents("north"), "attributes": {("anne", "title", b"Dr"), ("anne", "phone", b"south")}})

        # A wrong or empty primary stops at the guard, and that is told.
        for name in ("anne", "bob", "dora"):
            self.edit("user", name, "--remove")
        refused = self.site.cli("users", "apply", "--how", how, ok=(3,))
        self.assertIn("--removals 3", refused.stderr)
        self.assertEqual(self.contents("south"), south)
        events = map(json.loads, self.site.cli("events", "--since", "1h", "--source", "south-snapshot", "--json").stdout.splitlines())
        kinds = [event["type"] for event in events if event["type"].startswith("users.")]
        self.assertEqual(kinds, ["users.applied", "users.applied", "users.refused"])
        self.site.cli("users", "apply", "--how", how, "--removals", "2", ok=(3,))
        self.site.cli("users", "apply", "--how", how, "--removals", "3")
        self.assertEqual(self.contents("south"), self.contents("north"))

        # Who edited and applied is noted, with no hash; nor does one stand anywhere else.
        audit = [row for row in self.site.json("audit") if row["type"].startswith("users.")]
        self.assertGreater(len(audit), 10)
        self.assertTrue(any(row["type"] == "users.edit" and row["body"].get("passwords") == 1 for row in audit))
        shown = self.site.cli("users", "show").stdout + self.site.cli("users", "show", "--cluster", "south", "--json").stdout
        self.assertNotIn("SSHA512", shown)
        self.site.cli("support-bundle", "--to", os.path.join(self.site.base, "bundle.tar"))
        self.assert_no_secret_but_in_the_stores()

    def test_push(self):
        self.check_carried("push")

    def test_reconcile(self):
        self.check_carried("reconcile")

    def test_after_a_promotion_it_goes_the_other_way(self):
        self.site.up()
        self.fill()
        self.site.json("users", "apply")
        self.site.cli("promote", "south", "--yes")
        self.edit("user", "bob", "--rename", "robert", "--cluster", "south")
        done = self.site.cli("users", "apply")    # the agents wait until they have learned of the epoch
        self.assertIn("south to north", done.stdout)
        self.assertEqual(self.contents("north"), {**self.contents("south"), "attributes": self.contents("north")["attributes"]})
        self.assertIn("robert", {row[2] for row in self.contents("north")["principals"]})

    def run_and_wait_for_users(self, service, source, target):
        self.site.run(service)
        deadline = time.monotonic() + 120
        while self.contents(source)["principals"] != self.contents(target)["principals"]:  # by itself, after the run
            self.assertLess(time.monotonic(), deadline, self.site.logs())
            time.sleep(0.1)

    def test_users_that_only_the_old_primary_had_are_kept_when_it_is_made_like_the_new_one(self):
        files = os.path.join(self.site.north, "files")
        os.makedirs(files)
        self.site.up()
        self.fill()
        self.site.cli("users", "apply")
        self.site.apply(f"service: orders\nmode: push\nconsistency: bounded\nmax_skew: 10s\n"
                        f"data_sets:\n  - {{name: files, component: files, path: {files}}}\n")
        self.run_and_wait_for_users("orders", "north", "south")
        self.edit("user", "late", "--add", "--password-file", self.password(OTHER))
        self.site.cli("promote", "south", "--yes")
        for name in ("dora", "emil"):      # the second must not take the place of what the first kept
            self.edit("user", name, "--add", "--cluster", "south")
            self.run_and_wait_for_users("orders", "south", "north")
        self.assertNotIn("late", {row[2] for row in self.contents("north")["principals"]})
        before = os.path.join(self.site.base, "var", "user-data-before", "north")
        path = os.path.join(before, "epoch-2.jsonl")
        self.assertEqual([stat.S_IMODE(os.stat(one).st_mode) for one in (before, path)], [0o700, 0o600])
        with open(path, encoding="utf-8") as handle:
            header, *records = map(json.loads, handle)
        self.assertEqual(header, {"lockstep_users": 1, "store": "embedded"})
        late = [record for record in records if record["name"] == "late"]
        self.assertEqual([(one["kind"], one["passwords"]) for one in late], [("user", [OTHER])])
        self.assertEqual({record["name"] for record in records}, {"anna", "bob", "cleo", "late", "staff", "auditor"})

    def test_after_a_run_it_is_done_by_itself(self):
        files = os.path.join(self.site.north, "files")
        os.makedirs(files)
        self.site.up()
        self.fill()
        self.site.apply(f"service: orders\nmode: push\nconsistency: bounded\nmax_skew: 10s\n"
                        f"data_sets:\n  - {{name: files, component: files, path: {files}}}\n")
        outcome = self.site.run("orders")
        deadline = time.monotonic() + 120
        def arrived():
            try:
                return len(self.contents("south")["principals"]) == 5
            except sqlite3.OperationalError:      # its agent has not made it yet
                return False
        while not arrived():
            self.assertLess(time.monotonic(), deadline, self.site.logs())
            time.sleep(0.1)
        self.assertEqual(self.contents("south")["passwords"], self.contents("north")["passwords"])
        self.assert_point_is_as_it_says(outcome["point"])

    def test_user_data_that_was_refused_is_alarmed_for_until_it_is_applied_also_after_a_restart(self):
        with open(self.site.config, encoding="utf-8") as handle:
            target = re.search(r'http: "([^"]+)"', handle.read())[1]
        self.site.up()
        self.fill()
        self.site.cli("users", "apply")
        watcher = Prometheus(os.path.join(self.disks.base, "prometheus"), target, free_port())
        self.addCleanup(watcher.close)

        def wait_for(what):
            deadline = time.monotonic() + 120
            while not what():
                self.assertLess(time.monotonic(), deadline, self.site.cli("status", ok=None).stdout + self.site.logs(10))
                time.sleep(0.5)
        wait_for(lambda: watcher.query("lockstep_users_applied == 1"))
        for name in ("anna", "bob", "cleo"):
            self.edit("user", name, "--remove")
        self.site.cli("users", "apply", ok=(3,))
        wait_for(lambda: ("LockstepUsersNotApplied", "") in watcher.firing())
        told = self.site.json("status")["users"]
        self.assertEqual((told["error"]["code"], told["how"]), ("guard", "push"))
        self.assertLess(told["good_at"], told["ended_at"])
        self.assertIn("user data was not applied", self.site.cli("status").stdout)
        # A dry run is no success; a restart forgets nothing.
        self.site.cli("users", "apply", "--dry-run", "--removals", "3")
        self.site.down()
        self.site.up()
        self.assertEqual(self.site.json("status")["users"], told)
        wait_for(lambda: ("LockstepUsersNotApplied", "") in watcher.firing())
        self.site.cli("users", "apply", "--removals", "3")
        wait_for(lambda: watcher.query("lockstep_users_applied == 1")
                 and ("LockstepUsersNotApplied", "") not in watcher.firing())
        # What changes nothing has no event; it is a success all the same.
        before = self.site.json("status")["users"]["good_at"]
        self.site.cli("users", "apply")
        self.assertGreater(self.site.json("status")["users"]["good_at"], before)

    def test_nobody_but_the_control_device_changes_the_secondarys_directory(self):
        self.site.up()
        self.fill()
        self.site.json("users", "apply")
        before = self.contents("south")
        document = b'{"lockstep_users":1,"store":"embedded"}\n'
        transfer, digest = wire.uuid7(), hashlib.sha256(document).hexdigest()

        def refused(me, to, type_, body, code):
            with wire.Client(self.site.config, me) as party:
                with self.assertRaises(wire.Failed) as caught:
                    party.call(to, type_, body)
            self.assertEqual(caught.exception.error["code"], code, caught.exception.error)
        apply = {"transfer": transfer, "digest": digest, "from": "north", "how": "push", "dry_run": False, "removals": 99}
        put = {"transfer": transfer, "offset": 0, "bytes": document}
        with wire.Client(self.site.config, "north-snapshot") as north:    # may put, and that is all
            self.assertEqual(north.call("south-snapshot", "users.put", put), {"have": len(document)})
        for me in ("north-snapshot", "north-transfer", "user"):
            refused(me, "south-snapshot", "users.apply", apply, "role-refused")
        refused("user", "south-snapshot", "users.put", put, "role-refused")
        refused("user", "north-snapshot", "instruction.users", {"transfer": transfer, "peer": "south-snapshot"}, "role-refused")
        refused("scheduler", "south-snapshot", "users.apply", {**apply, "digest": "0" * 64}, "not-found")
        refused("scheduler", "south-snapshot", "users.put", {**put, "offset": 10_000}, "message-malformed")
        refused("scheduler", "south-snapshot", "instruction.users", {"transfer": transfer, "peer": "north-snapshot"}, "guard")
        refused("scheduler", "north-snapshot", "users.apply", apply, "guard")
        with wire.Client(self.site.config, "scheduler") as scheduler:
            half = {"transfer": wire.uuid7(), "offset": 0, "bytes": document[:20]}
            scheduler.call("south-snapshot", "users.put", half)
            token = scheduler.call("south-snapshot", "users.read", {})["token"]
        refused("scheduler", "south-snapshot", "users.apply",
                {**apply, "transfer": half["transfer"], "digest": hashlib.sha256(document[:20]).hexdigest()}, "message-malformed")
        refused("user", "south-snapshot", "users.read", {"token": token}, "role-refused")
        self.assertEqual(self.contents("south"), before)

    def test_mistakes_are_told(self):
        self.site.up()
        self.edit("user", "anna", "--add")
        self.assertIn("[guard]", self.edit("user", "anna", "--add", ok=(3,)).stderr)
        self.assertIn("[not-found]", self.edit("user", "nobody", "--lock", ok=(1,)).stderr)
        self.assertIn("[not-found]", self.edit("user", "anna", "--join", "nobody", ok=(1,)).stderr)
        self.assertIn("[usage]", self.edit("user", "anna", "--set", "mail", ok=(2,)).stderr)
        self.assertIn("[not-found]", self.site.cli("users", "show", "--cluster", "east", ok=(1,)).stderr)


class OnTheWire(UserSite):
    """`instruction.users`, read by a tap between scheduler and agents."""

    def setUp(self):
        super().setUp()
        self.tap = serve_tapped(self, {"north-snapshot", "south-snapshot"})

    def users_requests(self):
        return [(agent, envelope["type"]) for agent, envelope in self.tap.requests() if "users" in envelope["type"]]

    def test_the_primarys_agent_is_instructed_and_no_hash_passes_the_control_device(self):
        self.fill()
        self.site.json("users", "apply", "--how", "push")
        self.assertEqual(self.users_requests(), [("north-snapshot", "instruction.users"), ("south-snapshot", "users.apply")])
        _, instruction = next(one for one in self.tap.requests("instruction.users"))
        self.assertEqual(instruction["body"]["peer"], "south-snapshot")
        self.assertEqual(instruction["epoch"]["number"], 1)
        self.assertFalse(any(HASH.encode() in frame for frame in self.tap.raw))
        self.assertEqual(self.contents("south")["passwords"], self.contents("north")["passwords"])

    def test_reconcile_reads_both_and_adjusts_the_secondary(self):
        self.fill()
        self.site.json("users", "apply", "--how", "reconcile")
        self.assertEqual(self.users_requests(), [("north-snapshot", "users.read"), ("south-snapshot", "users.read"),
                                                 ("south-snapshot", "users.put"), ("south-snapshot", "users.apply")])
        self.assertEqual(self.contents("south")["passwords"], self.contents("north")["passwords"])
        before = len(self.users_requests())
        self.site.json("users", "apply", "--how", "reconcile")
        self.assertEqual(self.users_requests()[before:], [("north-snapshot", "users.read"), ("south-snapshot", "users.read")])


if __name__ == "__main__":
    unittest.main()
