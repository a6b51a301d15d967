"""The cases of Hadoop: Lockstep beside DistCp between two real HDFS clusters (docs/hadoop.md). DistCp runs with the local
job runner, in one process with threads, but for the case of YARN, whose start adds about ten seconds to each job."""
import atexit
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from contest import Contestant, tell
from figures import bound, ratio, result
from world import ROOT, BenchSite

sys.path[:0] = [os.path.join(ROOT, folder) for folder in ("tests/integration/hadoop", "tests/compare")]
PRESERVED = "-prbugpaxt"


class Clusters:
    """North and south, started when a case first wants them, gone at the end whatever happens."""

    made = None

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="lockstep-bench-hadoop-", dir="/var/tmp")
        os.environ["LOCKSTEP_HADOOP_HOME"] = self.home
        program = os.path.join(ROOT, "tests/integration/hadoop/hadoop.py")
        os.environ["LOCKSTEP_HADOOP_PORTS"] = subprocess.run([program, "ports"], check=True, capture_output=True, text=True).stdout.strip()
        import hadoop  # pylint: disable=import-outside-toplevel; reads the environment
        import hdfs_tree  # pylint: disable=import-outside-toplevel
        import lockstep_yaml  # pylint: disable=import-outside-toplevel
        import trees  # pylint: disable=import-outside-toplevel
        self.tree, self.hadoop, self.trees, self.lockstep_yaml = hdfs_tree, hadoop, trees, lockstep_yaml
        self.north, self.south = hadoop.Cluster("north"), hadoop.Cluster("south")
        atexit.register(self.close)
        self.bring_up("start")
        self.site = None

    @classmethod
    def get(cls):
        cls.made = cls.made or cls()
        return cls.made

    def close(self):
        for cluster in (self.north, self.south):
            cluster.wipe()
        shutil.rmtree(self.home, ignore_errors=True)

    def new_site(self, world, **engines):
        site = BenchSite(world, world.disk("north", "ext4", size=1 << 28), world.disk("south", "ext4", size=1 << 28))
        self.lockstep_yaml.name_clusters(site.config, (self.north, self.south), **engines)
        site.up()
        return site

    def bring_up(self, part):
        self.hadoop.bring_up((self.north, self.south), part)

    def site_of(self, world):
        self.site = self.site or self.new_site(world)
        return self.site

    def client(self, name):
        return self.tree.Hdfs(getattr(self, name).url)

    def drop_copy(self, path, *snapshottable):
        """Of a round before: those of 10 GiB would fill the disk."""
        hdfs = self.client("south")
        hdfs.remove_with_snapshots(path, *snapshottable)
        hdfs.close()

    def shown(self, name, path):
        """All that is there, by a reader that is none of Lockstep's."""
        reader = self.trees.Trees(getattr(self, name))
        try:
            return reader.read(path)
        finally:
            reader.close()


class Lockstep(Contestant):
    """`fresh`: a service and a target of its own for each round. `engine`: who carries a first copy."""

    def __init__(self, clusters, site, source, fresh, engine=None):
        super().__init__("lockstep" + (f", engine: {engine}" if engine else ""), ["lockstep run SERVICE --wait"])
        self.clusters, self.site, self.source, self.fresh = clusters, site, source, fresh
        self.more = f", engine: {engine}" if engine else ""
        self.service = self.target = self.point = None

    def prepare(self, number):
        if self.service and not self.fresh:
            return
        if self.service:  # a source belongs to one service
            self.site.cli("policy", "remove", self.service)
            self.clusters.drop_copy(self.target, self.target)
        self.service = f"s{self.source.strip('/')}-{number}"
        self.target = f"/lockstep{self.source}-{number}"
        self.site.backup_of(self.service, self.source, "hdfs", f", allow_snapshot: true{self.more}, to: {{path: {self.target}}}")

    def act(self, number):
        self.point = self.site.run(self.service, timeout=3600)["point"]

    def processor_seconds(self):
        """Of the agents and services; the DataNodes' share is nobody's here."""
        return super().processor_seconds() + self.site.processor_seconds()

    def copy(self):
        return f"{self.target}/.snapshot/lockstep-point.{self.service}.data.{self.point}"


