#!/usr/bin/python3
"""The kill sweep of promotion, failback and switchover: every failpoint that an undisturbed one passed, killed once
in a promotion and once in a failback or a switchover of real processes, by push or by pull. The same command is
given until it has succeeded; docs/reliability.md says what is true then.

    LOCKSTEP_SEED=N            the same choice and the same data again
    LOCKSTEP_SWEEP=WORD,...    only the deaths whose line holds one of the words
    LOCKSTEP_TEST_FULL=1       all of them, not a sixth
"""
import os
import random
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "process")]
from by_hand import ByHand  # noqa: E402
from deaths import FULL, ONLY, SEED, asked_for, die, say, sweep_both_modes  # noqa: E402
from failpoints import Failpoints  # noqa: E402
from harness import Disks  # noqa: E402
from outbox import Watch  # noqa: E402
from reviver import Reviver  # noqa: E402
from role_changes import Roles, nothing  # noqa: E402
import client as protocol  # noqa: E402


class RoleSite(Failpoints, ByHand):
    def __init__(self, disks):
        super().__init__(disks.make("north", "btrfs"), disks.make("south", "btrfs"))
        self.prepare_failpoints()
        self.programs.pop("gateway", None)
        self.client = protocol.Client(self.config, "user")

    def ask(self, to, type_, body=None):
        return self.client.call(to, type_, body or {}, silence=0.5, timeout=60)

    def close(self):
        self.client.context.destroy(linger=0)
        super().close()


class Sweep:
    """One mode on one site; a site that a death has left wrong is replaced."""

    def __init__(self, mode):
        self.mode = mode
        self.disks = self.site = self.roles = self.reviver = self.watch = None

    def open(self):
        self.disks = Disks()
        self.site = RoleSite(self.disks)
        self.roles = Roles(self.site, self.disks, self.mode, f"{SEED}{self.mode}")
        self.roles.begin()
        self.watch = Watch(self.site.ask, list(self.site.programs))
        self.reviver = Reviver(self.site)
        self.reviver.start()

    def close(self):
        self.reviver.stop()
        self.site.close()
        self.disks.close()

    def place(self, service):
        """By the part that its cluster has in the act, and back."""
        for cluster, part in ((self.roles.now, "primary's "), (self.roles.other, "secondary's ")):
            if service.startswith(cluster + "-"):
                return part + service[len(cluster) + 1:]
            if service.startswith(part):
                return cluster + "-" + service[len(part):]
        return service

    def enumerate(self):
        """[(act, place of the service, failpoint, passings)]: a failback is preferred to a switchover."""
        deaths, found = [], set()
        for act in ("promotion", "failback", "switchover"):
            self.roles.prepare(act)
            passed = {}
            self.roles.changed = lambda: passed.update(  # pylint: disable=cell-var-from-loop
                {(self.place(service), name): count for (service, name), count in self.site.passed().items()})
            self.site.passed()
            self.roles.act(act, nothing)
            self.roles.changed = lambda: None
            for (place, failpoint), passings in sorted(passed.items()):
                key = (act == "promotion", place, failpoint)
                if key not in found:
                    found.add(key)
                    deaths.append((act, place, failpoint, passings))
        return deaths

    def kill(self, act, place, failpoint, passing):
        """Whether it died, and what is wrong."""
        self.roles.prepare(act)
        self.reviver.died.clear()
        service = self.place(place)
        self.site.arm_death(service, failpoint, passing)
        self.roles.act(act, nothing)
        met = self.site.death_was_met(service)
        self.site.disarm(service)
        problems = [f"{name} ended too, with {status}" for name, status in self.reviver.died if (name, status) != (service, -9)]
        return met, problems + self.watch.problems()

    def run(self, part):
        """`part`: which half of the deaths."""
        self.open()
        everything = self.enumerate()
        draw = random.Random(SEED)      # the same in both workers
        chosen = [(act, place, failpoint, draw.randint(1, passings)) for act, place, failpoint, passings in everything]
        draw.shuffle(chosen)
        if ONLY:
            chosen = asked_for(self.mode, chosen)
        else:
            chosen = chosen[part::2]
            chosen = chosen if FULL else chosen[:(len(chosen) + 5) // 6]
        # A promotion is followed by a failback, killed too where one is left.
        order = {name: [one for one in chosen if one[0] == name] for name in ("promotion", "failback", "switchover")}
        chosen = []
        while order["promotion"] or order["failback"]:
            chosen += [order[name].pop() for name in ("promotion", "failback") if order[name]]
        chosen += order["switchover"]
        say(f"{self.mode}: {len(everything)} failpoints of acts, {len(chosen)} deaths")
        failures, unmet = die(self, chosen)
        self.close()
        return {"failpoints": len(everything), "deaths": len(chosen), "unmet": unmet, "failures": failures}


@unittest.skipIf(os.geteuid() != 0, "needs root for loop devices and mounts")
class RoleSweep(unittest.TestCase):
    def test_whoever_dies_in_a_change_of_roles_it_ends_with_one_primary_and_no_write_lost(self):
        sweep_both_modes(self, lambda mode, part: Sweep(mode).run(part), lambda deaths: 2 + deaths // 10)


if __name__ == "__main__":
    unittest.main()
