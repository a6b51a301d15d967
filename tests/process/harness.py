"""What the process tests share: real sites of two clusters on real file systems, driven through the
command line as a user would, and cleaned away whatever happens."""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("LOCKSTEP_BIN", os.path.join(ROOT, "build/bin"))
LOCKSTEP = os.path.join(BIN, "lockstep")
WRITER = os.path.join(BIN, "ledger-writer")
FULL = os.environ.get("LOCKSTEP_TEST_FULL") == "1"
# Set by scripts/sanitized: the programs are then a sanitizer's, and write what it finds here.
SANITIZER_LOGS = os.environ.get("LOCKSTEP_SANITIZER_LOGS")
PYTHON = "/usr/bin/python3"
sys.path[:0] = [os.path.join(ROOT, "tests/compare"), os.path.join(ROOT, "tests/ledger"),
                os.path.join(ROOT, "tests/protocol")]
import check as ledger_check  # noqa: E402
import compare as tree_compare  # noqa: E402
import point as point_check  # noqa: E402


def free_ports(count):
    """TCP ports of this host that nobody holds now; no two of them are the same."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def free_port():
    return free_ports(1)[0]


# An inode for each block of ext4: the ledger's files are small, and a pin there is a copy of them all.
MKFS = {"btrfs": ["mkfs.btrfs", "-q"], "xfs": ["mkfs.xfs", "-q"], "ext4": ["mkfs.ext4", "-q", "-F", "-i", "4096"]}


class Disks:
    """File systems on loop devices in memory."""

    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="lockstep-test-", dir="/dev/shm")
        self.mounted = []

    def make(self, name, kind, size=(6 if FULL else 2) << 30, options=""):
        image, path = os.path.join(self.base, name + ".img"), os.path.join(self.base, name)
        with open(image, "wb") as handle:
            handle.truncate(size)
        subprocess.run([*MKFS[kind], image], check=True, capture_output=True)
        os.makedirs(path)
        subprocess.run(["mount", "-o", "loop" + ("," + options if options else ""), image, path], check=True)
        self.mounted.append(path)
        return path

    def close(self):
        for path in reversed(self.mounted):
            for _ in range(50):
                if subprocess.run(["umount", path], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(self.base, ignore_errors=True)


class Ledger:
    """The living order service of tests/ledger."""

    def __init__(self, home, site, add_only=False, threads=4):
        self.files, self.db = os.path.join(home, "invoices"), os.path.join(home, "ledger.db")
        self.control = os.path.join(tempfile.mkdtemp(prefix="lockstep-ledger-"), "control")
        os.makedirs(home, exist_ok=True)
        site.hook("orders-pause", f"exec '{WRITER}' \"$1\" --control '{self.control}'\n")
        self.command = [WRITER, "run", "--files", self.files, "--db", self.db, "--control", self.control,
                        "--threads", str(threads)] + (["--add-only", "--rate", "200"] if add_only else [])
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + 20
        while not (os.path.exists(self.control) and os.path.exists(self.db)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the ledger did not start: " + (self.process.stdout.read() or ""))
            time.sleep(0.02)
        time.sleep(0.5)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def last_words(self):
        """Why it is not running any more."""
        return "" if self.running() else f"the ledger ended ({self.process.returncode}): {self.process.stdout.read()}"

    def stop(self):
        if self.process is None:
            return
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=90)
        self.process = None
        shutil.rmtree(os.path.dirname(self.control), ignore_errors=True)


class Site:
    """A one-machine site in `base`, with the clusters' roots on `north` and `south`."""

    def __init__(self, north, south):
        self.base = tempfile.mkdtemp(prefix="lockstep-site-")
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.north, self.south = os.path.join(self.base, "north"), os.path.join(self.base, "south")
        for link, target in ((self.north, north), (self.south, south)):
            os.makedirs(link)
            subprocess.run(["mount", "--bind", target, link], check=True)
        self.environment = dict(os.environ)
        self.cli("init", self.base, "--local", config=False)

    def command_of(self, *words, config=True):
        return [LOCKSTEP, *map(str, words)] + (["-c", self.config] if config else [])

    def cli(self, *words, config=True, ok=(0,), timeout=300):
        command = self.command_of(*words, config=config)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                              env=self.environment)
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"`{' '.join(command)}` ended with {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 + self.logs(12))
        return done

    def json(self, *words, **options):
        return json.loads(self.cli(*words, "--json", **options).stdout)

    def hook(self, name, body):
        os.makedirs(os.path.join(self.base, "hooks"), exist_ok=True)
        path = os.path.join(self.base, "hooks", name)
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("#!/bin/sh\n" + body)
        os.chmod(path, 0o755)

    def up(self):
        self.cli("up", "--detach")
        return self

    def down(self):
        self.cli("down", ok=None)

    def apply(self, text, ok=(0,), name="policy"):
        path = os.path.join(self.base, name + ".yaml")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
        return self.cli("policy", "apply", path, ok=ok)

    def run(self, service, *words, **options):
        return self.json("run", service, "--wait", *words, **options)

    def record(self, point):
        found = glob.glob(os.path.join(self.south, ".lockstep/points/*", point + ".json"))
        assert len(found) == 1, found
        return found[0]

    def records(self):
        return sorted(glob.glob(os.path.join(self.south, ".lockstep/points/*/*.json")))

    def logs(self, lines=40):
        out = []
        for path in sorted(glob.glob(os.path.join(self.base, "var/log/*"))):
            with open(path, encoding="utf-8", errors="replace") as handle:
                out += [f"--- {os.path.basename(path)}\n", *handle.readlines()[-lines:]]
        return "".join(out)

    def close(self):
        self.down()
        for path in (self.north, self.south):
            subprocess.run(["umount", "-l", path], check=False, capture_output=True)
        shutil.rmtree(self.base, ignore_errors=True)


