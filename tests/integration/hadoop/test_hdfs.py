#!/usr/bin/python3
"""A service whose data sets lie in HDFS, in files and in a database, between two real HDFS clusters.
The clusters run already: `hadoop.py start`, or `scripts/test hadoop`, which does all."""
import glob
import hashlib
import json
import os
import signal
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from service import HERE  # it finds the modules below
from harness import FULL, point_check
from hdfs_service import HdfsService, NAMES
from hdfs_tree import shown


class OnHdfs(HdfsService):
    def test_a_point_is_given_back_beside_it_and_hadoops_own_shell_reads_what_is_kept(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        point = self.site.run("orders")["point"]
        was = shown(self.north, self.path)
        self.assert_point(point, was)
        self.change(1)
        self.site.apply(self.policy("pull"))
        self.assert_point(self.site.run("orders")["point"], shown(self.north, self.path))
        self.assert_point(point, was)
        shell = self.clusters["south"].hdfs("-cat", self.kept(point) + "/appended", capture_output=True)
        self.assertEqual(shell.returncode, 0, shell.stderr)
        self.assertEqual(hashlib.sha256(shell.stdout).hexdigest(), was["appended"][5])
        place = os.path.dirname(self.to) + "/restored"    # whole, with the application's rights and times
        self.site.json("restore", point, "--to", place, "--set", "trail")
        self.assertEqual(shown(self.south, place + "/trail"), was)
        self.assertFalse(os.path.exists(place))
        refused = self.site.cli("restore", point, "--to", place, "--set", "trail", ok=(3,))
        self.assertIn("place-not-empty", refused.stderr)

    def test_a_target_that_somebody_changed_is_repaired_and_a_lost_base_too(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        first = self.site.run("orders")["point"]
        was = shown(self.north, self.path)
        # Somebody at the secondary, and somebody who removes the pin that is the base.
        self.south.remove(self.to + "/names")
        self.south.put(self.to + "/large", b"vandalised")
        self.south.put(self.to + "/foreign/file", b"x")
        self.south.mkdir(self.to + "/coded/below")    # of a kind that is never carried
        self.south.call("PUT", self.to + "/coded", "SETECPOLICY", ecpolicy="RS-6-3-1024k")
        self.change(1)
        second = self.site.run("orders")["point"]
        now = shown(self.north, self.path)
        self.assert_point(second, now)
        self.assert_point(first, was)
        self.assertEqual(self.site.logs(2000).count("Somebody had changed " + self.to), 1)
        for name in self.north.snapshots(self.path):
            self.north.call("DELETE", self.path, "DELETESNAPSHOT", snapshotname=name)
        self.change(2)
        self.site.apply(self.policy().replace("allow_snapshot: true", "allow_snapshot: true, on_base_lost: fail"))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertIn("base-lost", refused.stdout + refused.stderr)
        self.site.apply(self.policy())
        third = self.site.run("orders")["point"]
        latest = shown(self.north, self.path)
        self.assert_point(third, latest)
        self.assert_point(second, now)
        self.assertEqual(self.site.logs(2000).count("Somebody had changed " + self.to), 1)  # not again
        # And the base at the secondary.
        self.south.call("DELETE", self.to, "DELETESNAPSHOT", snapshotname="lockstep-point.orders.trail." + third)
        fourth = self.site.run("orders")["point"]
        self.assert_point(fourth, latest)
        self.assertIn("The base's version was gone", self.site.logs(2000))

    def test_a_file_that_stays_open_is_in_each_point_as_it_was_known_at_its_pin(self):
        cluster = self.clusters["north"]
        self.north.mkdir(self.path)
        writer = subprocess.Popen(
            cluster.java(cluster.classpath(), 128, os.path.join(HERE, "OpenWriter.java"), f"hdfs://127.0.0.1:{cluster.rpc}",
                         self.path + "/open"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=cluster.environment())
        self.addCleanup(writer.communicate)
        self.assertEqual(writer.stdout.readline(), "open\n")
        self.site.up()
        self.site.apply(self.policy())
        seen, written = {}, ""
        for line in ("one", "two " * 30_000, "three"):
            writer.stdin.write(line + "\n")
            writer.stdin.flush()
            self.assertEqual(writer.stdout.readline(), "written\n")
            written += line
            seen[self.site.run("orders")["point"]] = written.encode()
        for point, expected in seen.items():
            self.assertEqual(self.south.read(self.kept(point) + "/open", len(expected)), expected)
            self.site.cli("verify", point)

    def test_a_directory_that_is_to_be_kept_elsewhere_is_whole_there_and_older_points_stay_what_they_are(self):
        """In another directory, as plain files, and where it was."""
        self.fill()
        self.site.up()
        elsewhere, seen = self.to + "-elsewhere", []
        self.addCleanup(self.south.remove_with_snapshots, elsewhere, elsewhere)
        places = [f"path: {self.to}", f"path: {elsewhere}", f"component: files, path: {self.site.south}/kept", f"path: {self.to}"]
        for generation, place in enumerate(places):
            self.site.apply(self.policy(("push", "pull")[generation % 2]).replace(f"to: {{path: {self.to}}}", f"to: {{{place}}}"))
            seen.append((self.site.run("orders")["point"], shown(self.north, self.path)))
            self.change(generation + 1)
        for point, _ in seen:
            self.site.cli("verify", point)
        (first, first_shown), (second, second_shown), _, (last, last_shown) = seen
        self.assert_point(first, first_shown)
        self.assertEqual(shown(self.south, f"{elsewhere}/.snapshot/lockstep-point.orders.trail.{second}"), second_shown)
        self.assert_point(last, last_shown)
        self.assertIn("kept elsewhere before", self.site.logs(1000))

    @unittest.skipUnless(FULL, "the agents' deaths are in the short tier: test_deaths.py")
    def test_the_receiving_agent_killed_in_the_middle_leaves_nothing_and_the_next_point_is_whole(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy() + "bandwidth: 20MB\n")
        first = self.site.run("orders")["point"]
        was = shown(self.north, self.path)
        self.change(1)
        for i in range(4):
            self.north.put(f"{self.path}/bulk-{i}", os.urandom(30_000_000))
        expected = shown(self.north, self.path)
        self.run_disturbed(lambda: self.is_there(self.to + "/bulk-0"), lambda: self.kill("south-transfer"))
        points = self.site.json("points", "orders")
        self.assertEqual(len(points), 2)
        second = next(point["id"] for point in points if point["id"] != first)
        self.assert_point(second, expected)
        self.assert_point(first, was)
        self.wait_for_drops(self.north, self.path)
        self.assert_not_staged(self.south, self.to)

    def interrupted(self, mode, disturb):
        """The first point, of one large file that no base has, disturbed while the file is being written: the same
        attempt makes it all the same, and whole. Returns what its certificate says of the set."""
        self.north.put(self.path + "/large", os.urandom(96_000_000), blocksize=16 << 20)
        expected = shown(self.north, self.path)
        self.site.up()
        self.site.apply(self.policy(mode) + "bandwidth: 20MB\n")

        def in_the_middle():
            time.sleep(2)  # of nearly 5 that it takes
            self.assertLess(self.south.status(self.to + "/large")["length"], 96_000_000)
            disturb()
        done = self.run_disturbed(lambda: self.is_there(self.to + "/large"), in_the_middle)
        self.assertEqual(done["attempts"], 1)
        self.assert_point(done["point"], expected)
        self.site.cli("verify", done["point"])
        return self.certificate_of(done["point"], "trail")

    def assert_point_in_north(self, point, expected):
        """Of the time in which the roles are the other way round."""
        self.assertEqual(shown(self.north, f"{self.path}/.snapshot/lockstep-point.orders.trail.{point}"), expected)
        records = glob.glob(os.path.join(self.site.north, ".lockstep/points/*", point + ".json"))
        _, problems = point_check.check_record(records[0], True, self.clusters["north"].url)
        self.assertEqual(problems, [])
        self.site.cli("verify", point)

    def aside(self):
        return [name for name in self.north.snapshots(self.path) if name.startswith("lockstep-before.orders.trail.")]

    def test_the_old_primary_takes_backups_keeps_what_it_had_written_beside_and_becomes_the_primary_again(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        first = self.site.run("orders")["point"]
        was = shown(self.north, self.path)
        self.change(1)  # nobody carries this over
        diverged = shown(self.north, self.path)
        self.site.json("promote", "south", "--yes")
        self.assertEqual(shown(self.south, self.to), was)

        # The other way round, from the pin that the old primary still holds.
        def work(generation):
            self.south.put(f"{self.to}/of-south/{generation}", b"south %d" % generation)
            self.south.append(self.to + "/appended", b"more" * 10_000)
            self.south.remove(f"{self.to}/days/{generation}")
        work(3)
        expected = shown(self.south, self.to)
        second = self.site.run("orders")["point"]
        self.assert_point_in_north(second, expected)
        certified = json.loads(self.site.cli("point", "show", second, "--json").stdout)["certificate"]["sets"]
        trail = next(one for one in certified if one["name"] == "trail")
        self.assertEqual(trail["base"], first)
        self.assertLess(trail["bytes_sent"], 500_000)
        self.assertEqual(self.site.logs(2000).count(self.path + " was the primary's"), 1)
        self.assertEqual(len(self.aside()), 1)
        self.assertEqual(shown(self.north, f"{self.path}/.snapshot/{self.aside()[0]}"), diverged)
        work(4)
        latest = shown(self.south, self.to)
        third = self.site.run("orders")["point"]
        self.assert_point_in_north(third, latest)
        self.assert_point_in_north(second, expected)
        self.assertEqual(len(self.aside()), 1)

        # Back: what diverged is named, what South wrote is carried, and runs go on from there.
        work(5)
        carried = shown(self.south, self.to)
        done = self.site.json("failback", "--stopped", "--yes")
        told = next(one for one in done["divergent"][0]["sets"] if one["name"] == "trail")
        self.assertEqual((told["base"], told["path"]), (first, f"{self.path}/.snapshot/{self.aside()[0]}"))
        named = {(one["path"], one["what"]) for one in told["entries"]}
        self.assertLessEqual({("out-1", "written"), ("rewritten", "written"), (f"names/{NAMES[1]}", "removed")}, named)
        self.assertFalse([path for path, _ in named if "of-south" in path])
        self.assertEqual(shown(self.north, self.path), carried)
        self.north.put(self.path + "/again", b"north")
        expected = shown(self.north, self.path)
        last = self.site.run("orders")["point"]
        self.assert_point(last, expected)
        self.assertTrue(self.certificate_of(last, "trail")["base"])
        self.assertLess(self.certificate_of(last, "trail")["bytes_sent"], 500_000)
        self.assert_point(first, was)
        self.assertEqual(len(self.aside()), 1)

    @unittest.skipUnless(FULL, "the receiver's death, the harder case, is in the short tier")
    def test_a_sender_killed_in_the_middle_of_a_large_new_file_sends_nothing_twice(self):
        certified = self.interrupted("pull", lambda: self.kill("north-transfer"))
        self.assertEqual(certified["bytes_resent"], 0)

    def test_a_receiver_killed_in_the_middle_of_a_large_new_file_begins_the_set_again(self):
        certified = self.interrupted("push", lambda: self.kill("south-transfer"))
        self.assertGreater(certified["bytes_resent"], 10_000_000)
        self.assertLess(certified["bytes_resent"], 96_000_000)

    def test_a_datanode_killed_in_the_middle_of_a_large_new_file_begins_the_set_again_in_the_same_run(self):
        south = self.clusters["south"]
        self.addCleanup(south.start)

        def disturb():
            for name in south.datanodes_with_clients():
                south.end(name, signal.SIGKILL)
            south.begin()
        self.interrupted("push", disturb)
        self.assertIn("the connection broke in the middle of the file", self.site.logs(100))

    def test_what_is_wrong_is_said_before_anything_is_done(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy().replace(", allow_snapshot: true", ""))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("-allowSnapshot " + self.path, refused.stdout + refused.stderr)
        for bad, said in (("to: {path: " + self.to + "}", "to: {component: sqlite, path: /srv/x}"),
                          ("allow_snapshot: true", "exclude: [x]"), ("allow_snapshot: true", "engine: distcp")):
            answer = self.site.apply(self.policy().replace(bad, said), ok=None)
            self.assertEqual(answer.returncode, 2, said + answer.stdout + answer.stderr)

    def test_a_quota_that_what_is_to_come_would_exceed_is_told_before_it_is_used_up(self):
        self.north.put(self.path + "/large", os.urandom(24_000_000), blocksize=1 << 20)
        above = os.path.dirname(self.to)
        self.south.mkdir(above)
        self.south.call("PUT", above, "SETQUOTA", storagespacequota=18_000_000)
        self.site.up()
        self.site.apply(self.policy().replace("data_sets:", "bandwidth: 2MB\ndata_sets:"))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        said = refused.stdout + refused.stderr
        self.assertRegex(said, rf"its space quota leaves \d+ bytes .*{above} \[no-space\]")
        self.assertIn("-setSpaceQuota BYTES " + above, said)

    def test_a_drill_brings_the_directory_up_in_hdfs_and_leaves_nothing_also_when_the_agent_died(self):
        self.north.put(self.path + "/note", b"of the drill")
        self.site.up()
        self.site.apply(self.policy())
        self.site.run("orders")
        read = (f"import urllib.request as u; print(u.urlopen('{self.clusters['south'].url}/webhdfs/v1"
                "$LOCKSTEP_DRILL/trail/note?op=OPEN&user.name=hdfs').read())")
        done = self.site.json("drill", "orders", "--check", f"test \"$(cat invoices/one)\" = invoice && /usr/bin/python3 -c \"{read}\"")
        self.assertEqual(done["outcome"], "good", done)
        self.assertIn("of the drill", done["said"])
        self.assertEqual(self.drills(), [])
        self.site.down()
        self.site.environment["LOCKSTEP_FAILPOINT"] = "drill.restored"
        self.site.up()
        self.site.cli("drill", "orders", "--check", "true", ok=None)
        self.assertIn("ended with 137", self.site.logs(20))
        self.site.down()
        del self.site.environment["LOCKSTEP_FAILPOINT"]
        self.site.up()
        self.assertEqual(self.site.json("drill", "orders")[0]["outcome"], "interrupted")
        self.assertEqual(self.drills(), [])

    def drills(self):
        """What of them is in South, in HDFS and on the host. The first one made the directory that they lie in."""
        return glob.glob(os.path.join(self.site.south, "drill-*")) + [
            one["pathSuffix"] for one in self.south.list(self.site.south) if one["pathSuffix"].startswith("drill-")]

    def test_the_secondarys_web_servers_refuse_who_does_not_prove_against_csrf(self):
        # Lockstep says what it is, too: that all the others' backups arrive there is the proof that it proves it.
        for url, header, status in ((self.clusters["south"].url, {}, 400), (self.clusters["south"].url, {"X-XSRF-HEADER": "x"}, 200),
                                    (self.clusters["north"].url, {}, 200)):
            request = urllib.request.Request(f"{url}/webhdfs/v1{self.path}?op=MKDIRS&user.name=hdfs", method="PUT",
                                             headers={"User-Agent": "lockstep", **header})
            with self.subTest(url=url, header=header):
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        self.assertEqual(answer.status, status)
                except urllib.error.HTTPError as refused:
                    self.assertEqual(refused.code, status)


if __name__ == "__main__":
    unittest.main()
