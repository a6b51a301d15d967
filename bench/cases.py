"""The cases of the kernel tree, and the list of all cases: one for each row of docs/benchmarks.md."""
import os

import data
import promotion
import scale
from contest import XCP, Lockstep, Peer, contest
from figures import ratio, result, where
from scale import rounds_after_the_first


class Plan:
    """What the cases share: the primary's disk with the data on it, made when first asked for."""

    def __init__(self, world, rounds, size):
        self.world, self.rounds, self.size = world, rounds, size
        self.north = None
        self.made = {}

    def primary(self):
        if self.north is None:
            self.north = self.world.disk("north", "btrfs", size=16 << 30)
        return self.north

    def made_once(self, name, make):
        if name not in self.made:
            path = os.path.join(self.primary().path, name, "data")
            os.makedirs(os.path.dirname(path))
            make(path)
            self.made[name] = path
        return self.made[name]

    def kernel(self):
        return self.made_once("kernel", data.kernel_tree)

    def pick(self, quick, default, full):
        return {"quick": quick, "default": default, "full": full}[self.size]


def first_copy(plan, kind, cold=False):
    source, world = plan.kernel(), plan.world
    ours = Lockstep(world, kind, plan.primary(), source, fresh=True)
    rsync = Peer(world, "rsync -a", kind, ["rsync -a {source}/ {to}"], source, fresh=True)
    peers = [rsync, Peer(world, "cp -a", kind, ["cp -a --reflink=never {source} {to}"], source, fresh=True)]
    bounds = [(rsync, 0.65, 0.5)]
    if XCP:
        peers.append(Peer(world, "xcp", kind, ["{xcp} -w 2 --reflink never -r --no-progress {source} {to}"], source, fresh=True))
        peers[-1].leaves_out = (": mtime ", ": owner ")  # of directories; unless told, of owners
        bounds.append((peers[-1], 1.3, 1.0))
    everyone = [ours, *peers]
    contest(world, everyone, plan.rounds, source, cold=cold)
    return result(everyone, [] if cold else [ratio(ours, *one) for one in bounds], **where(plan, kind))


def first_btrfs(plan):
    """kernel tree, first copy, btrfs"""
    return first_copy(plan, "btrfs")


def first_btrfs_cold(plan):
    """kernel tree, first copy, btrfs, nothing of it in the cache (reported)"""
    return first_copy(plan, "btrfs", cold=True)


def first_ext4(plan):
    """kernel tree, first copy, ext4"""
    return first_copy(plan, "ext4")


def again(plan, kind, peer, must, aim, share=None):
    """Rounds after a first copy that is not counted; with `share`, 1/share of the files changes before each."""
    source, world = plan.kernel(), plan.world
    ours, theirs = Lockstep(world, kind, plan.primary(), source, fresh=False), peer(world, kind, source)
    rounds_after_the_first(plan, ours, theirs, source, (lambda number: data.change_files(source, share, number)) if share else None)
    return result([ours, theirs], [ratio(ours, theirs, must, aim)], **where(plan, kind))


def rsync_a(world, kind, source):
    return Peer(world, "rsync -a", kind, ["rsync -a {source}/ {to}"], source, fresh=False)


def rsync_link_dest(world, kind, source):
    return Peer(world, "rsync -a --link-dest", kind, ["rsync -a --link-dest={last} {source}/ {to}"], source,
                fresh=False, target="copy-{round}")


def unchanged_btrfs(plan):
    """nothing changed, btrfs"""
    return again(plan, "btrfs", rsync_a, 0.5, 0.15)


def unchanged_ext4(plan):
    """nothing changed, ext4"""
    return again(plan, "ext4", rsync_a, 1.0, 0.6)


def changed_btrfs(plan):
    """1 % of files changed, btrfs"""
    return again(plan, "btrfs", rsync_a, 0.6, 0.25, share=100)


def changed_ext4(plan):
    """1 % of files changed, ext4"""
    return again(plan, "ext4", rsync_link_dest, 0.3, 0.2, share=100)


CASES = {function.__name__.replace("_", "-"): function for function in (
    first_btrfs, first_btrfs_cold, first_ext4, unchanged_btrfs, unchanged_ext4, changed_btrfs, changed_ext4)} | scale.CASES | promotion.CASES
QUICK = ["first-btrfs", "first-ext4", "unchanged-btrfs", "unchanged-ext4", "changed-btrfs", "changed-ext4"]
