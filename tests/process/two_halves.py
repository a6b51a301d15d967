"""A site of which one half can die: the control device with south, and north alone; and the order service of
tests/ledger, run in one of its clusters at a time."""
import os
import signal
import sqlite3
import subprocess
import tempfile
import time

from harness import LOCKSTEP, WRITER, Site

POLICY = """service: orders
mode: push
consistency: fenced
max_skew: 2s
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices, fence: {{hook: orders-pause}}}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db, refers_to: [invoices]}}
"""


class TwoHalves(Site):
    """The control device with south as one `up`, north as another, so that north alone can die."""

    def __init__(self, north, south, also_here=()):
        super().__init__(north, south)
        with open(self.config, encoding="utf-8") as handle:
            text = handle.read()
        self.north_config = os.path.join(self.base, "north.yaml")
        with open(self.north_config, "w", encoding="utf-8") as handle:
            handle.write(text.replace("state: var ", "state: var-north ")
                         + "here: [north-snapshot, north-transfer]\n")
        with open(self.config, "w", encoding="utf-8") as handle:
            here = ["policy", "scheduler", "health-monitor", *also_here, "south-snapshot", "south-transfer"]
            handle.write(text + f"here: [{', '.join(here)}]\n")
        self.north_up = None

    def start_north(self):
        log = os.path.join(self.base, "north-up.log")
        with open(log, "ab") as handle:
            self.north_up = subprocess.Popen([LOCKSTEP, "up", "-c", self.north_config], stdout=handle, stderr=handle,
                                             env={**os.environ})

    def kill_north(self):
        self.north_up.send_signal(signal.SIGKILL)      # its services die with it
        self.north_up.wait()
        self.north_up = None

    def wait_until(self, what, look, seconds=90):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if look():
                    return
            except AssertionError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for: {what}\n" + self.logs(25))
            time.sleep(0.2)

    def client(self):
        return self.json("client")

    def up(self):
        self.start_north()
        super().up()
        self.wait_until("the sites know each other", lambda: self.json("status")["clusters"][0]["identity"] == "primary")
        return self

    def close(self):
        if self.north_up is not None:
            self.north_up.terminate()
            self.north_up.wait(60)
        super().close()


class Service:
    """The order service as an operator runs it: in one cluster at a time, started and stopped by the site's hooks."""

    def __init__(self, site, tick=200, words=""):
        self.site, self.state = site, tempfile.mkdtemp(prefix="lockstep-service-")
        self.homes = {"north": os.path.join(site.north, "orders"), "south": os.path.join(site.south, "orders")}
        self.tick, self.words = tick, words
        script = os.path.join(self.state, "service")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(self.script())
        os.chmod(script, 0o755)
        self.run_it = script
        # A fence of an application that does not run has nothing to hold.
        site.hook("orders-pause", f"for c in north south; do\n  [ -S '{self.state}/'$c ] || continue\n"
                                  f"  '{WRITER}' \"$1\" --control '{self.state}/'$c || exit 1\ndone\n")
        site.hook("stop-writers", f"exec '{script}' stop \"$1\"\n")
        site.hook("start-writers", f"exec '{script}' start \"$1\"\n")

    def script(self):
        cases = "".join(f"  {name}) home='{home}' ;;\n" for name, home in self.homes.items())
        return (f"#!/bin/sh\nstate='{self.state}'\ncase $2 in\n{cases}esac\n"
                "pid=$state/$2.pid\nif [ \"$1\" = stop ]; then\n"
                "  [ -e $pid ] || exit 0\n  kill $(cat $pid) 2>/dev/null\n"
                "  while kill -0 $(cat $pid) 2>/dev/null; do sleep 0.05; done\n  rm -f $pid $state/$2\n  exit 0\nfi\n"
                "[ -e $pid ] && kill -0 $(cat $pid) 2>/dev/null && exit 0\n"     # a hook may be called again
                f"mkdir -p \"$home\"\n'{WRITER}' run --files $home/invoices --db $home/ledger.db --control $state/$2"
                f" --threads 2 --rate {self.tick} {self.words} </dev/null >>$state/log 2>&1 &\n"
                "echo $! > $pid\nfor i in $(seq 200); do [ -S $state/$2 ] && exit 0; sleep 0.05; done\nexit 1\n")

    def start(self, cluster):
        subprocess.run([self.run_it, "start", cluster], check=True)
        time.sleep(1)

    def stop(self, cluster):
        subprocess.run([self.run_it, "stop", cluster], check=True)

    def crash(self, cluster):
        with open(os.path.join(self.state, cluster + ".pid"), encoding="utf-8") as handle:
            os.kill(int(handle.read()), signal.SIGKILL)
        for name in (cluster + ".pid", cluster):
            os.unlink(os.path.join(self.state, name))

    def close(self):
        if not os.path.exists(self.run_it):
            return
        for cluster in self.homes:
            self.stop(cluster)
        subprocess.run(["rm", "-rf", self.state], check=True)

    def rows(self, cluster):
        with sqlite3.connect(f"file:{self.homes[cluster]}/ledger.db?mode=ro", uri=True) as db:
            return set(db.execute("SELECT worker, id, version FROM invoice"))
