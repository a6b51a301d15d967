"""Cases beside the kernel tree: large files, a database, many files, memory, pins, a death, a deletion."""
import datetime
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time

import data
from contest import Lockstep, Peer, contest, differences
from figures import bound, ratio, result, where
from world import harness, processes_of

WINDOW = 16 << 20  # what may be under way (docs/stream.md)


class RsyncDaemon(Peer):
    """rsync to a daemon of its own over the loopback."""

    def __init__(self, world, kind, source):
        super().__init__(world, "rsync to its daemon", kind, ["rsync -a {source}/ rsync://127.0.0.1:{port}/disk/copy/"],
                         source, fresh=True)
        self.daemon = self.port = self.config = None

    def words(self, command, number):
        return super().words(command.replace("{port}", str(self.port)), number)

    def prepare(self, number):
        super().prepare(number)
        self.port = harness.free_port()
        self.config = tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8")
        self.config.write(f"use chroot = yes\nuid = root\ngid = root\n[disk]\npath = {self.disk.path}\nread only = no\n")
        self.config.flush()
        self.daemon = subprocess.Popen(["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={self.port}",
                                        f"--config={self.config.name}"])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def release(self):
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(20)
            self.config.close()
            self.daemon = None
        super().release()


def first_curve(plan):
    """kernel tree, first copy, btrfs, over CURVE on TCP loopback"""
    source, world = plan.kernel(), plan.world
    everyone = [Lockstep(world, "btrfs", plan.primary(), source, fresh=True, curve=True), RsyncDaemon(world, "btrfs", source)]
    contest(world, everyone, plan.rounds, source)
    return result(everyone, [ratio(*everyone, 0.8, 0.6)], **where(plan, "btrfs"))


def large_first(plan):
    """large incompressible files, first copy, btrfs"""
    mib = plan.pick(512, 2048, 4096)
    source, world = plan.made_once("large", lambda path: data.large_files(path, mib)), plan.world
    ours = Lockstep(world, "btrfs", plan.primary(), source, fresh=True)
    peer = Peer(world, "cp -a", "btrfs", ["cp -a --reflink=never {source} {to}"], source, fresh=True)
    contest(world, [ours, peer], plan.rounds, source)
    speed = statistics.median(peer.samples) / statistics.median(ours.samples)
    return result([ours, peer], [bound("throughput, lockstep / cp -a", speed, 0.75, 0.9, at_least=True)], mib=mib,
                  **where(plan, "btrfs"))


def rounds_after_the_first(plan, ours, peer, source, between=None, database=False):
    """A first copy that is not counted, then the rounds; both on their own disks to the end."""
    try:
        contest(plan.world, [ours, peer], 1, source, database=database)
        for one in (ours, peer):
            one.samples.clear()
            one.processor.clear()
        contest(plan.world, [ours, peer], plan.rounds, source, between, first=1, database=database)
        ours.peaks()
    finally:
        if peer.disk is not None:
            peer.disk.close()
        if ours.site is not None:
            ours.close()


class LockstepOfDatabase(Lockstep):
    """Before it seals Lockstep has SQLite check the whole database, which no peer does: the same check of what was sealed,
    alone and from a cold cache, tells how much of the time that is."""

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.checks = []

    def release(self):
        if self.point is None:
            return super().release()
        path = self.copy()
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        while os.read(handle, 1 << 20):
            pass
        os.close(handle)
        found = sqlite3.connect(f"file:{path}?immutable=1", uri=True).execute("PRAGMA integrity_check").fetchall()
        self.checks.append(time.perf_counter() - start)
        if found != [("ok",)]:
            raise SystemExit(f"integrity_check: {found[:3]}")
        return super().release()


