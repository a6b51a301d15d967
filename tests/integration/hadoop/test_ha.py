#!/usr/bin/python3
"""A backup of and to an HDFS with two NameNodes: whichever of them is active, whoever dies, and when. The other cluster
is of hadoop.py, which runs already; the pair is started here, and gone at the end.

    LOCKSTEP_SEED=N   the same choice of the phase that the short tier kills in"""
import os
import random
import time
import unittest

from service import BOUNDED, HadoopService, StoppableSite  # it finds the modules below
from harness import FULL, point_check
from hdfs_tree import Hdfs, Refused, shown
from pair import Pair

SEED = int(os.environ.get("LOCKSTEP_SEED") or random.randrange(1 << 30))
PHASES = ("pin", "transfer", "seal")
CHOSEN = PHASES if FULL else (random.Random(SEED).choice(PHASES),)
POLICY = BOUNDED + """\
  - {{name: trail, component: hdfs, path: {path}, allow_snapshot: true, to: {{path: {to}}}}}
bandwidth: 20MB
"""


def phase(name):
    return unittest.skipUnless(name in CHOSEN, f"the short tier kills in one phase, {CHOSEN[0]} (LOCKSTEP_SEED={SEED})")


class NameNodePair(HadoopService):
    kind_of_site = StoppableSite

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.single = cls.clusters
        cls.pair = Pair("south")
        cls.addClassCleanup(cls.pair.wipe)
        cls.pair.start()

    def stand_for(self, name):
        """Of the site's two clusters the one that is the pair; the other is hadoop.py's."""
        self.pair.name = name
        type(self).clusters = {**self.single, name: self.pair}
        self.other_name = "south" if name == "north" else "north"

    def setUp(self):
        self.stand_for("north" if "source" in self._testMethodName else "south")
        super().setUp()
        self.other = self.reader(self.clusters[self.other_name].url)
        own = f"/pair-{os.getpid()}-{self.id().rsplit('.', maxsplit=1)[-1]}"
        self.path, self.to = own + "/trail", own + "/kept"
        self.addCleanup(self.clear, own)

    def clear(self, own):
        for hdfs in (self.other, self.active()):
            hdfs.remove_with_snapshots(own, self.path, self.to)

    def reader(self, url):
        hdfs = Hdfs(url)
        self.addCleanup(hdfs.close)
        return hdfs

    def active(self):
        return self.reader(self.pair.active_url())

    def source(self):
        return self.active() if self.pair.name == "north" else self.other

    def target(self):
        return self.active() if self.pair.name == "south" else self.other

    # --- what the application does
    def write(self, name):
        """Six seconds of transfer, and a few small files."""
        hdfs = self.source()
        for i in range(4):
            hdfs.put(f"{self.path}/{name}/large-{i}", os.urandom(30_000_000))
        for i in range(60):
            hdfs.put(f"{self.path}/{name}/small-{i}", b"%d" % i * i)

    # --- what has to hold
    def assert_kept(self, point, expected):
        hdfs = self.target()
        self.assertEqual(shown(hdfs, f"{self.to}/.snapshot/lockstep-point.orders.trail.{point}"), expected)
        _, problems = point_check.check_record(self.site.record(point), True, hdfs.namenode)
        self.assertEqual(problems, [])
        self.site.cli("verify", point)

    def assert_roles_are_told(self):
        """Which of the two is active, by the health of its cluster."""
        states = {node: self.pair.state(node) for node in self.pair.of_node}
        wanted = "NameNodes: " + ", ".join(f"127.0.0.1:{http} {states[node]}" for node, (_, http) in self.pair.of_node.items())
        deadline = time.monotonic() + 60
        while True:
            told = [store["detail"] for cluster in self.site.json("client")["clusters"] for store in cluster["stores"]]
            if any(wanted in detail for detail in told):
                return
            self.assertLess(time.monotonic(), deadline, f"{told} for {wanted}")
            time.sleep(0.5)

    def assert_only_points_are_left(self, points):
        """No pin without a hold, no snapshot of the target but the points', of which it shows the newest."""
        target = self.target()
        self.wait_for_drops(self.source(), self.path, 60)
        self.assertEqual(target.snapshots(self.to), sorted(f"lockstep-point.orders.trail.{point}" for point in points))
        self.assert_not_staged(target, self.to)

    # --- who dies, when
    def begin(self, mode="push"):
        self.site.up()
        self.site.apply(POLICY.format(mode=mode, path=self.path, to=self.to))

    def backed_up(self, name, prepare):
        """What is written now is backed up in a run that is disturbed: prepare() tells from when on, and how."""
        self.write(name)
        expected = shown(self.source(), self.path)
        done = self.run_disturbed(*prepare())
        self.assert_kept(done["point"], expected)
        return done, expected

    def in_the_middle(self, name, disturb):
        """While files that write(name) wrote are being written in the target's working tree."""
        def prepare():
            hdfs = self.target()

            def begun():
                try:
                    return bool(hdfs.status(f"{self.to}/{name}/large-1"))
                except Refused:
                    return False
            return begun, disturb
        return prepare

    def dies_at(self, service, failpoint):
        """The active NameNode is gone before the service goes on; the other one is active some seconds later."""
        self.site.arm_stop(service, failpoint)
        return (lambda: self.site.is_stopped(service),
                lambda: self.pair.kill_the_active(meanwhile=lambda: self.site.goes_on(service)))

    def killed(self, prepare):
        """A point before, the one of the disturbed run, and one after, with the dead NameNode back as a standby."""
        source = self.source()
        source.put(self.path + "/first", b"first")
        expected = shown(source, self.path)
        seen = {self.site.run("orders")["point"]: expected}
        died = self.pair.active()
        done, expected = self.backed_up("died", prepare)
        self.assertNotEqual(self.pair.active(), died)
        seen[done["point"]] = expected
        self.pair.launch_node(died)
        self.pair.wait_for(died, lambda state: state == "standby")
        source = self.source()
        source.put(self.path + "/late", b"late")
        source.remove(self.path + "/died/small-1")
        expected = shown(source, self.path)
        last = self.site.run("orders")["point"]
        seen[last] = expected
        self.assertTrue(self.certificate_of(last, "trail")["base"])
        self.assertLess(self.certificate_of(last, "trail")["bytes_sent"], 100_000)
        for point, was in seen.items():
            self.assert_kept(point, was)
        self.assert_only_points_are_left(seen)
        self.assertEqual({self.pair.state(node) for node in self.pair.of_node}, {"active", "standby"})
        self.assert_roles_are_told()
        return done

    @phase("pin")
    def test_a_source_whose_active_namenode_is_killed_between_arming_and_pin_is_backed_up_by_the_same_command(self):
        self.begin("pull")
        self.killed(lambda: self.dies_at("north-snapshot", "arm-done.after"))

    @phase("transfer")
    def test_a_target_whose_active_namenode_is_killed_in_the_middle_of_a_file_is_filled_by_the_same_attempt(self):
        self.begin()
        self.assertEqual(self.killed(self.in_the_middle("died", self.pair.kill_the_active))["attempts"], 1)

    @phase("seal")
    def test_a_target_whose_active_namenode_is_killed_before_the_points_snapshot_seals_the_same_attempt(self):
        self.begin()
        self.assertEqual(self.killed(lambda: self.dies_at("south-transfer", "hdfs.before_point"))["attempts"], 1)

    @unittest.skipUnless(FULL, "the death of the active one, the harder case, is in the short tier")
    def test_a_target_whose_namenodes_change_by_plan_or_are_in_safe_mode_in_the_middle_takes_the_same_attempt(self):
        self.begin()

        def safe_mode():
            self.pair.safe_mode("enter")
            time.sleep(3)
            self.pair.safe_mode("leave")
        seen = {}
        for name, disturb in (("planned", self.pair.fail_over), ("safe", safe_mode)):
            done, expected = self.backed_up(name, self.in_the_middle(name, disturb))
            self.assertEqual(done["attempts"], 1)
            seen[done["point"]] = expected
        self.pair.fail_over()   # between two runs
        self.source().put(self.path + "/late", b"late")
        expected = shown(self.source(), self.path)
        seen[self.site.run("orders")["point"]] = expected
        for point, was in seen.items():
            self.assert_kept(point, was)
        self.assert_only_points_are_left(seen)

    @unittest.skipUnless(FULL, "the client's unit test has the same without processes")
    def test_with_no_active_namenode_the_run_fails_with_the_answer_of_each_and_the_next_is_whole(self):
        self.begin()
        self.source().put(self.path + "/first", b"first")
        active = self.pair.active()
        self.pair.admin("-transitionToStandby", active)
        self.site.apply(POLICY.format(mode="push", path=self.path, to=self.to) + "attempts: 1\ndeadline: 50s\n")
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        told = refused.stdout + refused.stderr
        for _, http in self.pair.of_node.values():
            self.assertRegex(told, rf"127.0.0.1:{http}: StandbyException")
        south = next(one for one in self.site.json("client")["clusters"] if one["name"] == "south")
        self.assertEqual(south["health"], "failed")
        self.assertIn("no NameNode is active", south["reason"])
        self.pair.admin("-transitionToActive", active)
        expected = shown(self.source(), self.path)
        point = self.site.run("orders")["point"]
        self.assert_kept(point, expected)
        self.assert_only_points_are_left([point])


if __name__ == "__main__":
    print(f"LOCKSTEP_SEED={SEED}", flush=True)
    unittest.main()
