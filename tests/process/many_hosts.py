"""A site over several hosts: control device, two hosts of the primary with a snapshot-agent each, the
secondary, in network namespaces, by CURVE over TCP. The services are processes of the test."""
import os
import shutil
import subprocess
import tempfile

from by_hand import ByHand
from harness import BIN, LOCKSTEP

PARTIES = {  # party: (program, host, port)
    "policy": ("policy", "control", 7401), "scheduler": ("scheduler", "control", 7411),
    "north-files": ("snapshot-agent", "north-a", 7421), "north-databases": ("snapshot-agent", "north-b", 7421),
    "north-transfer": ("transfer-agent", "north-a", 7431),
    "south-snapshot": ("snapshot-agent", "south", 7421), "south-transfer": ("transfer-agent", "south", 7431)}


class ManyHosts(ByHand):
    """A site over the hosts; every service is started in its host's namespace. With `gateway` there is one on the
    control device's host, its page at 127.0.0.1:9480 there. `parties`: others than PARTIES."""

    def __init__(self, hosts, north, south, gateway=False, parties=None):  # pylint: disable=super-init-not-called
        self.hosts, self.north, self.south = hosts, north, south
        self.parties = {**(parties or PARTIES), **({"gateway": ("gateway", "control", 7441)} if gateway else {})}
        self.base = tempfile.mkdtemp(prefix="lockstep-hosts-")
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.environment, self.services = dict(os.environ), {}
        self.programs = {name: program for name, (program, _, _) in self.parties.items()}
        os.makedirs(os.path.join(self.base, "var/log"))

        def agents(cluster):
            out = ""
            for name, (program, host, port) in self.parties.items():
                if name.startswith(cluster):
                    at = f"tcp://{hosts.address(host)}:"
                    bulk = f', bulk: "{at}{port + 1}"' if program == "transfer-agent" else ""
                    out += f'      {name}: {{role: {program}, endpoint: "{at}{port}"{bulk}, events: "{at}{port + 2}"}}\n'
            return out

        here = f"tcp://{hosts.address('control')}:"
        also = {"gateway": f', feed: "{here}7444", http: "127.0.0.1:9480"'}
        control = "".join(f'  {name}: {{endpoint: "{here}{port}", events: "{here}{port + 2}"{also.get(name, "")}}}\n'
                          for name, (_, host, port) in self.parties.items() if host == "control")
        with open(self.config, "w", encoding="utf-8") as handle:
            handle.write(f"""lockstep: 1
site: hosts
state: var
keys: keys
first_promotion: 01936f3a-5b00-7000-8000-000000000001
control:
{control}clusters:
  north:
    root: {north}
    identity: primary
    agents:
{agents("north")}  south:
    root: {south}
    identity: secondary
    agents:
{agents("south")}""")
        subprocess.run([LOCKSTEP, "keys", "init", "-c", self.config], check=True, capture_output=True)

    def command(self, name):
        program, host, _ = self.parties[name]
        return self.hosts.inside(host, [os.path.join(BIN, "lockstep-" + program), "--config", self.config, "--name", name])

    def command_of(self, *words, config=True):
        return self.hosts.inside("control", super().command_of(*words, config=config))

    def close(self):
        self.down()
        shutil.rmtree(self.base, ignore_errors=True)
