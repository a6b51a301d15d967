"""The story that scripts/hadoop-demo tells. Standard library only; drives the programs in build/bin as a user would,
by the command line, and two real Hadoop clusters."""
import argparse
import os
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(HERE, folder) for folder in ("scripts", "tests/integration/hadoop", "tests/compare")]
from quickstart_story import LOCKSTEP, Failed, Site, back_up, say  # noqa: E402

POLICY = """service: orders
mode: {mode}
consistency: fenced
max_skew: 2s
data_sets:
  - {{name: invoices, component: files, path: {home}/invoices, fence: {{hook: orders-pause}}}}
  - {{name: documents, component: hdfs, path: /orders/documents, allow_snapshot: true, refers_to: [invoices],
     fence: {{hook: orders-pause}}, to: {{path: /standby/documents}}}}
  - {{name: lines, component: hbase, path: /orders/lines, refers_to: [documents], fence: {{hook: orders-pause}}}}
  - {{name: ledger, component: sqlite, path: {home}/ledger.db, refers_to: [lines]}}
retention: {{last: 24}}
"""


class Clusters:
    """HDFS and HBase, twice, in a directory that goes with the rest."""

    def __init__(self, base):
        os.environ["LOCKSTEP_HADOOP_HOME"] = os.path.join(base, "hadoop")
        kept = os.path.join(base, "hadoop-ports")
        if os.path.exists(kept):
            with open(kept, encoding="utf-8") as handle:
                os.environ["LOCKSTEP_HADOOP_PORTS"] = handle.read()
        else:
            os.environ.setdefault("LOCKSTEP_HADOOP_PORTS", self.ask("ports"))
        import hadoop  # pylint: disable=import-outside-toplevel; reads the environment
        import ledger  # pylint: disable=import-outside-toplevel
        from lockstep_yaml import name_clusters  # pylint: disable=import-outside-toplevel
        from hdfs_tree import Hdfs  # pylint: disable=import-outside-toplevel
        from tables import Tables  # pylint: disable=import-outside-toplevel
        self.kept, self.ledger, self.hdfs, self.tables = kept, ledger, Hdfs, Tables
        self.name_clusters = name_clusters
        self.north, self.south = hadoop.Cluster("north"), hadoop.Cluster("south")

    @staticmethod
    def ask(*words):
        done = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "tests/integration/hadoop/hadoop.py"), *words],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return done.stdout.strip()

    def start(self):
        with open(self.kept, "w", encoding="utf-8") as handle:
            handle.write(os.environ["LOCKSTEP_HADOOP_PORTS"])
        began = time.monotonic()
        self.ask("start")
        self.ask("hbase")
        say(f"Two Hadoop clusters run, HDFS, ZooKeeper and HBase each ({time.monotonic() - began:.0f} s).")

    def stop(self):
        for cluster in (self.north, self.south):
            cluster.stop()

    def configure(self, path):
        self.name_clusters(path, (self.north, self.south), with_hbase=True)


def told(found):
    counts = ", ".join(f"{count} {name}s" for name, count in found.items() if name not in ("violations", "problems"))
    say(f"  checked: {counts}: {found['violations']} causal violations")
    return found["violations"]


def restore_and_check(site, clusters, tables, point, mode):
    """Every data set in its own kind, read by clients that know nothing of Lockstep."""
    if not site.lockstep("verify", point["id"])["ok"]:
        raise Failed("the point does not verify")
    say("  verified: every byte read again, the digests are those of its certificate")
    to = os.path.join(site.base, "restored", mode)
    site.lockstep("restore", point["id"], "--to", to, "--set", "invoices")
    site.lockstep("restore", point["id"], "--to", to, "--set", "ledger")
    site.lockstep("restore", point["id"], "--to", f"/restored/{mode}", "--set", "documents")
    site.lockstep("restore", point["id"], "--to", f"/restored_{mode}", "--set", "lines")
    say(f"  restored to {to}, and in south to HDFS's /restored/{mode} and HBase's namespace restored_{mode}")
    hdfs = clusters.hdfs(clusters.south.url)
    try:
        return told(clusters.ledger.check(to + "/invoices", hdfs, f"/restored/{mode}/documents", tables,
                                          f"restored_{mode}:lines.orders.lines", to + "/ledger", "/orders/documents"))
    finally:
        hdfs.close()