def database_changed(plan):
    """database, 1 % of its pages changed, btrfs; integrity_check apart"""
    mib = plan.pick(256, 1024, 2048)
    rows = {}
    source = plan.made_once("database", lambda path: rows.setdefault("count", data.database(path, mib)))
    ours = LockstepOfDatabase(plan.world, "btrfs", plan.primary(), source, fresh=False, component="sqlite")
    peer = Peer(plan.world, "rsync --inplace", "btrfs", ["rsync -a --inplace --no-whole-file {source} {to}"], source, fresh=False)
    rounds_after_the_first(plan, ours, peer, source, lambda number: data.change_database(source, rows["count"], 100, number),
                           database=True)
    check = statistics.median(ours.checks[1:])
    apart = (statistics.median(ours.samples) - check) / statistics.median(peer.samples)
    return result([ours, peer], [bound("(lockstep - integrity_check) / rsync --inplace", apart, 0.5, 0.1)], mib=mib,
                  integrity_check_seconds=ours.checks[1:], **where(plan, "btrfs"))


def many_unchanged(plan):
    """many small files, nothing changed, btrfs; and the memory of each process"""
    peaks, made = {}, {}
    counts = plan.pick((10_000, 50_000), (20_000, 200_000), (100_000, 1_000_000))
    for count in counts:
        # As many bytes in fewer files: what is in memory of the window is as much then.
        size = 200 * max(counts) // count
        source = plan.made_once(f"many-{count}", lambda path, count=count, size=size: data.plain_files(path, count, size))
        ours = Lockstep(plan.world, "btrfs", plan.primary(), source, fresh=False)
        peer = Peer(plan.world, "rsync -a", "btrfs", ["rsync -a {source}/ {to}"], source, fresh=False)
        rounds_after_the_first(plan, ours, peer, source)
        peaks[count], made[count] = ours.notes["peak_memory_kib"], [ours, peer]
    few, many = sorted(peaks)
    bounds = [ratio(*made[many], 0.3, 0.05)]
    for name in sorted(peaks[many]):
        bounds.append(bound(f"MiB, {name}, {many} files", peaks[many][name] / 1024, 128, 64))
    slope = max(peaks[many][name] / peaks[few].get(name, peaks[many][name]) for name in peaks[many])
    bounds.append(bound(f"memory at {many} / at {few} files, the worst", slope, 1.3, 1.1))
    return result(made[many], bounds, files=many, peaks={str(count): peak for count, peak in peaks.items()}, **where(plan, "btrfs"))