class TellsTime(unittest.TextTestResult):
    """Tells at the end which tests took long: by this the short tier is kept short."""

    LONG = 15

    def __init__(self, *words, **more):
        super().__init__(*words, **more)
        self.began, self.long = 0.0, []

    def startTest(self, test):  # pylint: disable=invalid-name
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):  # pylint: disable=invalid-name
        super().stopTest(test)
        took = time.monotonic() - self.began
        if took > self.LONG:
            self.long.append((took, test.id().split(".")[-1]))

    def stopTestRun(self):  # pylint: disable=invalid-name
        super().stopTestRun()
        for took, name in sorted(self.long, reverse=True):
            self.stream.writeln(f" {took:.0f} s: {name}")


unittest.TextTestRunner.resultclass = TellsTime


class SiteTest(unittest.TestCase):
    """One site for each test. `north_fs` and `south_fs` name the file systems."""
    north_fs = south_fs = "btrfs"
    kind_of_site = Site

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for loop devices and mounts")

    def setUp(self):
        self.addCleanup(self.assert_no_sanitizer_reports, self.sanitizer_reports())
        self.disks = Disks()
        self.addCleanup(self.disks.close)
        self.site = self.kind_of_site(self.disks.make("north", self.north_fs), self.disks.make("south", self.south_fs))
        self.addCleanup(self.site.close)

    @staticmethod
    def sanitizer_reports():
        found = glob.glob(os.path.join(SANITIZER_LOGS, "report*")) if SANITIZER_LOGS else []
        return {path for path in found if os.path.getsize(path) > 0}

    def assert_no_sanitizer_reports(self, before):
        """Of any process that this test started, however it ended; scripts/sanitized prints them."""
        self.assertEqual(self.sanitizer_reports() - before, set(), "a sanitizer found something")

    # What every backup that a test makes has to pass.
    def assert_point_is_as_it_says(self, point):
        _, problems = point_check.check_record(self.site.record(point), True)
        self.assertEqual(problems, [])

    def assert_same_tree(self, left, right, **options):
        found = tree_compare.compare(left, right, [".lockstep"], **options)
        self.assertEqual(found["differences"], [])

    def restore(self, point):
        to = tempfile.mkdtemp(prefix="restored-", dir=self.disks.base)
        where = os.path.join(to, "set")
        self.site.json("restore", point, "--to", where)
        return where

    def assert_nothing_is_left(self, services=("orders",)):
        """Pins only under a hold, no staging, no fence."""
        holds = self.site.json("holds")
        held = {(hold["service"], hold["set"], hold["run"]) for hold in holds}
        found = set()
        for pins in glob.glob(os.path.join(self.site.north, "**/.lockstep/pins"), recursive=True):
            for path in glob.glob(os.path.join(pins, "*/*/*")):
                service, name, run = path.split(os.sep)[-3:]
                found.add((service, name, run.split(".")[0]))
        self.assertEqual(found - held, set(), "pins without a hold")
        staging = [path for path in glob.glob(os.path.join(self.site.south, "**/.lockstep/staging/*/*/*"), recursive=True)]
        self.assertEqual(staging, [], "staging is left behind")
        return services
