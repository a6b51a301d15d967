#!/usr/bin/python3
"""Checks recovery points by docs/point-format.md alone: signature, digests of the data as it lies on
disk, skew, lateness, and the inequalities of the fences. Nothing of Lockstep is used.

    point.py RECORD.json... [--no-data] [--json] [--hdfs http://NAMENODE:PORT]
    point.py --root PATH [--database]        prints the set root of a directory or a database

Exit status 0: all is as the records say; 1: something is not; 2: a record cannot be read.
"""
import argparse
import calendar
import hashlib
import json
import os
import re
import stat
import struct
import sys

import xxhash
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hdfs_tree import Hdfs, HdfsTree
from manifest import sums_of

LEAF = 65536
INSTANT = re.compile(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$")
CARRIED = ("user.", "trusted.", "security.")
ACLS = ("system.posix_acl_access", "system.posix_acl_default")
KIND = {stat.S_IFDIR: 1, stat.S_IFREG: 2, stat.S_IFLNK: 3, stat.S_IFIFO: 5, stat.S_IFSOCK: 6,
        stat.S_IFCHR: 7, stat.S_IFBLK: 8}


# ---- digests -----------------------------------------------------------------------------------
def counted(data):
    return struct.pack("<I", len(data)) + data


def content_digest(path):
    out = hashlib.sha256(b"lockstep.content.1\0")
    with open(path, "rb", buffering=0) as handle:
        out.update(struct.pack("<Q", os.fstat(handle.fileno()).st_size))
        while True:
            block = b""
            while len(block) < LEAF:
                more = handle.read(LEAF - len(block))
                if not more:
                    break
                block += more
            if not block:
                return out.digest()
            out.update(xxhash.xxh3_128_digest(block))


def carried_xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []
    def carried(name):      # what HDFS tells has a name of its own on disk
        return os.fsencode(name.removeprefix("user.lockstep.") if name.startswith("user.lockstep.hdfs.") else name)
    return sorted((carried(name), os.getxattr(path, name, follow_symlinks=False)) for name in names
                  if name.startswith(CARRIED) or name in ACLS)


class Tree:
    """Entry digests of a tree, in the manifest's order so that the first name of a file owns it."""

    def __init__(self, root, database=False, owned=True):
        self.root, self.database, self.owned = os.fsencode(root), database, owned
        self.first, self.entries, self.bytes = {}, 0, 0

    def digest(self, relative=b""):
        path = os.path.join(self.root, relative) if relative else self.root
        info = os.lstat(path)
        kind = KIND[stat.S_IFMT(info.st_mode)]
        self.entries += 1
        if kind != 1 and info.st_nlink > 1 and not self.database:
            first = self.first.setdefault((info.st_dev, info.st_ino), relative)
            if first != relative:
                return self.encode(4, 0, 0, 0, 0, 0, 0, first, [], b"")
        link = os.readlink(path) if kind == 3 else b""
        if kind == 1:
            names = sorted(name for name in os.listdir(path) if name != b".lockstep")
            tail = b"".join(
                counted(name) + self.digest(relative + b"/" + name if relative else name) for name in names)
            tail += struct.pack("<Q", len(names))
        else:
            tail = content_digest(path) if kind == 2 else b""
        if kind == 2:
            self.bytes += info.st_size
        owner = (info.st_uid, info.st_gid) if self.owned else (0, 0)
        return self.encode(kind, 0 if kind == 3 else info.st_mode & 0o7777, *owner,
                           0 if self.database else info.st_mtime_ns,
                           info.st_size if kind == 2 else 0, info.st_rdev if kind in (7, 8) else 0,
                           link, [] if self.database else carried_xattrs(path), tail)

    @staticmethod
    def encode(kind, mode, uid, gid, mtime, size, device, link, attributes, tail):
        out = b"lockstep.entry.1\0" + struct.pack("<BIIIqQQ", kind, mode, uid, gid, mtime, size, device)
        out += counted(link) + struct.pack("<I", len(attributes))
        out += b"".join(counted(name) + counted(value) for name, value in attributes)
        return hashlib.sha256(out + tail).digest()


# ---- times -------------------------------------------------------------------------------------
def nanos(text):
    match = INSTANT.match(text)
    if not match:
        raise ValueError(f"not an instant: {text!r}")
    whole = calendar.timegm(tuple(int(match.group(i)) for i in range(1, 7)))
    return whole * 10**9 + int((match.group(7) or "0").ljust(9, "0"))


def interval(value):
    requested, acknowledged = nanos(value["requested"]), nanos(value["acknowledged"])
    if acknowledged < requested:
        raise ValueError(f"an interval that ends before it begins: {value}")
    return requested, acknowledged


# ---- the certificate ---------------------------------------------------------------------------
def check_certificate(certificate, problems):
    moment, members = nanos(certificate["moment"]), []
    for one in certificate["sets"]:
        requested, acknowledged = interval(one["pinned"])
        if "users" in one:  # beside the moment: its own interval stands by itself
            captured = interval(one["users"]["captured"])
            if captured[0] < moment - one["clock"]["error_ns"] or captured[0] < requested:
                problems.append("users: the directory was read before the moment")
            continue
        unchanged = not one["one_instant"] and (one.get("quiet", False) or one["fence"])
        counts_to = requested if unchanged else acknowledged
        members.append({"name": one["name"], "e": one["clock"]["error_ns"], "requested": requested,
                        "acknowledged": acknowledged, "counts_to": counts_to,
                        "one_instant": one["one_instant"], "fence": one["fence"],
                        "refers_to": one["refers_to"], "boot": one["clock"]["boot_id"]})
    if len({m["boot"] for m in members}) > 1:
        if any(m["e"] == 0 for m in members):
            problems.append("clock: members of several boots, and one claims no error")
    elif members[0]["boot"]:
        for member in members:   # they share one clock: whatever its error is, it is the same
            member["e"] = 0
    skew = max(m["counts_to"] + m["e"] for m in members) - min(m["requested"] - m["e"] for m in members)
    if skew != certificate["skew_ns"]:
        problems.append(f"skew: the intervals give {skew} ns, the certificate says {certificate['skew_ns']}")
    if skew > certificate["max_skew_ns"]:
        problems.append(f"skew: {skew} ns is above the policy's {certificate['max_skew_ns']}")
    lateness = max(max(abs(m["requested"] - moment), abs(m["counts_to"] - moment)) for m in members)
    if lateness != certificate["lateness_ns"]:
        problems.append(f"lateness: {lateness} ns, the certificate says {certificate['lateness_ns']}")
    check = {"fenced": check_fenced, "ordered": check_ordered, "bounded": lambda *_: None}
    check[certificate["consistency"]](members, problems)


def check_fenced(members, problems):
    fenced = [m for m in members if m["fence"]]
    free = [m for m in members if not m["fence"]]
    if len(free) > 1:
        problems.append("fence: more than one data set without a fence: " + ", ".join(m["name"] for m in free))
    for m in free:
        if not m["one_instant"] and len(members) > 1:
            problems.append(f"fence: {m['name']} has no fence and its pin is not one instant")
    if not fenced:
        return
    for m in fenced:
        if m["fence"]["held"] is not True:
            problems.append(f"fence: {m['name']}'s was not held: {m['fence'].get('detail')}")
    last_up = max(interval(m["fence"]["raised"])[1] + m["e"] for m in fenced)
    first_down = min(interval(m["fence"]["lowered"])[0] - m["e"] for m in fenced)
    if not last_up < min(m["requested"] - m["e"] for m in members):
        problems.append("fence: a pin was requested before every fence was up")
    if not max(m["acknowledged"] + m["e"] for m in members) < first_down:
        problems.append("fence: a fence was lowered before every pin was acknowledged")


def check_ordered(members, problems):
    by_name = {m["name"]: m for m in members}
    for m in members:
        for name in m["refers_to"]:
            referee = by_name[name]
            if not m["acknowledged"] + m["e"] < referee["requested"] - referee["e"]:
                problems.append(f"order: {m['name']} refers to {name}, but was not pinned before it")


def check_users(path, certified, problems):
    """The document against what the certificate says was read."""
    with open(path, "rb") as handle:
        document = handle.read()
    if hashlib.sha256(document).hexdigest() != certified["digest"]:
        problems.append("users: the document is not the one that was read")
        return
    head, *records = map(json.loads, document.splitlines())
    if head != {"lockstep_users": 1, "store": certified["store"]}:
        problems.append(f"users: the document's head is {head}")
    counts = {}
    for one in records:
        counts[one["kind"]] = counts.get(one["kind"], 0) + 1
    if counts != certified["records"]:
        problems.append(f"users: there are {counts}, the certificate says {certified['records']}")
    if os.stat(path).st_mode & 0o777 != 0o600:
        problems.append("users: others may read the document")


# ---- the record --------------------------------------------------------------------------------
def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def tree_of(one, namenode):
    """The data of a set, as it lies there."""
    if one["component"] != "hdfs":
        return Tree(one["path"], database=one["component"] in ("sqlite", "users"), owned=one["component"] != "users")
    if not namenode:
        raise ValueError("the data lie in HDFS: name its NameNode with --hdfs")
    native = json.loads(one["version"]["native"])
    return HdfsTree(Hdfs(namenode), f"{native['directory']}/.snapshot/{native['snapshot']}", sums_of(one["manifest"]))


def check_record(path, with_data, namenode=None):
    problems = []
    with open(path, encoding="utf-8") as handle:
        record = json.load(handle)
    if record.get("format") != "lockstep-point/1":
        return record, [f"format: {record.get('format')!r}"]
    signature = record["signature"]
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["key"])).verify(
            bytes.fromhex(signature["value"]),
            canonical({key: value for key, value in record.items() if key != "signature"}))
    except (InvalidSignature, ValueError) as error:
        problems.append(f"signature: does not fit the record ({type(error).__name__})")
    certificate = record["certificate"]
    for key, own in (("id", "run"), ("service", "service"), ("moment", "moment")):
        if record[key] != certificate[own]:
            problems.append(f"certificate: {own} is {certificate[own]!r}, the record has {record[key]!r}")
    check_certificate(certificate, problems)
    certified = {one["name"]: one for one in certificate["sets"]}
    if sorted(certified) != sorted(one["name"] for one in record["sets"]):
        problems.append("certificate: its data sets are not the record's")
    point = hashlib.sha256(b"lockstep.point.1\0")
    for one in sorted(record["sets"], key=lambda s: s["name"].encode()):
        point.update(counted(one["name"].encode()) + bytes.fromhex(one["root"]))
        for key in ("root", "entries", "bytes"):
            if one["name"] in certified and certified[one["name"]][key] != one[key]:
                problems.append(f"{one['name']}: {key} differs between certificate and record")
        if with_data and one["component"] != "hbase":  # what HBase holds only HBase can read
            tree = tree_of(one, namenode)
            root = tree.digest().hex()
            if one["component"] == "hdfs":
                tree.hdfs.close()
            if root != one["root"]:
                problems.append(f"{one['name']}: the data at {one['path'] or tree.root} has the root {root}, not {one['root']}")
            if (tree.entries, tree.bytes) != (one["entries"], one["bytes"]):
                problems.append(f"{one['name']}: {tree.entries} entries, {tree.bytes} bytes; "
                                f"the record says {one['entries']}, {one['bytes']}")
        if (one["component"] == "users") != ("users" in certified.get(one["name"], {})):
            problems.append(f"{one['name']}: only what holds user data stands beside the moment")
        elif with_data and one["component"] == "users":
            check_users(one["path"], certified[one["name"]]["users"], problems)
    if point.hexdigest() != record["digest"]:
        problems.append(f"digest: the roots give {point.hexdigest()}, the record says {record['digest']}")
    return record, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("records", nargs="*")
    parser.add_argument("--no-data", action="store_true")
    parser.add_argument("--root")
    parser.add_argument("--database", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--hdfs")
    options = parser.parse_args()
    sys.setrecursionlimit(20000)
    if options.root:
        tree = Tree(options.root, options.database)
        print(tree.digest().hex(), tree.entries, tree.bytes)
        return 0
    bad, out = 0, []
    for path in options.records:
        try:
            record, problems = check_record(path, not options.no_data, options.hdfs)
        except (OSError, KeyError, ValueError, TypeError) as error:
            record, problems = {}, [f"unreadable: {type(error).__name__}: {error}"]
        bad += bool(problems)
        out.append({"record": path, "id": record.get("id"), "problems": problems})
        if not options.json:
            print(f"{path}: {'as it says' if not problems else ''}")
            for problem in problems:
                print("  " + problem)
    if options.json:
        print(json.dumps(out))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
