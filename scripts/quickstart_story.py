"""The story that scripts/quickstart tells. Standard library only; drives the programs in build/bin
as a user would, by the command line."""
import argparse
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOCKSTEP = os.path.join(HERE, "build/bin/lockstep")
WRITER = os.path.join(HERE, "build/bin/ledger-writer")
CHECK = os.path.join(HERE, "tests/ledger/check.py")
COMPARE = os.path.join(HERE, "tests/compare/compare.py")
PYTHON = "/usr/bin/python3"


class Failed(Exception):
    """What the story says when it cannot go on."""


def say(text=""):
    print(text, flush=True)


def run(*command, ok=(0,)):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode not in ok:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Site:
    """Two clusters on this machine, in one directory that can be thrown away as a whole."""

    def __init__(self, base):
        self.base = base
        self.config = os.path.join(base, "lockstep.yaml")
        self.up = False

    def clean(self):
        if os.path.exists(self.config):
            subprocess.run([LOCKSTEP, "down", "-c", self.config], capture_output=True, check=False)
        for name in ("north", "south"):
            path = os.path.join(self.base, name)
            if os.path.ismount(path):
                run("umount", path)
        shutil.rmtree(self.base, ignore_errors=True)

    def mount(self):
        """A btrfs for each cluster. Returns why not, where it may not."""
        if os.geteuid() != 0:
            return "not root"
        if not shutil.which("mkfs.btrfs"):
            return "no mkfs.btrfs"
        for name in ("north", "south"):
            image, path = os.path.join(self.base, name + ".btrfs"), os.path.join(self.base, name)
            with open(image, "wb") as handle:
                handle.truncate(4 << 30)
            os.makedirs(path)
            for command in (["mkfs.btrfs", "-q", image], ["mount", "-o", "loop", image, path]):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    for other in ("north", "south"):
                        if os.path.ismount(os.path.join(self.base, other)):
                            run("umount", os.path.join(self.base, other))
                        if os.path.exists(os.path.join(self.base, other + ".btrfs")):
                            os.unlink(os.path.join(self.base, other + ".btrfs"))
                    return (done.stderr.strip().splitlines() or ["mount failed"])[-1]
        return None

    def lockstep(self, *words, as_json=True):
        done = run(LOCKSTEP, *words, "-c", self.config, *(["--json"] if as_json else []))
        return json.loads(done.stdout) if as_json else done.stdout

    def start(self):
        run(LOCKSTEP, "init", self.base, "--local")
        run(LOCKSTEP, "up", "-c", self.config, "--detach")
        self.up = True

    def stop(self):
        if self.up:
            run(LOCKSTEP, "down", "-c", self.config)
            self.up = False

    def apply(self, name, text):
        path = os.path.join(self.base, name + ".yaml")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
        self.lockstep("policy", "apply", path, as_json=False)


def size(count):
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def describe(site, outcome, seconds):
    point = next(p for p in site.lockstep("points", outcome["service"]) if p["id"] == outcome["point"])
    say(f"  recovery point {point['id']}")
    say(f"  all data sets at {point['moment']}, skew {point['skew_ns'] / 1e6:.1f} ms; "
        f"{point['entries']} entries, {size(point['bytes'])}; {seconds:.1f} s from start to sealed")
    return point


def back_up(site, service):
    start = time.monotonic()
    outcome = site.lockstep("run", service, "--wait")
    outcome["service"] = service
    return describe(site, outcome, time.monotonic() - start)


def verify_and_restore(site, point, to):
    found = site.lockstep("verify", point["id"])
    if not found["ok"]:
        raise Failed(f"the point does not verify: {found}")
    say("  verified: every byte read again, the digests are those of its certificate")
    site.lockstep("restore", point["id"], "--to", to)
    say(f"  restored to {to}")


# ---- the living order service ------------------------------------------------------------------
def orders_policy(base, mode):
    return f"""service: orders
mode: {mode}
consistency: fenced
max_skew: 1s
data_sets:
  - {{name: invoices, component: files, path: {base}/north/orders/invoices, fence: {{hook: orders-pause}}}}
  - {{name: ledger, component: sqlite, path: {base}/north/orders/ledger.db, refers_to: [invoices]}}
retention: {{last: 24, daily: 7, weekly: 4}}
"""


