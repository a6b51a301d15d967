#!/usr/bin/python3
"""Compares two trees (or two files) in everything: content, kind, mode, owner, times, size, symbolic
and hard links, holes, extended attributes and ACLs, devices. Independent of Lockstep: nothing of it
is used.

    compare.py LEFT RIGHT [--exclude NAME]... [--no-holes] [--json]

Exit status 0: equal; 1: they differ (each difference on a line); 2: one cannot be read.

Holes: a file that has a hole on the left of at least 64 KiB (the coarsest granularity of the file
systems in use) must have one there on the right, and the other way round.
Access times and inode change times are not compared: no program can set the latter.
"""
import argparse
import errno
import json
import os
import stat
import sys

KINDS = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}
CARRIED = ("user.", "trusted.", "security.", "system.posix_acl_")


def scan(root, exclude):
    """path (bytes, relative) -> stat, and the groups of hard links."""
    root = os.fsencode(root)
    found, links = {b"": os.lstat(root)}, {}
    stack = [b""] if stat.S_ISDIR(found[b""].st_mode) else []
    while stack:
        directory = stack.pop()
        for entry in os.scandir(os.path.join(root, directory) if directory else root):
            if entry.name in exclude:
                continue
            path = directory + b"/" + entry.name if directory else entry.name
            info = entry.stat(follow_symlinks=False)
            found[path] = info
            if stat.S_ISDIR(info.st_mode):
                stack.append(path)
            elif info.st_nlink > 1:
                links.setdefault((info.st_dev, info.st_ino), set()).add(path)
    groups = {path: frozenset(group) for group in links.values() if len(group) > 1 for path in group}
    return found, groups


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False)
                for name in names if name.startswith(CARRIED)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA):
            return {}
        raise


def holes(handle, size, at_least):
    out, at = set(), 0
    while at < size:
        try:
            data = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size
        if data > at:
            first, last = -(-at // at_least), data // at_least
            out.update(range(first, last))
        if data >= size:
            break
        at = os.lseek(handle, data, os.SEEK_HOLE)
    return out


def content_differs(left, right, size, with_holes):
    with open(left, "rb", buffering=0) as a, open(right, "rb", buffering=0) as b:
        at = 0
        while True:
            x, y = a.read(1 << 20), b.read(1 << 20)
            if x != y:
                offset = next((i for i in range(min(len(x), len(y))) if x[i] != y[i]), min(len(x), len(y)))
                return f"content differs at byte {at + offset}"
            if not x:
                break
            at += len(x)
        if with_holes and holes(a.fileno(), size, 65536) != holes(b.fileno(), size, 65536):
            return "holes differ"
    return None


def show(path):
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode() or "."


def compare(left, right, exclude=(), with_holes=True, database=False):
    exclude = {os.fsencode(name) for name in exclude}
    a, a_links = scan(left, exclude)
    b, b_links = scan(right, exclude)
    out = []

    def differ(path, what):
        out.append(f"{show(path)}: {what}")

    for path in sorted(a.keys() - b.keys()):
        differ(path, "only on the left")
    for path in sorted(b.keys() - a.keys()):
        differ(path, "only on the right")
    for path in sorted(a.keys() & b.keys()):
        x, y = a[path], b[path]
        here = os.path.join(os.fsencode(left), path) if path else os.fsencode(left)
        there = os.path.join(os.fsencode(right), path) if path else os.fsencode(right)
        if stat.S_IFMT(x.st_mode) != stat.S_IFMT(y.st_mode):
            differ(path, f"{KINDS[stat.S_IFMT(x.st_mode)]} against {KINDS[stat.S_IFMT(y.st_mode)]}")
            continue
        if not stat.S_ISLNK(x.st_mode) and stat.S_IMODE(x.st_mode) != stat.S_IMODE(y.st_mode):
            differ(path, f"mode {stat.S_IMODE(x.st_mode):o} against {stat.S_IMODE(y.st_mode):o}")
        if (x.st_uid, x.st_gid) != (y.st_uid, y.st_gid):
            differ(path, f"owner {x.st_uid}:{x.st_gid} against {y.st_uid}:{y.st_gid}")
        if x.st_mtime_ns != y.st_mtime_ns and not database:
            differ(path, f"mtime {x.st_mtime_ns} against {y.st_mtime_ns}")
        if xattrs(here) != xattrs(there):
            differ(path, f"xattrs {xattrs(here)} against {xattrs(there)}")
        if a_links.get(path, frozenset()) != b_links.get(path, frozenset()):
            differ(path, "hard links differ: " + ", ".join(sorted(map(show, a_links.get(path, [])))) +
                   " against " + ", ".join(sorted(map(show, b_links.get(path, [])))))
        if stat.S_ISREG(x.st_mode):
            if x.st_size != y.st_size:
                differ(path, f"size {x.st_size} against {y.st_size}")
            else:
                what = content_differs(here, there, x.st_size, with_holes)
                if what:
                    differ(path, what)
        elif stat.S_ISLNK(x.st_mode):
            if os.readlink(here) != os.readlink(there):
                differ(path, f"target {show(os.readlink(here))} against {show(os.readlink(there))}")
        elif stat.S_ISCHR(x.st_mode) or stat.S_ISBLK(x.st_mode):
            if x.st_rdev != y.st_rdev:
                differ(path, f"device {x.st_rdev:x} against {y.st_rdev:x}")
    return {"left": len(a), "right": len(b), "differences": out}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--exclude", action="append", default=[".lockstep"], help="a name that is left out everywhere")
    parser.add_argument("--no-holes", action="store_true")
    parser.add_argument("--database", action="store_true", help="one file each; its mtime means nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        result = compare(options.left, options.right, options.exclude, not options.no_holes, options.database)
    except OSError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
    else:
        for line in result["differences"]:
            print(line)
        print(f"{result['left']} entries against {result['right']}, {len(result['differences'])} differences")
    return 1 if result["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