class DistCp(Contestant):
    """A snapshot, then a job from it; with `diff` what differs from the round before; on `yarn`, or in its own process."""

    def __init__(self, clusters, source, diff, yarn=False):
        words = f"-update -diff LAST NEXT {PRESERVED}" if diff else f"-update -delete {PRESERVED}"
        super().__init__("distcp (YARN)" if yarn else "distcp (local runner)", [f"hadoop distcp -m 4 {words} SOURCE TARGET"])
        self.clusters, self.source, self.diff, self.last, self.target = clusters, source, diff, None, None
        self.classpath = clusters.north.yarn_classpath() if yarn else clusters.south.classpath()
        self.north, self.south = clusters.client("north"), clusters.client("south")
        self.north.call("PUT", source, "ALLOWSNAPSHOT")

    def prepare(self, number):
        if self.target and not self.diff:
            self.clusters.drop_copy(self.target)
        if self.target is None or not self.diff:
            self.target = f"/distcp{self.source}-{number}"
            self.south.mkdir(os.path.dirname(self.target))

    def act(self, number):
        name = f"distcp-{number}"
        self.north.call("PUT", self.source, "CREATESNAPSHOT", snapshotname=name)
        source = f"hdfs://127.0.0.1:{self.clusters.north.rpc}{self.source}"
        if self.diff and self.last:
            words = ["-update", "-diff", self.last, name, PRESERVED, source]
        else:
            words = ["-update", "-delete", PRESERVED, f"{source}/.snapshot/{name}"]
        south = self.clusters.south
        done = subprocess.run(
            south.java(self.classpath, 1024, "org.apache.hadoop.tools.DistCp", "-m", "4", *words,
                       f"hdfs://127.0.0.1:{south.rpc}{self.target}"),
            env=south.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"distcp ended with {done.returncode}:\n{done.stderr[-3000:]}")
        if self.diff:
            self.south.call("PUT", self.target, "ALLOWSNAPSHOT")
            self.south.call("PUT", self.target, "CREATESNAPSHOT", snapshotname=name)
        self.last = name

    def copy(self):
        return self.target


def contest(clusters, contestants, rounds, source, change=None):
    """In turns, in another order each round. Both results are compared before a number is told."""
    for number in range(rounds):
        if change:
            change(number)
        for one in contestants[number % 2:] + contestants[:number % 2]:
            one.prepare(number)
            one.measured(number)
        tell(contestants)
    expected = clusters.shown("north", source)
    for one in contestants:
        if clusters.shown("south", one.copy()) != expected:
            raise SystemExit(f"{one.name}: the copy differs, no number is told")
        one.notes["compared"] = "equal"


def fill(clusters, source, files, size, folders=20):
    writer = clusters.trees.Trees(clusters.north)
    for i in range(files):
        writer.random(f"{source}/{i % folders}/file-{i}", size)
    writer.wait()
    writer.close()


def conditions(clusters):
    delay = "dfs.client.block.write.locateFollowingBlock.initial.delay.ms"
    with open(os.path.join(clusters.south.conf, "hdfs-site.xml"), encoding="utf-8") as handle:
        value = handle.read().partition(delay + "</name><value>")[2].partition("<")[0]
    return {"close_race_delay_ms": int(value), "distcp": "local job runner, 4 maps, no YARN", "load": os.getloadavg()}


def first_copy(plan, source, files, size, must, aim):
    clusters = Clusters.get()
    fill(clusters, source, files, size)
    everyone = [Lockstep(clusters, clusters.site_of(plan.world), source, True), DistCp(clusters, source, False)]
    contest(clusters, everyone, plan.rounds, source)
    return result(everyone, [ratio(*everyone, must, aim)], **conditions(clusters))