def naive(site, clusters, tables, home):
    """What one does without Lockstep: one after the other, and what is referred to first."""
    to = os.path.join(site.base, "naive")
    clusters.ledger.copy_living(home + "/invoices", to + "/invoices")
    done = clusters.north.hdfs("-cp", "/orders/documents", "/naive", capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1: a file went while it was copied
        raise Failed(done.stderr)
    tables.ask("copy", "orders:lines", "orders:naive")
    source, target = sqlite3.connect(home + "/ledger.db", timeout=60), sqlite3.connect(to + "/ledger.db")
    source.backup(target)
    target.execute("PRAGMA journal_mode=DELETE")
    target.close()
    source.close()
    hdfs = clusters.hdfs(clusters.north.url)
    try:
        found = clusters.ledger.check(to + "/invoices", hdfs, "/naive", tables, "orders:naive", to + "/ledger.db",
                                      "/orders/documents")
    finally:
        hdfs.close()
    told(found)
    for problem in found["problems"][:3]:
        say(f"    {problem}")
    return found["violations"]


def story(site, clusters):
    home, control = os.path.join(site.base, "north/orders"), f"/tmp/lockstep-orders-{os.getpid()}.sock"
    os.makedirs(home + "/invoices")
    tables = {cluster.name: clusters.tables(cluster) for cluster in (clusters.north, clusters.south)}
    tables["north"].ask("create", "orders:lines", 4)
    os.makedirs(os.path.join(site.base, "hooks"), exist_ok=True)
    clusters.ledger.hook(os.path.join(site.base, "hooks/orders-pause"), control)
    orders = clusters.ledger.Ledger(home + "/invoices", home + "/ledger.db", clusters.north.url, "/orders/documents",
                                    tables["north"], "orders:lines", control)
    try:
        say("An order service writes: four workers, each an invoice file, then a document in HDFS, then the row of")
        say("HBase that refers to the document, then the row of SQLite that refers to that row; and removes them again")
        say("the other way round, without a pause.")
        deadline = time.monotonic() + 60
        while orders.steps < 400 and time.monotonic() < deadline and not orders.failures:
            time.sleep(0.1)
        violations = 0
        for mode in ("push", "pull"):
            say(f"\nBacking up north to south by {mode}, at one moment, while it writes:")
            site.apply("orders", POLICY.format(mode=mode, home=home))
            violations += restore_and_check(site, clusters, tables["south"], back_up(site, "orders"), mode)
        say("\nThe naive way beside it: copy the files, then HDFS by its shell, then HBase by a snapshot, then the database:")
        without = naive(site, clusters, tables["north"], home)
        say(f"\nThe order service did {orders.stop()} steps meanwhile.")
        return violations == 0 and without > 0
    finally:
        orders.stopping.set()
        orders.gate.reopen()
        for one in tables.values():
            one.close()
        if os.path.exists(control):
            os.unlink(control)


def main():
    parser = argparse.ArgumentParser(prog="scripts/hadoop-demo")
    parser.add_argument("--base", help=argparse.SUPPRESS)
    parser.add_argument("--dir")
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    site = Site(os.path.abspath(options.dir or options.base))
    if os.path.exists(site.base) and os.listdir(site.base) and not os.path.exists(site.base + "/hadoop-ports"):
        raise Failed(f"{site.base} is not empty and is no demo of before; name another --dir")
    if os.path.exists(site.base + "/hadoop-ports"):
        Clusters(site.base).stop()
    site.clean()
    if options.clean:
        say(f"{site.base} is removed")
        return 0
    os.makedirs(site.base)
    clusters = Clusters(site.base)
    try:
        clusters.start()
        subprocess.run([LOCKSTEP, "init", site.base, "--local"], check=True, capture_output=True)
        clusters.configure(site.config)
        subprocess.run([LOCKSTEP, "up", "-c", site.config, "--detach"], check=True, capture_output=True)
        site.up = True
        good = story(site, clusters)
    finally:
        site.stop()
        clusters.stop()
    say(f"\nNothing is left running. Logs: {site.base}/var/log, {site.base}/hadoop/*/log. Remove it all:"
        f" scripts/hadoop-demo --clean{' --dir ' + site.base if options.dir else ''}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"hadoop-demo: {failure}", file=sys.stderr)
        sys.exit(1)
