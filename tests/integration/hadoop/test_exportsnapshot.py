#!/usr/bin/python3
"""The engine `exportsnapshot` between two real clusters with HBase and YARN: `hadoop.py start`, `hadoop.py yarn`,
`hadoop.py hbase`, or `scripts/test hadoop`."""
import glob
import unittest

from hbase_service import ROWS, HBaseService  # it finds the modules below
from yarn_service import YarnService
from harness import FULL
from hdfs_tree import Hdfs

BY_THE_STREAM = 100_000    # bytes at most, where an engine brought the HFiles: manifests, and what each entry is


class ExportSnapshot(YarnService, HBaseService):
    def policy(self, mode="push", engine="exportsnapshot"):
        return super().policy(mode).replace(f"path: /{self.space}/*", f"path: /{self.space}/*, engine: {engine}")

    def how(self, point):
        return self.carried_how(point, "lines")

    def begin(self, *words, rows=ROWS, **options):
        self.fill(rows)
        self.site.up()
        self.site.apply(self.policy(*words, **options))

    def backed_up(self):
        """Its point, what the point has to show, and the set's part of the certificate."""
        expected = self.seen(self.north, self.space)
        point = self.site.run("orders")["point"]
        return point, expected, self.certificate_of(point, "lines")

    def archived(self):
        """The HFiles of the secondary's archive: path -> inode, modification time and length."""
        found = self.hfiles("south", "/hbase/archive/data/" + self.space)
        # Nobody writes one anew under those who read it.
        self.assertEqual({one["permission"] for one in found.values()}, {"444"})
        return {path: (one["fileId"], one["modificationTime"], one["length"]) for path, one in found.items()}

    def hfiles(self, cluster, top):
        hdfs, found, folders = Hdfs(self.clusters[cluster].url), {}, [top]
        while folders:
            folder = folders.pop()
            for one in hdfs.list(folder):
                path = folder + "/" + one["pathSuffix"]
                if one["type"] == "FILE":
                    found[path] = one
                elif not one["pathSuffix"].startswith("."):    # what is not HBase's own, of regions and links
                    folders.append(path)
        hdfs.close()
        return {path: one for path, one in found.items() if not path.rpartition("/")[2].startswith(".")}

    def leave_behind(self, change, before=()):
        """As an export that was broken off does: an HFile that is new, in the archive of the secondary. Returns it."""
        for table in ("lines", "heads"):
            self.north.ask("flush", f"{self.space}:{table}")
        found = self.hfiles("north", f"/hbase/data/{self.space}/lines")
        path, one = max(((path, one) for path, one in found.items() if path not in before), key=lambda item: item[1]["length"])
        hdfs, place = Hdfs(self.clusters["south"].url, "hbase"), path.replace("/hbase/", "/hbase/archive/", 1)
        hdfs.put(place, change(one["length"]))
        hdfs.close()
        return place

    # --- what has to hold
    def assert_nothing_left(self):
        self.wait_for_pins()
        self.nothing_staged()
        for tables in (self.north, self.south):
            self.assertEqual(self.snapshots(tables, "lockstep-carried"), set())
        hdfs = Hdfs(self.clusters["south"].url)
        unfinished = [one["pathSuffix"] for one in hdfs.list("/hbase/.hbase-snapshot/.tmp")]
        hdfs.close()
        self.assertEqual([name for name in unfinished if f".{self.space}." in name], [])
        self.assert_no_jobs_left("hbase")
        self.assertEqual(glob.glob(self.site.base + "/**/exportsnapshot/*", recursive=True), [])    # the agents' own, of local jobs

    def assert_one_job_at_a_time(self, cluster):
        """Of each table; by the ResourceManager's own clock."""
        last = {}
        for job in self.jobs(cluster):
            self.assertGreaterEqual(job["startedTime"], last.get(job["name"], 0), job)
            last[job["name"]] = job["finishedTime"]
        self.assertEqual({name.rpartition(":")[2] for name in last}, {"lines", "heads"})

    def first_copy_then_only_what_is_new(self, mode, by):
        """`by`: of the first one, as the certificate says it. Returns what each point has to show."""
        self.begin(mode)
        first, was, certified = self.backed_up()
        self.assertRegex(self.how(first), rf"ExportSnapshot carried the HFiles \(2 tables.*, {by}, `engine: exportsnapshot`\): "
                                          "they are known by HDFS's own checksums\\.")
        self.assertLess(certified["bytes_sent"], BY_THE_STREAM)
        brought = self.archived()
        self.assertGreater(sum(length for _, _, length in brought.values()), ROWS * 1000)

        self.north.ask("put", self.space + ":lines", ROWS, 40, 1000)
        self.north.ask("remove", self.space + ":lines", 5, 20)
        second, expected, certified = self.backed_up()
        self.assertNotEqual(expected, was)
        self.assertEqual(certified["base"], first)
        self.assertIn("ExportSnapshot carried the HFiles", self.how(second))
        self.assertLess(certified["bytes_sent"], BY_THE_STREAM)
        now = self.archived()
        self.assertEqual({path: now.get(path) for path in brought}, brought)    # not written again
        new = sum(length for path, (_, _, length) in now.items() if path not in brought)
        self.assertGreater(new, 40 * 1000)
        self.assertLess(new, ROWS * 1000 // 8)
        self.assert_point(second, expected)
        self.assert_point(first, was)
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), self.expected_snapshots("lockstep-point", [first, second]))
        self.assert_nothing_left()
        return expected