def hadoop_large(plan):
    """HDFS: 8 large files, first copy (1 GiB; quick 256 MiB, full 10 GiB)"""
    return first_copy(plan, "/large", 8, plan.pick(32, 128, 1280) << 20, plan.pick(1 / 5, 1 / 5, 1 / 3), 1 / 8)


def hadoop_distcp(plan):
    """HDFS: the same large files by `engine: distcp` beside DistCp on YARN itself; reported, it has no bound"""
    clusters, source = Clusters.get(), "/hauled"
    clusters.bring_up("yarn")
    fill(clusters, source, 8, plan.pick(32, 128, 1280) << 20)
    site = clusters.new_site(plan.world, distcp={})
    everyone = [Lockstep(clusters, site, source, True, "distcp"), DistCp(clusters, source, False, yarn=True)]
    contest(clusters, everyone, plan.rounds, source)
    site.down()
    return result(everyone, [], **{**conditions(clusters), "distcp": "YARN of the primary, 4 maps"})


def hadoop_skew(plan):
    """HDFS and HBase: the skew of pins of 2 directories and 2 tables"""
    from tables import Tables  # pylint: disable=import-outside-toplevel; it reads the clusters' settings
    clusters = Clusters.get()
    clusters.bring_up("hbase")
    hdfs, tables, sets = clusters.client("north"), Tables(clusters.north), ""
    for i in range(2):
        hdfs.put(f"/beside/{i}/file", b"x")
        tables.ask("create", f"skew:t{i}", 1)
        tables.ask("put", f"skew:t{i}", 0, 1000, 100)
        sets += (f"  - {{name: d{i}, component: hdfs, path: /beside/{i}, allow_snapshot: true, to: {{path: /besides/{i}}}}}\n"
                 f"  - {{name: t{i}, component: hbase, path: /skew/t{i}}}\n")
    tables.close()
    site = clusters.new_site(plan.world, with_hbase=True)
    site.apply("service: skew\nmode: push\nconsistency: bounded\nmax_skew: 1m\nretention: {last: 100}\ndata_sets:\n" + sets, name="skew")
    skews = []
    for _ in range(plan.pick(5, 20, 50)):
        point = site.run("skew")["point"]
        skews.append(next(one for one in site.json("points", "skew") if one["id"] == point)["skew_ns"] / 1e6)
    site.down()
    return result([], [bound("skew p50, ms", statistics.median(skews), 500, 300)], skew_ms=skews, **conditions(clusters))


def hadoop_small(plan):
    """HDFS: 5,000 files of 4 KiB, first copy (quick: 500)"""
    return first_copy(plan, "/small", plan.pick(500, 5000, 5000), 4096, 1 / 3, 1 / 6)


def change_some(hdfs, source, files, number):
    """50 files anew, others in each round, in all of the 20 folders of `fill`."""
    for i in range(50):
        at = (i + 100 * number) % files
        hdfs.put(f"{source}/{at % 20}/file-{at}", os.urandom(1024))


def set_first_apart(one):
    """The first round was the first copy, which is told and not counted."""
    one.notes["first_copy_seconds"] = one.samples.pop(0)
    one.processor.pop(0)


def hadoop_changes(plan):
    """HDFS: 50 changes in 10,000 entries, beside distcp -diff (quick: in 1,000; full: in 100,000)"""
    clusters, source, files = Clusters.get(), "/changes", plan.pick(1000, 10_000, 100_000)
    fill(clusters, source, files, 1024)
    hdfs = clusters.client("north")
    everyone = [Lockstep(clusters, clusters.site_of(plan.world), source, False), DistCp(clusters, source, True)]

    def change(number):
        if number:  # the first round is the first copy
            change_some(hdfs, source, files, number)
    contest(clusters, everyone, plan.rounds + 1, source, change)
    for one in everyone:
        set_first_apart(one)
    return result(everyone, [ratio(*everyone, 1 / 4, 1 / 8)], **conditions(clusters))


