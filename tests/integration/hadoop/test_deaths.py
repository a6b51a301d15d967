#!/usr/bin/python3
"""Who dies by SIGKILL during pin, transfer and seal of a run of HBase, HDFS, files and a database, and what holds afterwards.
The clusters run already: `hadoop.py start`, `hadoop.py hbase`, or `scripts/test hadoop`, which does all. Pairs of NameNodes
are test_ha.py's, jobs on YARN those of test_distcp.py and test_exportsnapshot.py.

    LOCKSTEP_SEED=N   the same choice of the phases, and of the clusters, that the short tier kills in"""
import contextlib
import json
import os
import random
import signal
import threading
import time
import unittest

from hbase_service import ROWS, HBaseService  # it finds the modules below
from service import StoppableSite
from hadoop import Failed
from harness import FULL
from hdfs_tree import Hdfs, shown

SEED = int(os.environ.get("LOCKSTEP_SEED") or random.randrange(1 << 30))
# Where a run is held while somebody dies: (who is stopped, at what).
PHASES = {"pin": [("north-snapshot", "arm-done.after"), ("north-snapshot", "pin-done.before")], "transfer": [("south-transfer", "stream-applied")],
          "seal": [("south-transfer", "hdfs.before_point"), ("south-transfer", "hdfs.point_made"), ("south-transfer", "hbase.seal.published")]}
AGENTS = ("north-snapshot", "north-transfer", "south-snapshot", "south-transfer")
OF_CLUSTERS = ("namenode", "datanode", "regionserver")


def deaths():
    """[(victim, phase, where)]: all of them; or each victim once, those of a cluster in one of the clusters (a DataNode in the
    one that has two: the other's HBase needs half a minute to come back)."""
    chance, out = random.Random(SEED), []
    victims = list(AGENTS)
    for name in OF_CLUSTERS:
        chosen = "south" if name == "datanode" else chance.choice(("north", "south"))
        victims += [(cluster, name) for cluster in (("north", "south") if FULL else (chosen,))]
    for victim in victims:
        for phase in PHASES if FULL else (chance.choice(list(PHASES)),):
            stops = PHASES[phase]
            out += [(victim, phase, stop) for stop in (stops if FULL else (chance.choice(stops),))]
    return out


class Deaths(HBaseService):
    kind_of_site = StoppableSite

    def setUp(self):
        super().setUp()
        self.hdfs = {name: Hdfs(cluster.url) for name, cluster in self.clusters.items()}
        for hdfs in self.hdfs.values():
            self.addCleanup(hdfs.close)
        self.watching, self.one_at_a_time = threading.Event(), threading.Lock()
        self.watcher = threading.Thread(target=self.watch)
        self.addCleanup(self.watcher.join)
        self.addCleanup(self.watching.set)
        self.addCleanup(self.wait_until_served)    # for who comes next
        self.watcher.start()

    # --- what the application does
    def write(self, number):
        self.north.ask("put", self.space + ":lines", (number + 2) * ROWS, 40, 1000)
        self.hdfs["north"].put(f"{self.path}/new-{number}", os.urandom(300_000))
        self.hdfs["north"].append(self.path + "/file", b"more")
        with open(os.path.join(self.site.north, "orders/invoices", str(number)), "w", encoding="utf-8") as handle:
            handle.write("invoice")

    # --- who dies
    def kill_victim(self, victim):
        if victim in AGENTS:
            self.site.services[victim].kill()
            self.site.services[victim].wait()
            return
        cluster, name = self.clusters[victim[0]], victim[1]
        if name == "datanode":    # one through which somebody writes or reads, where there is one
            name = (cluster.datanodes_with_clients() or cluster.datanodes)[0]
        with self.one_at_a_time:
            cluster.end(name, signal.SIGKILL)

    def watch(self):
        """As whoever watches over the processes of a cluster does: what is not there is started again."""
        while not self.watching.wait(1):
            for cluster in self.clusters.values():
                # Not while somebody is being killed: whose pid is recorded has to be who is meant.
                with self.one_at_a_time, contextlib.suppress(Failed):    # of what dies as it starts; it is started again
                    cluster.launch_hdfs()
                    if cluster.serves():
                        cluster.launch_hbase()    # it may have ended by itself while its HDFS was away

    def wait_until_served(self):
        """Both clusters answer, and have whom to give a region to."""
        deadline = time.monotonic() + 400
        self.assertTrue(self.watcher.is_alive(), "nobody starts again what died")
        for tables in (self.north, self.south):
            while True:
                try:
                    tables.ask("clear", self.space + "_again")
                    tables.ask("create", self.space + "_again:table", 1)
                    tables.ask("clear", self.space + "_again")
                    break
                except AssertionError as refused:
                    self.assertLess(time.monotonic(), deadline, refused)
                    time.sleep(1)

    def run_with_a_death(self, victim, stop):
        """The point; of the run after it where the run itself ended with a named reason."""
        service, failpoint = stop
        self.site.arm_stop(service, failpoint)
        try:
            status, out, error = self.outcome_disturbed(lambda: self.site.is_stopped(service), lambda: self.die(victim, service))
        finally:    # else the next death would be of another reason
            self.site.disarm(service)
            self.site.goes_on(service)
            self.site.start_the_dead()
        if status == 0:
            return json.loads(out)["point"]
        self.assertRegex(out + error, r"\[[a-z-]+\]", "it fails with a code")
        return self.site.run("orders")["point"]

    def die(self, victim, stopped):
        self.kill_victim(victim)
        self.site.goes_on(stopped)
        time.sleep(1)    # dead for a moment
        self.site.start_the_dead()
        if victim not in AGENTS:
            self.wait_until_served()

    # --- what has to hold
    def assert_nothing_left(self, points):
        self.wait_for_pins()
        self.nothing_staged()
        self.assert_not_staged(self.hdfs["south"], self.path)
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), self.expected_snapshots("lockstep-point", points))
        self.assertEqual(self.hdfs["south"].snapshots(self.path), sorted(f"lockstep-point.orders.trail.{point}" for point in points))
        self.wait_for_drops(self.hdfs["north"], self.path, 60)

    def test_whoever_dies_the_run_ends_the_next_point_is_whole_and_nothing_is_left(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        self.site.run("orders")
        for number, (victim, phase, stop) in enumerate(deaths()):
            said = f"{victim if victim in AGENTS else ' '.join(victim)} dies in the {phase}, at {stop[1]}"
            print(said, flush=True)
            with self.subTest(said):
                self.write(number)
                lines = self.seen(self.north, self.space)
                trail = shown(self.hdfs["north"], self.path)
                point = self.run_with_a_death(victim, stop)
                self.assert_point(point, lines)
                kept = f"{self.path}/.snapshot/lockstep-point.orders.trail.{point}"
                self.assertEqual(shown(self.hdfs["south"], kept), trail)
                self.assert_nothing_left([one["id"] for one in self.site.json("points", "orders")])


if __name__ == "__main__":
    print(f"LOCKSTEP_SEED={SEED}", flush=True)
    unittest.main()
