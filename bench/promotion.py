"""How long a promotion takes, and that it does not depend on the size of what becomes live."""
import os
import time

import data
from contest import Lockstep
from figures import bound, result, where
from world import harness

SEVERAL = 10 << 10  # bytes of a file: 100,000 of them are 1 GB


class Promoted(Lockstep):
    """`lockstep promote south` of one data set whose newest point lies on `kind`; each round on a new secondary."""

    def __init__(self, name, world, kind, north, source):
        super().__init__(world, kind, north, source, fresh=True)
        self.name, self.commands, self.live = name, ["lockstep promote south --yes"], None

    def prepare(self, number):
        super().prepare(number)
        self.site.run("data")

    def act(self, number):
        self.live = self.site.json("promote", "south", "--yes")["services"][0]["sets"][0]["path"]

    def copy(self):
        return self.live


def promote(plan):
    """a promotion: many files beside few, btrfs; ext4 is reported (not in --full), for only copying gives a tree back there"""
    count, world = plan.pick(20_000, 100_000, 1_000_000), plan.world
    many = plan.made_once(f"promote-{count}", lambda path: data.plain_files(path, count, SEVERAL if count <= 100_000 else 1 << 10))
    few = plan.made_once("promote-100", lambda path: data.plain_files(path, 100, SEVERAL))
    everyone = [Promoted("100 files, btrfs", world, "btrfs", plan.primary(), few),
                Promoted(f"{count} files, btrfs", world, "btrfs", plan.primary(), many)]
    if count <= 100_000:    # two trees of a million files would want a disk of more memory than most machines have
        everyone.append(Promoted(f"{count} files, ext4", world, "ext4", plan.primary(), many))
    for number in range(plan.rounds):
        for one in everyone:
            one.prepare(number)
            world.settle()
            start = time.perf_counter()
            one.act(number)
            one.samples.append(time.perf_counter() - start)
            found = harness.tree_compare.compare(one.source, one.copy(), [".lockstep"])["differences"]
            if found:
                raise SystemExit(f"{one.name}: what became live differs, no number is told:\n" + "\n".join(found[:10]))
            one.release()
    little, much = (sorted(one.samples)[len(one.samples) // 2] for one in everyone[:2])
    return result(everyone, [bound(f"s for {count} files, btrfs", much, 2, 1), bound("the same / that of 100 files", much / little, 2, 1.2)],
                  files=count, bytes=sum(os.stat(path).st_size for path in data.regular_files(many)), **where(plan, "btrfs"))


CASES = {"promote": promote}