class OnYarn(ExportSnapshot):
    exportsnapshot = {"from": "1MiB"}

    def test_by_push_only_new_hfiles_travel_and_the_points_are_whole(self):
        expected = self.first_copy_then_only_what_is_new("push", r"application_\d+_\d+, application_\d+_\d+")
        self.assertEqual(len(self.jobs("north")), 3)    # of two tables, and of the one that had something new
        self.assertEqual(self.jobs("south"), [])
        self.site.json("promote", "south", "--yes")
        self.assertEqual(self.seen(self.south, self.space), expected)

    def disturbed(self, engine, disturb):
        """The point, which is whole all the same, and what disturb() returned."""
        self.begin(engine=engine)
        expected, said = self.seen(self.north, self.space), []
        point = self.run_disturbed(lambda: self.running("north"), lambda: said.append(disturb()))["point"]
        self.assert_point(point, expected)
        self.assert_nothing_left()
        return point, said[0]

    def test_jobs_of_a_sender_that_dies_are_waited_for_and_finished(self):
        point, _ = self.disturbed("exportsnapshot", lambda: self.kill("north-transfer"))
        self.assertIn("ExportSnapshot carried the HFiles", self.how(point))
        self.assertLess(self.certificate_of(point, "lines")["bytes_sent"], BY_THE_STREAM)
        self.assert_one_job_at_a_time("north")
        self.assertEqual([job["id"] for job in self.jobs("north") if job["finalStatus"] != "SUCCEEDED"], [])

    @unittest.skipUnless(FULL, "--full")
    def test_a_job_that_somebody_kills_is_made_up_for(self):
        point, killed = self.disturbed("exportsnapshot", lambda: self.end_job("north", "hbase"))
        self.assertIn("ExportSnapshot carried the HFiles", self.how(point))
        self.assertNotIn(killed, self.how(point))
        self.assert_one_job_at_a_time("north")
        self.assertIn((killed, "KILLED"), [(job["id"], job["finalStatus"]) for job in self.jobs("north")])

    @unittest.skipUnless(FULL, "--full")
    def test_auto_leaves_to_the_stream_what_a_killed_job_does_not_bring(self):
        point, killed = self.disturbed("auto", lambda: self.end_job("north", "hbase"))
        how = self.how(point)
        self.assertIn("The stream carried the content: `engine: auto` would have used ExportSnapshot, but ", how)
        self.assertIn("carry-failed", how)
        self.assertIn(killed, how)
        self.assertGreater(self.certificate_of(point, "lines")["bytes_sent"], ROWS * 1000)

    @unittest.skipUnless(FULL, "--full")
    def test_auto_streams_what_is_small_and_says_why(self):
        self.begin(engine="auto", rows=100)
        point, expected, _ = self.backed_up()
        self.assertIn("The stream carried the content: `engine: auto` uses ExportSnapshot from 1048576 bytes on, and this is ",
                      self.how(point))
        self.assert_point(point, expected)
        self.assertEqual(self.jobs("north"), [])


class InLocalJobs(ExportSnapshot):
    exportsnapshot = {"resourcemanagers": None, "from": "1MiB"}

    def test_by_pull_the_same_without_yarn(self):
        self.first_copy_then_only_what_is_new("pull", "in local jobs")
        self.assertEqual(self.jobs("north") + self.jobs("south"), [])

    @unittest.skipUnless(FULL, "--full")
    def test_what_a_broken_export_left_short_is_brought_again_and_what_it_left_damaged_is_streamed_and_replaced(self):
        self.fill()
        self.leave_behind(lambda length: b"x" * (length // 2))
        self.site.up()
        self.site.apply(self.policy())
        point, expected, _ = self.backed_up()
        self.assertIn("ExportSnapshot carried the HFiles", self.how(point))
        self.assert_point(point, expected)
        before = self.hfiles("north", f"/hbase/data/{self.space}/lines")
        self.north.ask("put", self.space + ":lines", 2 * ROWS, 100, 1000)
        damaged = self.leave_behind(lambda length: b"x" * length, before)
        point, expected, _ = self.backed_up()
        self.assertIn("The stream carried the content: the other HBase has HFiles whose checksums are others", self.how(point))
        self.assertIn(damaged.partition("/archive/")[2], self.how(point))
        self.assert_point(point, expected)
        self.assert_nothing_left()

    @unittest.skipUnless(FULL, "--full")
    def test_auto_uses_it_for_the_whole_and_streams_what_is_new(self):
        self.begin(engine="auto")
        first, _, certified = self.backed_up()
        self.assertRegex(self.how(first), "ExportSnapshot carried the HFiles .*`engine: auto`: at least 1048576 bytes")
        self.assertLess(certified["bytes_sent"], BY_THE_STREAM)
        self.north.ask("put", self.space + ":lines", ROWS, 40, 1000)
        second, expected, certified = self.backed_up()
        self.assertEqual(certified["base"], first)
        self.assertNotIn("ExportSnapshot carried", self.how(second))
        self.assertGreater(certified["bytes_sent"], 40 * 1000)
        self.assertLess(certified["bytes_sent"], ROWS * 1000 // 8)
        self.assert_point(second, expected)
        self.assert_nothing_left()


class DoesNothing(ExportSnapshot):
    exportsnapshot = {"resourcemanagers": None, "java": "/bin/true"}

    def test_an_exit_status_is_not_believed(self):
        self.fill(100)
        self.site.up()
        self.site.apply(self.policy() + "attempts: 1\n")
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0, refused.stdout)
        said = refused.stdout + refused.stderr
        self.assertIn("carry-failed", said)
        self.assertRegex(said, r"does not bring the snapshot \S*lockstep-carried\.orders\.lines\.")
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), set())
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