def hadoop_many(plan):
    """HDFS: 50 changes in 10,000 and in 100,000 entries, and the memory of each process (quick: 500 and 2,000)"""
    clusters, made, peaks = Clusters.get(), {}, {}
    for count in plan.pick((500, 2000), (2000, 20_000), (10_000, 100_000)):
        source = f"/many-{count}"
        fill(clusters, source, count, 1024)
        site = clusters.new_site(plan.world)  # processes of its own: peaks are of their lives
        one = Lockstep(clusters, site, source, False)
        one.name = f"lockstep, {count} entries"
        hdfs = clusters.client("north")
        for number in range(plan.rounds + 1):
            if number:
                change_some(hdfs, source, count, number)
            one.prepare(number)
            one.measured(number)
            tell([one])
        set_first_apart(one)
        if clusters.shown("north", source) != clusters.shown("south", one.copy()):
            raise SystemExit(f"{one.name}: the copy differs, no number is told")
        one.notes["compared"] = "equal"
        peaks[count], made[count] = site.peak_memory(), one
        one.notes["peak_memory_kib"] = peaks[count]
        site.down()
    few, many = sorted(made)
    bounds = [bound(f"time at {many} / at {few} entries", statistics.median(made[many].samples) / statistics.median(made[few].samples), 1.25, 1.1)]
    bounds += [bound(f"MiB, {name}, {count} entries", peaks[count][name] / 1024, 128, 64) for count in (few, many) for name in sorted(peaks[count])
               if "transfer" in name]
    return result(list(made.values()), bounds, **conditions(clusters))


def hadoop_pins(plan):
    """HDFS: the skew of pins of 4 directories"""
    clusters = Clusters.get()
    site, hdfs = clusters.site_of(plan.world), clusters.client("north")
    sets = ""
    for i in range(4):
        hdfs.put(f"/pins/{i}/file", b"x")
        sets += f"  - {{name: d{i}, component: hdfs, path: /pins/{i}, allow_snapshot: true, to: {{path: /pinned/{i}}}}}\n"
    site.apply("service: pins\nmode: push\nconsistency: bounded\nretention: {last: 100}\ndata_sets:\n" + sets, name="pins")
    skews = []
    for _ in range(plan.pick(10, 50, 100)):
        point = site.run("pins")["point"]
        skews.append(next(one for one in site.json("points", "pins") if one["id"] == point)["skew_ns"] / 1e6)
    p99 = sorted(skews)[max(0, -(-len(skews) * 99 // 100) - 1)]
    return result([], [bound("skew p99, ms", p99, 30, 15)], skew_ms=skews, skew_median_ms=statistics.median(skews),
                  **conditions(clusters))


def hadoop_promote(plan):
    """HDFS: a promotion of 10,000 files beside one of 100 (quick: 1,000; full: 100,000); reported, it has no bound"""
    clusters, everyone = Clusters.get(), []
    for count in (100, plan.pick(1000, 10_000, 100_000)):
        source, target = f"/promoted-{count}", f"/kept-{count}"
        fill(clusters, source, count, 1024)
        site = clusters.new_site(plan.world)      # all services of a site are promoted at once
        site.backup_of("data", source, "hdfs", f", allow_snapshot: true, to: {{path: {target}}}")
        one = Contestant(f"{count} files", ["lockstep promote south --yes"])
        everyone.append(one)
        for _ in range(plan.rounds):
            site.run("data")
            start = time.perf_counter()
            site.json("promote", "south", "--yes")
            one.samples.append(time.perf_counter() - start)
            if clusters.shown("south", target) != clusters.shown("north", source):
                raise SystemExit(f"{one.name}: what became live differs, no number is told")
            site.json("failback", "--stopped", "--yes")
        site.down()
    return result(everyone, [], **conditions(clusters))


CASES = {function.__name__.replace("_", "-"): function for function in
         (hadoop_large, hadoop_small, hadoop_changes, hadoop_many, hadoop_pins, hadoop_skew, hadoop_distcp, hadoop_promote)}
