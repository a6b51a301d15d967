#!/usr/bin/python3
"""Reads a manifest by docs/point-format.md alone and checks everything in it: checksum, order, every
digest that follows from what stands there, the root. Nothing of Lockstep is used.

    manifest.py FILE [--json]     prints the root (with --json: a line for each entry before it)

Exit status 0: whole; 1: not.
"""
import hashlib
import json
import struct
import sys

import xxhash

LEAF = 65536
SUMMED = 9      # how a regular file stands there whose content is known by its store's checksum


class Damaged(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Damaged("it ends early")
        self.at += count
        return self.data[self.at - count:self.at]

    def numbers(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def bytes(self):
        return self.take(self.numbers("I")[0])


def counted(data):
    return struct.pack("<I", len(data)) + data


def head(entry):
    linkish = entry["kind"] == 4
    out = b"lockstep.entry.1\0" + struct.pack(
        "<BIIIqQQ", entry["kind"], *(0 if linkish else entry[k] for k in ("mode", "uid", "gid", "mtime")),
        entry["size"], entry["device"]) + counted(entry["target"])
    attributes = [] if linkish else entry["xattrs"]
    return out + struct.pack("<I", len(attributes)) + b"".join(
        counted(name) + counted(value) for name, value in attributes)


def read_entry(reader, native):
    length = reader.numbers("I")[0]
    part = Reader(reader.take(length))
    entry = dict(zip(("kind", "mode", "uid", "gid", "mtime", "size", "device"), part.numbers("BIIIqQQ")))
    entry["path"], entry["target"] = part.bytes(), part.bytes()
    entry["xattrs"] = [(part.bytes(), part.bytes()) for _ in range(part.numbers("I")[0])]
    entry["holes"] = [part.numbers("QQ") for _ in range(part.numbers("I")[0])]
    entry["sum"] = b""
    if entry["kind"] == SUMMED:
        entry["kind"], entry["sum"] = 2, part.bytes()
        if not entry["sum"]:
            raise Damaged("an entry's checksum")
    if native:
        part.numbers("QqQ")
    if part.at != length:
        raise Damaged("an entry's length")
    if entry["xattrs"] != sorted(entry["xattrs"]):
        raise Damaged("the order of xattrs")
    return entry


def order(path):
    return path.split(b"/") if path else []


def read(data, on_entry=lambda entry, digest: None):
    reader = Reader(data)
    magic, version, flags = reader.take(8), *reader.numbers("II")
    if magic != b"LSMANIF1" or version != 1:
        raise Damaged("this is no manifest of format 1")
    opened, last, entries, size, root = [], None, 0, 0, None

    def add(path, digest):
        nonlocal root
        if not opened:
            root = digest
            return
        parent, _, name = path.rpartition(b"/")
        if opened[-1]["entry"]["path"] != parent:
            raise Damaged(f"an entry outside its directory: {path!r}")
        opened[-1]["hash"].update(counted(name) + digest)
        opened[-1]["children"] += 1

    while True:
        tag = reader.numbers("B")[0]
        if tag == 255:
            break
        if tag == 2:
            left = opened.pop()
            children, told = reader.numbers("Q")[0], reader.take(32)
            left["hash"].update(struct.pack("<Q", left["children"]))
            digest = left["hash"].digest()
            if (children, told) != (left["children"], digest):
                raise Damaged(f"the digest of the directory {left['entry']['path']!r}")
            on_entry(left["entry"], digest)
            add(left["entry"]["path"], digest)
            continue
        if tag != 1:
            raise Damaged(f"a record of kind {tag}")
        entry = read_entry(reader, flags & 1)
        if last is not None and order(entry["path"]) <= order(last):
            raise Damaged(f"the order at {entry['path']!r}")
        last = entry["path"]
        entries += 1
        if entry["kind"] == 1:
            opened.append({"entry": entry, "hash": hashlib.sha256(head(entry)), "children": 0})
            continue
        tail = b""
        if entry["kind"] == 2:
            size += entry["size"]
            size_and = struct.pack("<Q", entry["size"])
            stored = entry["size"] > LEAF and not entry["sum"]
            leaves = reader.take(16 * -(-entry["size"] // LEAF)) if stored else None
            tail = reader.take(32)
            if entry["sum"] and tail != hashlib.sha256(b"lockstep.content.sum.1\0" + size_and + entry["sum"]).digest():
                raise Damaged(f"the content digest of {entry['path']!r}")
            if leaves is not None and tail != hashlib.sha256(
                    b"lockstep.content.1\0" + size_and + leaves).digest():
                raise Damaged(f"the content digest of {entry['path']!r}")
        told, digest = reader.take(32), hashlib.sha256(head(entry) + tail).digest()
        if told != digest:
            raise Damaged(f"the digest of {entry['path']!r}")
        on_entry(entry, digest)
        add(entry["path"], digest)
    if opened or (entries, size, root) != (*reader.numbers("QQ"), reader.take(32)):
        raise Damaged("its end does not agree with its entries")
    covered = data[:reader.at]
    if reader.take(16) != xxhash.xxh3_128_digest(covered) or reader.at != len(data):
        raise Damaged("its checksum")
    return root


def sums_of(path):
    """The checksums of the files whose content is known by them, by path."""
    sums = {}

    def note(entry, _):
        if entry.get("sum"):
            sums[entry["path"].decode()] = entry["sum"].decode()
    with open(path, "rb") as handle:
        read(handle.read(), note)
    return sums


def main(arguments):
    def line(entry, digest):
        if "--json" in arguments:
            print(json.dumps({"path": entry["path"].decode("utf-8", "backslashreplace"),
                              "kind": entry["kind"], "size": entry["size"], "digest": digest.hex()}))
    try:
        with open(arguments[0], "rb") as handle:
            print(read(handle.read(), line).hex())
    except (Damaged, OSError, IndexError) as error:
        print(f"{arguments[:1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
