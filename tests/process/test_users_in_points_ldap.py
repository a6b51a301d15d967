#!/usr/bin/python3
"""User data of a real LDAP directory (slapd) in points: pinned while it is changed, refused by name where it never
stands still or does not answer, and applied from a point. What the servers hold is read by slapcat."""
import base64
import json
import os
import subprocess
import threading
import time
import unittest

from slapd import BASE, group, person, unit
from test_users_ldap import SECRET, Directories

PEOPLE = 1000


class Writer(threading.Thread):
    """One person's connection: a number into a user, and once that is answered the same into a group, and so on.
    At every instant the user has the group's number or the next one."""

    def __init__(self, server, burst, pause, lasts=None, number=0):
        super().__init__(daemon=True)
        self.lasts = lasts
        self.server, self.burst, self.pause, self.ended, self.number = server, burst, pause, threading.Event(), number

    def run(self):
        command = ["/usr/bin/ldapmodify", "-x", "-H", self.server.url, "-D", "cn=admin," + BASE, "-y", self.server.raw_password()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            begun = time.monotonic()
            while not self.ended.is_set() and (self.lasts is None or time.monotonic() - begun < self.lasts):
                for _ in range(self.burst):
                    self.number += 1
                    for dn in (f"uid=anna,ou=people,{BASE}", f"cn=staff,ou=groups,{BASE}"):
                        process.stdin.write(f"dn: {dn}\nchangetype: modify\nreplace: description\n"
                                            f"description: {self.number}\n\n".encode())
                process.stdin.flush()
                self.ended.wait(self.pause)
            process.stdin.close()
            process.wait(120)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


class InPoints(Directories):
    def begin_with(self, mode):
        self.north.load(unit("people") + unit("groups") + unit("roles") + person("anna", "description: 0\n") +
                        "".join(person(f"p{n:04}") for n in range(PEOPLE)) + group("staff", ["anna"]) +
                        group("auditor", ["p0001"], "ou=roles"))
        self.begin()
        self.north.modify(f"dn: cn=staff,ou=groups,{BASE}\nchangetype: modify\nadd: description\ndescription: 0\n\n")
        files = os.path.join(self.site.north, "files")
        os.makedirs(files)
        self.site.apply(f"service: orders\nmode: {mode}\nconsistency: bounded\nmax_skew: 10s\nattempts: 2\nuser_data: true\n"
                        f"data_sets:\n  - {{name: files, component: files, path: {files}}}\n")

    def certified(self, point):
        with open(self.site.record(point), encoding="utf-8") as handle:
            record = json.load(handle)
        kept = next(one for one in record["sets"] if one["component"] == "users")
        certified = next(one for one in record["certificate"]["sets"] if one["name"] == "user-data")
        with open(kept["path"], encoding="utf-8") as handle:
            head, *records = map(json.loads, handle)
        self.assertEqual(head["store"], "ldap")
        return certified["users"], {one["name"]: one for one in records}

    @staticmethod
    def as_slapcat_says(server):
        """Name to what is carried of each entry, read by another program."""
        out = {}
        for dn, entry in server.entries().items():
            if dn.endswith("ou=system," + BASE) or dn == BASE:
                continue
            # slapcat writes `name:: base64` for what is no plain text: entries() leaves `: ` there.
            clear = {name: {base64.b64decode(value[1:]).decode() if value.startswith(":") else value for value in values}
                     for name, values in entry.items()}
            out[dn.removesuffix("," + BASE)] = clear
        return out

    def assert_is_the_directory(self, records, server):
        wanted = self.as_slapcat_says(server)
        self.assertEqual({name.lower() for name in records}, set(wanted))
        names = {one["id"]: name.lower() for name, one in records.items()}
        for name, one in records.items():
            entry = wanted[name.lower()]
            if one["kind"] != "unit":
                self.assertEqual({one["id"]}, entry["entryuuid"])
            self.assertEqual(set(one["passwords"]), entry.get("userpassword", set()), name)
            self.assertEqual(set(one["attributes"].get("description", [])), entry.get("description", set()), name)
            self.assertEqual(set(one["attributes"].get("mail", [])), entry.get("mail", set()), name)
            self.assertEqual({names[each] + "," + BASE for each in one["members"]}, entry.get("member", set()), name)

    def assert_no_secret(self):
        """Wherever it stands in the site, it stands in a document of user data."""
        for folder, _, files in os.walk(self.site.base):
            for name in files:
                path = os.path.join(folder, name)
                if not os.path.isfile(path) or name == "user-data.jsonl" or "/user-data-before/" in path:
                    continue
                with open(path, "rb") as handle:
                    self.assertNotIn(SECRET.encode(), handle.read(), path)

    def check_pinned(self, mode):
        self.begin_with(mode)
        number = 0
        for _ in range(3):
            # It ends by itself: a host that is slow to read would else never find the directory at rest.
            with Writer(self.north, 5, 0.3, 2, number) as writer:
                point = self.site.run("orders")["point"]
                certified, records = self.certified(point)
                user = int(records["uid=anna,ou=people"]["attributes"]["description"][0])
                staff = int(records["cn=staff,ou=groups"]["attributes"]["description"][0])
                self.assertIn(user - staff, (0, 1), "the point shows a state that there never was")
                self.assertEqual(certified["records"], {"unit": 3, "user": PEOPLE + 1, "group": 1, "role": 1})
                self.assert_point_is_as_it_says(point)
            self.assertGreater(writer.number, number, "nothing was changed")
            number = writer.number
        point = self.site.run("orders")["point"]
        self.assert_is_the_directory(self.certified(point)[1], self.north)
        self.assert_point_is_as_it_says(point)
        self.assertTrue(self.site.json("verify", point)["ok"])
        self.assert_no_secret()
        self.assert_nothing_is_left()

    def test_a_point_shows_a_directory_that_is_changed_while_it_is_read_by_push(self):
        self.check_pinned("push")

    def test_a_point_shows_a_directory_that_is_changed_while_it_is_read_by_pull(self):
        self.check_pinned("pull")

    def test_a_directory_that_never_stands_still_or_does_not_answer_fails_the_run_by_name(self):
        self.begin_with("push")
        with Writer(self.north, 200, 0):
            time.sleep(0.5)
            refused = self.site.cli("run", "orders", "--wait", ok=(1,))
        self.assertIn("[source-read]", refused.stderr)
        self.assertIn("changed while it was read", refused.stderr)
        self.assertEqual(self.site.records(), [])
        self.assert_nothing_is_left()
        self.north.stop()
        refused = self.site.cli("run", "orders", "--wait", ok=(1, 4))
        self.assertIn("[unreachable]", refused.stderr)
        self.assertEqual(self.site.records(), [])
        self.north.start()
        self.assert_point_is_as_it_says(self.site.run("orders")["point"])
        self.assert_nothing_is_left()
        self.assert_no_secret()

    def test_the_users_of_a_point_are_applied_to_the_directory_of_the_cluster_that_keeps_it(self):
        self.begin_with("push")
        first = self.site.run("orders")["point"]
        before = self.comparable(self.north.entries(), ("description",))
        self.north.modify(f"dn: uid=p0004,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n\n"
                          f"dn: uid=p0002,ou=people,{BASE}\nchangetype: delete\n\n"
                          f"dn: uid=p0003,ou=people,{BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: {{SSHA}}other\n-\n"
                          "add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n\n" +
                          f"dn: cn=staff,ou=groups,{BASE}\nchangetype: modify\nadd: member\nmember: uid=p0003,ou=people,{BASE}\n\n")
        self.site.run("orders")
        after = self.comparable(self.north.entries(), ("description",))
        deadline = time.monotonic() + 120
        while self.comparable(self.south.entries(), ("description",)) != after:
            self.assertLess(time.monotonic(), deadline, self.site.logs())
            time.sleep(0.5)
        done = self.site.json("users", "apply", "--point", first)
        self.assertEqual((done["counts"]["renamed"], done["counts"]["added"], done["counts"]["unlocked"]), (1, 1, 1), done["counts"])
        self.assertEqual(self.comparable(self.south.entries(), ("description",)), before)
        self.assertEqual(self.comparable(self.north.entries(), ("description",)), after)
        self.assertEqual(self.site.json("users", "apply", "--point", first)["changes"], [])

        # A new password unlocks an account by itself (ppolicy): one that is locked stays so.
        self.site.json("users", "apply")
        self.north.modify(f"dn: uid=p0003,ou=people,{BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: {{SSHA}}third\n\n")
        self.north.modify(f"dn: uid=p0003,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\n"
                          "pwdAccountLockedTime: 000001010000Z\n\n")
        self.site.json("users", "apply")
        self.assertEqual(self.comparable(self.south.entries(), ("description",)), self.comparable(self.north.entries(), ("description",)))
        self.assertEqual(self.site.json("users", "apply")["changes"], [])
        self.assert_no_secret()


if __name__ == "__main__":
    unittest.main()