class Orders:
    """The service itself: it writes without a pause and knows nothing of Lockstep but one hook."""

    def __init__(self, base):
        self.home = os.path.join(base, "north/orders")
        self.files, self.db = os.path.join(self.home, "invoices"), os.path.join(self.home, "ledger.db")
        self.control = f"/tmp/lockstep-orders-{os.getpid()}.sock"
        os.makedirs(self.home)
        hooks = os.path.join(base, "hooks")
        os.makedirs(hooks, exist_ok=True)
        hook = os.path.join(hooks, "orders-pause")
        with open(hook, "w", encoding="utf-8") as handle:
            handle.write("#!/bin/sh\n# Lockstep calls this with `pause` or `resume`.\n"
                         f"exec '{WRITER}' \"$1\" --control '{self.control}'\n")
        os.chmod(hook, 0o755)
        self.process = subprocess.Popen(
            [WRITER, "run", "--files", self.files, "--db", self.db, "--control", self.control, "--threads", "4"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0].strip()

    @staticmethod
    def violations(files, db):
        done = run(PYTHON, CHECK, "--files", files, "--db", db, "--json", ok=(0, 1))
        return json.loads(done.stdout)


def naive(orders, base):
    """What one does without Lockstep: copy the files, then the database by its own backup."""
    to = os.path.join(base, "naive")
    os.makedirs(to)
    subprocess.run(["cp", "-a", orders.files, os.path.join(to, "invoices")], capture_output=True, check=False)
    source = sqlite3.connect(orders.db, timeout=60)
    target = sqlite3.connect(os.path.join(to, "ledger.db"))
    source.backup(target)
    target.execute("PRAGMA journal_mode=DELETE")
    target.close()
    source.close()
    return orders.violations(os.path.join(to, "invoices"), os.path.join(to, "ledger.db"))


def orders_story(site):
    orders = Orders(site.base)
    try:
        site.start()
        say("An order service writes: four threads, each an invoice file and then the ledger row that")
        say("refers to it, then updates and deletes of both, without a pause.")
        time.sleep(2)
        found = {}
        for mode in ("push", "pull"):
            say(f"\nBacking up north to south by {mode}, at one moment, while it writes:")
            site.apply("orders", orders_policy(site.base, mode))
            point = back_up(site, "orders")
            to = os.path.join(site.base, "restored", mode)
            verify_and_restore(site, point, to)
            found[mode] = orders.violations(os.path.join(to, "invoices"), os.path.join(to, "ledger"))
            say(f"  checked: {found[mode]['invoices']} invoices, {found[mode]['rows']} ledger rows, "
                f"{found[mode]['violations']} causal violations")
        say("\nThe naive way beside it: copy the files, then the database by its own backup:")
        without = naive(orders, site.base)
        say(f"  checked: {without['invoices']} invoices, {without['rows']} ledger rows, "
            f"{without['violations']} causal violations, such as:")
        for problem in without["problems"][:2]:
            say(f"    {problem}")
        say(f"\nThe order service did {orders.stop()} meanwhile.")
        return not any(one["violations"] for one in found.values())
    finally:
        orders.stop()


# ---- the user's own data -----------------------------------------------------------------------
def is_database(path):
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    with open(path, "rb") as handle:
        return handle.read(16) == b"SQLite format 3\0"


def own_story(site, paths):
    sets, used = [], set()
    for path in map(os.path.abspath, paths):
        if not os.path.exists(path):
            raise Failed(f"{path} does not exist")
        database = is_database(path)
        if not database and not os.path.isdir(path):
            raise Failed(f"{path} is neither a directory nor an SQLite database")
        stem = "".join(c if c.isalnum() else "-" for c in os.path.basename(path).lower()).strip("-") or "data"
        name = next(n for n in [stem, *(f"{stem}-{i}" for i in range(2, 1000))] if n not in used)
        used.add(name)
        sets.append((name, "sqlite" if database else "files", path))
    site.start()
    # A database with a rollback journal can be pinned everywhere only if its writers may wait meanwhile.
    lines = "".join(f"  - {{name: {n}, component: {c}, path: {json.dumps(p)}"
                    + (", allow_writer_stall: true" if c == "sqlite" else "") + "}\n" for n, c, p in sets)
    # Nobody here knows how to hold the writers of these data sets: so their pins are only kept close.
    head = "service: mine\nmode: {}\nconsistency: bounded\nmax_skew: 30s\nmax_lateness: 5m\ndata_sets:\n"
    good = True
    for mode in ("push", "pull"):
        say(f"\nBacking up {len(sets)} data sets by {mode}:")
        site.apply("mine", head.format(mode) + lines)
        point = back_up(site, "mine")
        to = os.path.join(site.base, "restored", mode)
        verify_and_restore(site, point, to)
        for name, component, path in sets:
            restored = os.path.join(to, name)
            if component == "sqlite":
                db = sqlite3.connect(f"file:{restored}?immutable=1", uri=True)
                verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
                say(f"  {path}: integrity_check {verdict}")
                good = good and verdict == "ok"
            else:
                done = run(PYTHON, COMPARE, path, restored, "--no-holes", "--json", ok=(0, 1))
                differences = json.loads(done.stdout)["differences"]
                say(f"  {path}: {len(differences)} differences to what is there now"
                    + (" (written since, or a difference worth a report):" if differences else ""))
                for line in differences[:3]:
                    say(f"    {line}")
    say("\nBeside your data (or in it, at the top of a file system) a directory `.lockstep` holds the pins")
    say("that the next backup starts from. Nothing else was written there; you may delete it.")
    return good


def main():
    parser = argparse.ArgumentParser(prog="scripts/quickstart")
    parser.add_argument("--base", help=argparse.SUPPRESS)
    parser.add_argument("--dir")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--with", dest="paths", nargs="+", metavar="PATH")
    options = parser.parse_args()
    site = Site(os.path.abspath(options.dir or options.base))
    if os.path.exists(site.base) and not options.clean and not os.path.exists(site.config) and os.listdir(site.base):
        raise Failed(f"{site.base} is not empty and is no quickstart of before; name another --dir")
    site.clean()
    if options.clean:
        say(f"{site.base} is removed")
        return 0
    os.makedirs(site.base)
    why_not = "--plain was given" if options.plain else site.mount()
    say(f"A site of two clusters on this machine, in {site.base}: north (primary) and south (secondary),")
    say("each on a btrfs of its own through a loop device." if why_not is None else
        f"on the file system that lies there, without loop devices ({why_not}).")
    try:
        good = own_story(site, options.paths) if options.paths else orders_story(site)
    finally:
        site.stop()
    say(f"""
Nothing is left running. Where everything lies:
  configuration        {site.config}
  policies             {site.base}/*.yaml
  points and versions  {site.base}/south/.lockstep   (docs/point-format.md)
  restored copies      {site.base}/restored
  logs                 {site.base}/var/log
Go on with it:         build/bin/lockstep up -c {site.config} --detach
                       build/bin/lockstep points -c {site.config}
Remove it all:         scripts/quickstart --clean{' --dir ' + site.base if options.dir else ''}""")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"quickstart: {failure}", file=sys.stderr)
        sys.exit(1)
