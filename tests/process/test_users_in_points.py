#!/usr/bin/python3
"""User data pinned with the runs: what a point holds of the directory is what stood in it at the moment, nobody
else reads it, and it goes back into a directory as a job of its own. Embedded stores, read by plain SQL."""
import glob
import json
import os
import signal
import sqlite3
import stat
import subprocess
import threading
import time
import unittest

from test_users import HASH, OTHER, UserSite
import client as wire  # tests/protocol


def nanos(text):
    whole, _, rest = text.rstrip("Z").partition(".")
    return int(time.mktime(time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 10**9 + int(
        rest.ljust(9, "0") or 0)


class Counting(threading.Thread):
    """Somebody who changes the directory all the time: in each transaction two people get the same new number."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.ended, self.commits = database, threading.Event(), [(0, 0)]

    def run(self):
        with sqlite3.connect(self.database, isolation_level=None, timeout=30) as db:
            db.execute("PRAGMA foreign_keys = ON")
            while not self.ended.is_set():
                number, begun = len(self.commits), time.time_ns()
                db.execute("BEGIN IMMEDIATE")
                db.execute("DELETE FROM attributes WHERE name = 'count'")
                db.execute("INSERT INTO attributes SELECT id, 'count', CAST(? AS BLOB) FROM principals "
                           "WHERE name IN ('anna', 'bob')", (str(number),))
                db.execute("COMMIT")
                self.commits.append((begun, time.time_ns()))

    def stop(self):
        self.ended.set()
        self.join()


class Points(UserSite):
    def begin(self, mode="push", consistency="bounded"):
        self.files = os.path.join(self.site.north, "files")
        os.makedirs(self.files)
        with open(os.path.join(self.files, "one"), "w", encoding="utf-8") as handle:
            handle.write("one")
        self.site.up()
        self.fill()
        self.site.apply(f"service: orders\nmode: {mode}\nconsistency: {consistency}\nmax_skew: 10s\nuser_data: true\n"
                        f"data_sets:\n  - {{name: files, component: files, path: {self.files}}}\n")

    def record(self, point):
        with open(self.site.record(point), encoding="utf-8") as handle:
            return json.load(handle)

    def kept(self, point):
        return next(one for one in self.record(point)["sets"] if one["component"] == "users")

    def certified(self, point):
        return next(one for one in self.record(point)["certificate"]["sets"] if one["name"] == "user-data")

    def document(self, point):
        with open(self.kept(point)["path"], encoding="utf-8") as handle:
            return [json.loads(line) for line in handle][1:]

    def shown(self, point):
        """The document in the form of contents()."""
        records = self.document(point)
        by_id = {one["id"]: one for one in records}
        return {"principals": {(one["id"], one["kind"], one["name"], int(one["locked"])) for one in records},
                "passwords": {(one["name"], each.encode()) for one in records for each in one["passwords"]},
                "attributes": {(one["name"], name, each.encode()) for one in records
                               for name, values in one["attributes"].items() for each in values},
                "memberships": {(one["kind"], one["name"], by_id[each]["name"]) for one in records
                                for each in one["members"]}}

    def assert_no_secret_but_in_the_documents(self):
        """In no log, event, journal, record, manifest or certificate; and nobody else may read the documents."""
        self.assert_no_secret_but_in_the_stores()
        for root in (self.site.north, self.site.south):
            for folder, _, files in os.walk(root):
                for name in files:
                    path = os.path.join(folder, name)
                    if not os.path.isfile(path):
                        continue
                    with open(path, "rb") as handle:
                        data = handle.read()
                    if not any(secret.encode() in data for secret in (HASH, OTHER)):
                        continue
                    self.assertEqual((os.path.basename(os.path.dirname(folder)), name), ("user-data", "user-data.jsonl"))
                    self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
                    self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)

    def check_the_moment(self, mode):
        self.begin(mode)
        for name in ("north-snapshot", "south-transfer", "north-transfer", "scheduler"):
            self.site.cli("log-level", name, "trace")
        somebody = Counting(self.database("north"))
        somebody.start()
        try:
            point = self.site.run("orders")["point"]
        finally:
            somebody.stop()
        # One transaction: whoever got a number of it has the same.
        numbers = [one["attributes"]["count"] for one in self.document(point) if "count" in one["attributes"]]
        self.assertEqual(len(numbers), 2)
        self.assertEqual(numbers[0], numbers[1])
        # And it is the one that stood there at an instant of the interval, which begins at the moment.
        number, certified = int(numbers[0][0]), self.certified(point)
        requested, acknowledged = (nanos(certified["users"]["captured"][key]) for key in ("requested", "acknowledged"))
        self.assertLessEqual(somebody.commits[number][0], acknowledged)
        self.assertGreaterEqual(somebody.commits[number + 1][1], requested)
        moment = nanos(self.record(point)["moment"])
        self.assertGreaterEqual(requested, moment)
        self.assertLess(requested - moment, 5 * 10**9)
        self.assertGreater(len(somebody.commits), number + 1, "nothing was changed during the run")
        self.assertEqual(certified["users"]["records"], {"user": 3, "group": 1, "role": 1})
        self.assertEqual(certified["users"]["store"], "embedded")
        self.assert_point_is_as_it_says(point)
        self.assertEqual(self.site.json("verify", point)["ok"], True)
        # With nobody there the whole directory is compared.
        quiet = self.site.run("orders")["point"]
        self.assertEqual(self.shown(quiet), self.contents("north"))
        self.assert_point_is_as_it_says(quiet)
        self.site.cli("support-bundle", "--to", os.path.join(self.site.base, "bundle.tar"))
        self.assert_no_secret_but_in_the_documents()
        self.assert_nothing_is_left()

    def test_a_point_shows_the_directory_of_the_moment_by_push(self):
        self.check_the_moment("push")

    def test_a_point_shows_the_directory_of_the_moment_by_pull(self):
        self.check_the_moment("pull")

    def change(self):
        self.edit("user", "anna", "--rename", "anne", "--password-file", self.password(OTHER))
        self.edit("user", "cleo", "--remove")
        self.edit("user", "dora", "--add", "--join", "staff")
        self.edit("user", "bob", "--unlock", "--leave", "staff")

    def told(self, kind):
        events = map(json.loads, self.site.cli("events", "--since", "1h", "--source", "south-snapshot", "--json").stdout.splitlines())
        return [event["data"] for event in events if event["type"] == kind]

    def settled(self):
        """Until the runs' own application is done: it is a job of its own, by the last mode."""
        deadline = time.monotonic() + 120
        def alike():
            try:
                return self.contents("south") == {**self.contents("north"),
                                                  "attributes": self.contents("north", ("phone",))["attributes"]}
            except sqlite3.OperationalError:
                return False
        while not alike():
            self.assertLess(time.monotonic(), deadline, self.site.logs())
            time.sleep(0.1)

    def test_a_points_users_are_applied_by_a_job_of_its_own(self):
        self.begin()
        first = self.site.run("orders")["point"]
        before = self.contents("north")
        self.settled()
        self.change()
        second = self.site.run("orders")["point"]
        after = self.contents("north")
        self.settled()
        self.assertEqual((self.shown(first), self.shown(second)), (before, after))
        runs, points = self.site.json("runs"), self.site.json("points")

        # The guard holds for points, too; a dry run changes nothing.
        self.assertIn("[usage]", self.site.cli("users", "apply", "--point", first, "--how", "push", ok=(2,)).stderr)
        plan = self.site.json("users", "apply", "--point", first, "--dry-run", "--removals", "1")
        self.assertEqual((plan["how"], plan["primary"], plan["secondary"], plan["counts"]["removed"]), ("point", "north", "south", 1))
        self.assertEqual(self.contents("south"), {**after, "attributes": self.contents("south")["attributes"]})
        refused = self.site.cli("users", "apply", "--point", first, "--removals", "0", ok=(3,))
        self.assertIn("--removals 1", refused.stderr)
        self.assertEqual([one["point"] for one in self.told("users.refused")], [first])
        self.assertNotIn("error", self.site.json("status")["users"], "the secondary follows its primary all the same")

        done = self.site.json("users", "apply", "--point", first, "--removals", "1")
        self.assertEqual((done["records"], done["counts"]["renamed"], done["counts"]["passwords"]), (5, 1, 1))
        self.assertEqual(self.contents("south"), {**before, "attributes": self.contents("south")["attributes"]})
        self.assertIn(("anna", HASH.encode()), self.contents("south")["passwords"])
        told = self.told("users.applied")[-1]
        self.assertEqual((told["point"], told["how"], told["from"]), (first, "point", "north"))
        self.assertEqual(self.site.json("users", "apply", "--point", first)["changes"], [])
        self.assertEqual((self.contents("north"), self.site.json("runs"), self.site.json("points")), (after, runs, points))

        # After a promotion the points that the new primary keeps serve it still.
        self.site.cli("promote", "south", "--yes")
        deadline = time.monotonic() + 60
        while self.site.cli("users", "apply", "--point", second, "--removals", "1", ok=None).returncode != 0:
            self.assertLess(time.monotonic(), deadline, self.site.logs())
            time.sleep(0.5)
        self.assertEqual(self.contents("south")["principals"], after["principals"])
        self.assertEqual(self.contents("south")["memberships"], after["memberships"])
        self.assertTrue(os.path.exists(os.path.join(self.site.south, "files", "one")))
        self.assert_no_secret_but_in_the_documents()

    def test_what_is_kept_is_verified_restored_by_hand_and_goes_with_its_point(self):
        self.begin()
        first = self.site.run("orders")["point"]
        second = self.site.run("orders")["point"]
        where = self.restore(first)
        with open(os.path.join(where, "user-data"), encoding="utf-8") as handle:
            self.assertEqual([json.loads(line) for line in handle][1:], self.document(first))
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(where, "user-data")).st_mode), 0o600)
        self.site.cli("restore", first, "--in-place", "--force")
        self.assertIn("[not-supported]", self.site.cli("restore", first, "--in-place", "--force", "--set", "user-data", ok=(1,)).stderr)

        # A document that was touched is told of, and never applied.
        path = self.kept(second)["path"]
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text.replace('"locked":true', '"locked":false'))
        verified = self.site.cli("verify", second, "--json", ok=None)
        self.assertNotEqual(verified.returncode, 0)
        self.assertEqual([one["name"] for one in json.loads(verified.stdout)["sets"] if not one["ok"]], ["user-data"])
        self.settled()
        before = self.contents("south")
        self.assertIn("[point-damaged]", self.site.cli("users", "apply", "--point", second, ok=(1,)).stderr)
        self.assertEqual(self.contents("south"), before)

        # The points of a policy without user data hold none; what a point holds goes with it.
        self.site.apply(f"service: orders\nconsistency: bounded\nmax_skew: 10s\n"
                        f"data_sets:\n  - {{name: files, component: files, path: {self.files}}}\n")
        third = self.site.run("orders")["point"]
        self.assertIn("[not-found]", self.site.cli("users", "apply", "--point", third, ok=(1,)).stderr)
        self.assert_point_is_as_it_says(third)
        gone = self.kept(first)["path"]
        self.site.cli("point", "delete", first)
        deadline = time.monotonic() + 60
        while os.path.exists(os.path.dirname(gone)):
            self.assertLess(time.monotonic(), deadline, "what belongs to a deleted point is still there")
            time.sleep(0.2)
        self.assertIn("[point-missing]", self.site.cli("users", "apply", "--point", first, ok=(1,)).stderr)

    def test_with_the_roles_exchanged_the_other_directory_is_pinned_and_a_drill_has_it_too(self):
        self.begin()
        self.site.run("orders")
        self.settled()
        said = self.site.json("drill", "orders", "--check", "test -s user-data && test -s files/one")
        self.assertEqual(said["outcome"], "good")
        self.site.json("switchover", "south", "--stopped", "--yes")
        self.edit("user", "dora", "--cluster", "south", "--add", "--password-file", self.password(OTHER))
        point = self.site.run("orders")["point"]
        path = glob.glob(os.path.join(self.site.north, ".lockstep/points/orders", point + ".json"))
        self.site.south, self.site.north = self.site.north, self.site.south    # where record() looks
        try:
            self.assertEqual(path, [self.site.record(point)])
            self.assertEqual(self.shown(point), self.contents("south"))
            self.assert_point_is_as_it_says(point)
            self.assertEqual(self.certified(point)["from"]["cluster"], "south")
        finally:
            self.site.south, self.site.north = self.site.north, self.site.south
        self.assert_no_secret_but_in_the_documents()

    def stopped(self):
        """The pids of this site's services that a failpoint has stopped."""
        out = []
        for path in glob.glob("/proc/[0-9]*"):
            try:
                with open(path + "/cmdline", encoding="utf-8") as line, open(path + "/stat", encoding="utf-8") as state:
                    if self.site.config in line.read() and state.read().rpartition(")")[2].split()[0] == "T":
                        out.append(int(os.path.basename(path)))
            except OSError:
                pass
        return out

    def until(self, what, look, seconds=60):
        deadline = time.monotonic() + seconds
        while not look():
            self.assertLess(time.monotonic(), deadline, what + "\n" + self.site.logs())
            time.sleep(0.1)

    def alike(self):
        north, south = self.contents("north", ("phone",)), self.contents("south", ("phone",))
        return north == south

    def test_a_switchover_loses_no_change_of_a_user_and_a_failback_keeps_aside_what_had_diverged(self):
        place = os.path.join(self.site.base, "failpoint")
        self.site.environment["LOCKSTEP_FAILPOINT_FILE"] = place
        self.begin()
        self.site.run("orders")
        self.settled()
        # The secondary's directory takes its time over the last change: nothing is decided before it has it.
        self.edit("user", "dora", "--add", "--join", "staff")
        with open(place + ".part", "w", encoding="utf-8") as handle:
            handle.write("stop users.applied.before:1")
        os.rename(place + ".part", place)
        with subprocess.Popen(self.site.command_of("switchover", "south", "--stopped", "--yes"), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=self.site.environment) as asked:
            self.until("the directory's agent is stopped", self.stopped)
            self.until("the last run", lambda: len([one for one in self.site.json("runs") if one["state"] == "complete"]) == 3)
            time.sleep(3)
            self.assertEqual(self.site.json("client")["decided"]["number"], 1)
            for pid in self.stopped():
                os.kill(pid, signal.SIGCONT)
            said = asked.communicate(timeout=120)[0]
        self.assertEqual(asked.returncode, 0, said)
        self.assertTrue(self.alike())
        self.assertIn("dora", {one[2] for one in self.contents("south")["principals"]})

        # What a superseded primary's directory had by itself is kept aside, and named.
        self.until("the way is free", lambda: self.site.cli("run", "orders", "--wait", ok=None).returncode == 0)
        self.until("north follows", lambda: "good_at" in self.site.json("status")["users"] and self.alike())
        plan = self.site.cli("promote", "north", "--dry-run").stdout
        self.assertIn("users: the directory of north was last made like that of south at", plan)
        self.site.cli("promote", "north", "--yes")
        self.edit("user", "eve", "--cluster", "south", "--add", "--password-file", self.password(OTHER))
        self.edit("user", "fay", "--cluster", "north", "--add")
        self.until("both are seen", lambda: [one["health"] for one in self.site.json("client")["clusters"]] == ["healthy"] * 2)
        done = self.site.json("failback", "south", "--stopped", "--yes")
        aside = next(one for one in done["divergent"][0]["sets"] if one["name"] == "user-data")
        self.assertEqual((aside["written"], aside["removed"]), (1, 0))
        self.assertIn("user-data", {hold["set"] for hold in self.site.json("holds") if hold["reason"] == "divergent"})
        with open(aside["path"], encoding="utf-8") as handle:
            self.assertIn("eve", {json.loads(line).get("name") for line in handle})
        self.assertTrue(self.alike())
        self.assertEqual({"eve", "fay"} & {one[2] for one in self.contents("south")["principals"]}, {"fay"})
        self.assert_no_secret_but_in_the_documents()

    def test_nobody_but_the_scheduler_is_given_what_a_point_holds(self):
        self.begin()
        point = self.site.run("orders")["point"]
        for me in ("user", "north-transfer", "north-snapshot", "south-snapshot"):
            with wire.Client(self.site.config, me) as party, self.assertRaises(wire.Failed) as caught:
                party.call("south-transfer", "point.users", {"id": point, "offset": 0})
            self.assertEqual(caught.exception.error["code"], "role-refused")
        with wire.Client(self.site.config, "scheduler") as scheduler:
            part = scheduler.call("south-transfer", "point.users", {"id": point, "offset": 0})
        self.assertIn(HASH.encode(), part["bytes"])
        self.assertEqual((part["digest"], part["from"]), (self.certified(point)["users"]["digest"], "north"))

    def test_a_policy_that_asks_for_user_data_needs_directories(self):
        with open(self.site.config, encoding="utf-8") as handle:
            lines = [line for line in handle if "directory:" not in line]
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.writelines(lines)
        self.site.up()
        refused = self.site.apply("service: orders\nconsistency: bounded\nuser_data: true\ndata_sets:\n"
                                  "  - {name: files, component: files, path: /tmp}\n", ok=(2,))
        self.assertIn("has no `directory`", refused.stderr)


if __name__ == "__main__":
    unittest.main()