def instant(text):
    """RFC 3339 with up to nine digits -> seconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    since = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return since.timestamp() + float("0." + (fraction or "0"))


def pins(plan):
    """four sets of files on btrfs and a database, writers at full speed, fenced"""
    runs = plan.pick(10, 30, 100)
    world = plan.world
    site = world.site(plan.primary(), world.disk("south", "btrfs"))
    home = os.path.join(plan.primary().path, "pinned")
    ledgers = []
    try:
        for number in range(4):
            ledgers.append(harness.Ledger(os.path.join(home, str(number)), site, threads=1).start())
        each = "".join(f"'{harness.WRITER}' \"$1\" --control '{ledger.control}' || exit 1\n" for ledger in ledgers)
        site.hook("all-pause", each)
        sets = "".join(f"  - {{name: files{number}, component: files, path: {ledger.files}, fence: {{hook: all-pause}}}}\n"
                       for number, ledger in enumerate(ledgers))
        site.apply("service: pinned\nmode: push\nconsistency: fenced\nmax_skew: 2s\nretention: {last: 2}\ndata_sets:\n" + sets
                   + f"  - {{name: ledger, component: sqlite, path: {ledgers[0].db}, refers_to: [files0]}}\n", name="pinned")
        skews, held = [], []
        for _ in range(runs):
            with open(site.record(site.run("pinned")["point"]), encoding="utf-8") as handle:
                certificate = json.load(handle)["certificate"]
            skews.append(certificate["skew_ns"] / 1e6)
            held.append(max((instant(one["fence"]["lowered"]["acknowledged"]) - instant(one["fence"]["raised"]["requested"])) * 1e3
                            for one in certificate["sets"] if one["fence"]))
    finally:
        for ledger in ledgers:
            ledger.stop()
    skews.sort()
    held.sort()
    worst = held[min(len(held) - 1, int(len(held) * 0.99))]
    return {"contestants": {}, "runs": runs, "skew_ms": skews, "held_ms": held,
            "bounds": [bound("ms of skew, p50", statistics.median(skews), 20, 20),
                       bound("ms that writers were held, p99", worst, 200, 50)]}


def killed(plan):
    """the receiver killed at 25, 50 and 75 % of large files: bytes sent again"""
    mib = plan.pick(512, 1024, 4096)
    source, world = plan.made_once(f"killed-{mib}", lambda path: data.large_files(path, mib)), plan.world
    bounds, more = [], {}
    for percent in (25, 50, 75):
        ours = Lockstep(world, "btrfs", plan.primary(), source, fresh=True)
        ours.prepare(0)
        end = {}
        runner = threading.Thread(target=lambda ours=ours, end=end: end.update(ours.site.run("data")))
        runner.start()
        deadline = time.monotonic() + 300
        while arrived(ours.disk.path) < mib * (1 << 20) * percent // 100:
            if time.monotonic() > deadline or not runner.is_alive():
                raise SystemExit(f"it was over before {percent} % were there")
            time.sleep(0.005)
        os.kill(processes_of(ours.site.config)["south-transfer"], signal.SIGKILL)
        runner.join(600)
        ours.point = end["point"]
        found = differences(source, ours)
        if found:
            raise SystemExit("the copy differs, no number is told:\n" + "\n".join(found[:10]))
        with open(ours.site.record(ours.point), encoding="utf-8") as handle:
            again = json.load(handle)["certificate"]["sets"][0]["bytes_resent"]
        ours.close()
        more[str(percent)] = again
        bounds.append(bound(f"MiB sent again, killed at {percent} %", again / (1 << 20), WINDOW * 1.25 / (1 << 20), WINDOW / (1 << 20)))
    return {"contestants": {}, "bounds": bounds, "bytes_resent": more, "mib": mib, **where(plan, "btrfs")}


def arrived(path):
    """Bytes in the staging on this disk, written back or not."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            if name.startswith("large-"):
                try:
                    total += os.stat(os.path.join(directory, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


def deleted(plan):
    """a point of many files deleted, btrfs"""
    count = plan.pick(20_000, 100_000, 100_000)
    source, world = plan.made_once(f"deleted-{count}", lambda path: data.plain_files(path, count, 200)), plan.world
    ours = Lockstep(world, "btrfs", plan.primary(), source, fresh=False)
    ours.name, ours.commands = "point delete", ["lockstep point delete ID"]
    peer = Peer(world, "rm -rf", "btrfs", ["rm -rf {to}"], source, fresh=True)
    ours.prepare(0)
    points = [ours.site.run("data")["point"] for _ in range(plan.rounds + 1)]
    for number in range(plan.rounds):
        peer.prepare(number)
        subprocess.run(["cp", "-a", "--reflink=never", source, os.path.join(peer.disk.path, "copy")], check=True)
        world.settle()
        for one, act in ((ours, lambda number=number: ours.site.cli("point", "delete", points[number])),
                         (peer, lambda number=number: peer.act(number))):
            start = time.perf_counter()
            act()
            one.samples.append(time.perf_counter() - start)
        peer.release()
    left = [one["id"] for one in ours.site.json("points", "data")]
    if left != points[-1:]:
        raise SystemExit(f"{len(left)} points are left, no number is told")
    ours.point = points[-1]
    if differences(source, ours):
        raise SystemExit("the point that stays differs, no number is told")
    ours.close()
    return result([ours, peer], [ratio(ours, peer, 1.0, 0.2)], files=count, **where(plan, "btrfs"))


CASES = {function.__name__.replace("_", "-"): function for function in (
    first_curve, large_first, database_changed, many_unchanged, pins, killed, deleted)}
