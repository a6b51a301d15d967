"""A site whose services are processes of the test, not of `lockstep up`: each may be killed, stopped,
given an environment of its own, and is started again by the test."""
import os
import signal
import subprocess
import time

import yaml

from harness import BIN, Site


def party_programs(config):
    """Name and program of every service of a lockstep.yaml, agents before the control device."""
    with open(config, encoding="utf-8") as handle:
        site = yaml.safe_load(handle)
    out = {}
    for cluster in site["clusters"].values():
        for name, agent in cluster["agents"].items():
            out[name] = agent["role"]
    return {**out, **{name: name for name in site["control"]}}


class ByHand(Site):
    def __init__(self, north, south):
        super().__init__(north, south)
        self.programs = {name: program for name, program in party_programs(self.config).items()
                         if os.path.exists(os.path.join(BIN, "lockstep-" + program))}
        self.services = {}
        for directory in ("log", "run"):
            os.makedirs(os.path.join(self.base, "var", directory), mode=0o700, exist_ok=True)

    def command(self, name):
        return [os.path.join(BIN, "lockstep-" + self.programs[name]), "--config", self.config, "--name", name]

    def environment_of(self, name):  # pylint: disable=unused-argument
        return dict(os.environ)

    def log(self, name):
        return os.path.join(self.base, "var/log", name + ".log")

    def start(self, name):
        with open(self.log(name), "a", encoding="utf-8") as log:
            self.services[name] = subprocess.Popen(self.command(name), stdout=log, stderr=log,
                                                   env=self.environment_of(name))

    def up(self):
        for name in self.programs:
            self.start(name)
        self.wait_until_reachable()
        return self

    def wait_until_reachable(self, seconds=90):
        deadline = time.monotonic() + seconds
        while True:
            done = self.cli("status", "--json", ok=None)
            if done.returncode == 0 and '"reachable":false' not in done.stdout.replace(" ", ""):
                return
            if time.monotonic() > deadline:
                raise AssertionError("not every service answers\n" + done.stdout + done.stderr + self.logs())
            time.sleep(0.2)

    def start_the_dead(self):
        """Starts again what has ended: [(name, exit status)]."""
        ended = [(name, service.poll()) for name, service in self.services.items() if service.poll() is not None]
        for name, _ in ended:
            self.start(name)
        return ended

    def down(self):
        for service in self.services.values():
            if service.poll() is None:
                service.send_signal(signal.SIGCONT)
                service.terminate()
        for service in self.services.values():
            try:
                service.wait(30)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait(30)
        self.services = {}
