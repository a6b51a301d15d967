#!/usr/bin/python3
"""The certificate checker refuses each defect it is trusted to see, and passes a record without one."""
import copy
import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile
import unittest

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import point  # noqa: E402

BASE = 1_700_000_000


def instant(milliseconds):
    whole, rest = divmod(BASE * 1000 + milliseconds, 1000)
    import time
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{rest:03d}Z"


def between(a, b):
    return {"requested": instant(a), "acknowledged": instant(b)}


class Checker(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="lockstep-point-")
        self.addCleanup(shutil.rmtree, self.base)
        self.key = Ed25519PrivateKey.generate()
        tree = os.path.join(self.base, "files")
        os.makedirs(os.path.join(tree, "d"))
        with open(os.path.join(tree, "d", "f"), "wb") as handle:
            handle.write(b"x" * 200000)
        os.link(os.path.join(tree, "d", "f"), os.path.join(tree, "g"))
        with open(os.path.join(self.base, "db"), "wb") as handle:
            handle.write(b"y" * 8192)
        self.record = {"format": "lockstep-point/1", "id": "r", "service": "s", "moment": instant(0), "sets": [],
                       "certificate": {"run": "r", "service": "s", "moment": instant(0), "consistency": "fenced",
                                       "max_skew_ns": 10**9, "skew_ns": 20_000_000, "lateness_ns": 21_000_000, "sets": []}}
        for name, component, at in (("files", "files", 1), ("db", "sqlite", 5)):
            path = os.path.join(self.base, name)
            found = point.Tree(path, component == "sqlite")
            root = found.digest().hex()
            own = {"name": name, "root": root, "entries": found.entries, "bytes": found.bytes}
            self.record["sets"].append({**own, "component": component, "path": path})
            self.record["certificate"]["sets"].append(
                {**own, "pinned": between(at, 21 - at), "one_instant": True, "refers_to": ["files"] if name == "db" else [],
                 "clock": {"boot_id": "b", "error_ns": 0},
                 "fence": {"raised": between(-20, -1), "lowered": between(30, 31), "held": True}})
        self.record["certificate"]["skew_ns"] = 19_000_000
        self.record["certificate"]["lateness_ns"] = 20_000_000

    def problems(self, record=None, sign=True):
        record = copy.deepcopy(record or self.record)
        digest = hashlib.sha256(b"lockstep.point.1\0")
        for one in sorted(record["sets"], key=lambda s: s["name"]):
            digest.update(struct.pack("<I", len(one["name"])) + one["name"].encode() + bytes.fromhex(one["root"]))
        record.setdefault("digest", digest.hexdigest())
        if sign:
            public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            record["signature"] = {"algorithm": "ed25519", "key": public.hex(),
                                   "value": self.key.sign(point.canonical(record)).hex()}
        path = os.path.join(self.base, "record.json")
        with open(path, "w", encoding="utf-8") as handle:
            json.dump(record, handle)
        return point.check_record(path, True)[1]

    def one(self, text, found):
        self.assertTrue(any(line.startswith(text) for line in found), found)

    def test_a_true_record_passes(self):
        self.assertEqual(self.problems(), [])

    def test_a_byte_changed_in_the_data(self):
        with open(os.path.join(self.base, "files/d/f"), "r+b") as handle:
            at = os.fstat(handle.fileno())
            handle.write(b"X")
        os.utime(os.path.join(self.base, "files/d/f"), ns=(at.st_atime_ns, at.st_mtime_ns))
        self.one("files: the data", self.problems())

    def add_users(self):
        path = os.path.join(self.base, "user-data.jsonl")
        document = (b'{"lockstep_users": 1, "store": "ldap"}\n{"kind": "user", "id": "1", "name": "a"}\n'
                    b'{"kind": "group", "id": "2", "name": "b"}\n')
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as handle:
            handle.write(document)
        found = point.Tree(path, True, owned=False)
        own = {"name": "user-data", "root": found.digest().hex(), "entries": found.entries, "bytes": found.bytes}
        self.record["sets"].append({**own, "component": "users", "path": path})
        users = {"store": "ldap", "digest": hashlib.sha256(document).hexdigest(), "records": {"user": 1, "group": 1},
                 "captured": between(5000, 9000)}
        self.record["certificate"]["sets"].append(
            {**own, "pinned": between(4000, 4001), "one_instant": False, "refers_to": [], "fence": None, "users": users,
             "clock": {"boot_id": "elsewhere", "error_ns": 0}})
        return path, users

    def test_user_data_is_judged_by_itself(self):
        path, users = self.add_users()
        self.assertEqual(self.problems(), [])
        users["captured"] = between(-5, 9000)
        self.one("users: the directory was read before", self.problems())
        users["captured"], users["records"] = between(5000, 9000), {"user": 2}
        self.one("users: there are", self.problems())
        users["records"] = {"user": 1, "group": 1}
        os.chmod(path, 0o640)
        self.one("users: others may read", self.problems())
        os.chmod(path, 0o600)
        with open(path, "r+b") as handle:
            handle.seek(-3, os.SEEK_END)
            handle.write(b" ")
        self.one("users: the document is not", self.problems())

    def test_no_data_set_hides_from_the_moment_as_user_data(self):
        _, users = self.add_users()
        self.record["certificate"]["sets"][0]["users"] = users
        self.one("files: only what holds user data", self.problems())

    def test_a_hard_link_made_a_copy(self):
        link, parent = os.path.join(self.base, "files/g"), os.path.join(self.base, "files")
        at = os.stat(parent)
        shutil.copy2(link, link + ".new")
        os.rename(link + ".new", link)
        os.utime(parent, ns=(at.st_atime_ns, at.st_mtime_ns))
        self.one("files: ", self.problems())

    def test_a_record_changed_after_signing(self):
        self.problems()
        path = os.path.join(self.base, "record.json")
        with open(path, encoding="utf-8") as handle:
            record = json.load(handle)
        record["certificate"]["max_skew_ns"] += 1
        self.one("signature", self.problems(record, sign=False))

    def test_a_pin_before_the_last_fence(self):
        self.record["certificate"]["sets"][0]["fence"]["raised"] = between(-20, 2)
        self.one("fence: a pin was requested", self.problems())

    def test_a_fence_lowered_before_the_last_pin(self):
        self.record["certificate"]["sets"][1]["fence"]["lowered"] = between(19, 31)
        self.one("fence: a fence was lowered", self.problems())

    def test_the_clock_error_counts_against_the_fence(self):
        for one in self.record["certificate"]["sets"]:
            one["clock"]["error_ns"] = 6_000_000
            one["clock"]["boot_id"] = one["name"]   # hosts of their own
        found = self.problems()
        self.one("fence: a fence was lowered", found)
        self.one("fence: a pin was requested", found)

    def test_an_unfenced_pin_over_a_time_counts_whole_unless_it_was_quiet(self):
        certificate = self.record["certificate"]
        certificate["consistency"] = "bounded"
        longer = certificate["sets"][0]
        longer.update({"pinned": between(1, 300), "one_instant": False, "fence": None})
        certificate.update({"skew_ns": 299_000_000, "lateness_ns": 300_000_000})
        self.assertEqual(self.problems(), [])
        certificate.update({"skew_ns": 15_000_000, "lateness_ns": 16_000_000})
        found = self.problems()
        self.one("skew: the intervals give 299000000", found)
        self.one("lateness: 300000000", found)
        longer["quiet"] = True
        self.assertEqual(self.problems(), [])

    def test_a_fence_not_held(self):
        self.record["certificate"]["sets"][0]["fence"]["held"] = False
        self.one("fence: files", self.problems())

    def test_two_sets_without_a_fence(self):
        for one in self.record["certificate"]["sets"]:
            one["fence"] = None
        self.one("fence: more than one", self.problems())

    def test_a_wrong_skew(self):
        self.record["certificate"]["skew_ns"] -= 1
        self.one("skew", self.problems())

    def test_a_referee_pinned_before_its_referrer(self):
        self.record["certificate"]["consistency"] = "ordered"
        self.one("order", self.problems())


if __name__ == "__main__":
    unittest.main()
