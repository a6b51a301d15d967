#!/usr/bin/python3
"""User data between two real directories (slapd): each kind of change, both ways, 10,000 people, a server that dies;
what they hold is read by slapcat."""
import os
import signal
import subprocess
import time
import unittest

from harness import LOCKSTEP, SiteTest
from slapd import BASE, Slapd, group, person, unit

PEOPLE = 10_000
SECRET = "c2VjcmV0LW9m"      # of each hash, as LDIF of `{SSHA}...` has it in base 64 or plain


class Directories(SiteTest):
    syncprov = True

    def setUp(self):
        super().setUp()
        self.north, self.south = Slapd(self.syncprov), Slapd(self.syncprov)
        self.addCleanup(self.north.close)
        self.addCleanup(self.south.close)

    def begin(self):
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        for name, server, own in (("north", self.north, ""), ("south", self.south, ", own: [description]")):
            text = text.replace(f"  {name}:\n    root:", f"  {name}:\n    directory: {server.directory(own)}\n    root:")
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text)
        self.north.start()
        self.south.start()
        self.site.up()

    @staticmethod
    def comparable(entries, without=()):
        """Less what is each server's own: who wrote when. The id is not: it is carried."""
        own = {"creatorsname", "createtimestamp", "modifiersname", "modifytimestamp", "entrycsn", "contextcsn",
               "pwdchangedtime", *without}
        return {dn: {name: values for name, values in entry.items() if name not in own and not (
                    dn.startswith("ou=") or dn == BASE) or name == "ou"}
                for dn, entry in entries.items()}

    def assert_alike(self, without=()):
        self.assertEqual(self.comparable(self.south.entries(), without), self.comparable(self.north.entries(), without))

    def fill(self):
        self.north.load(unit("people") + unit("groups") + unit("roles") + person("anna") + person("bob", "description: n\n") +
                        person("cleo") + person("dora") + group("staff", ["anna", "bob"]) + group("few", ["cleo"]) +
                        group("auditor", ["anna"], "ou=roles") +
                        f"dn: cn=posix,ou=groups,{BASE}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\n"
                        "memberUid: anna\nmemberUid: dora\n\n")


class Ldap(Directories):
    def check_changes(self, how):
        self.fill()
        self.begin()
        done = self.site.json("users", "apply", "--how", how)
        self.assertEqual(done["counts"]["added"], 11)
        self.assert_alike(("description",))
        again = self.site.json("users", "apply", "--how", how)
        self.assertEqual(again["changes"], [])
        stamp = {dn: entry["entrycsn"] for dn, entry in self.south.entries().items()}

        self.south.modify(f"dn: uid=anna,ou=people,{BASE}\nchangetype: modify\nreplace: description\ndescription: south's\n")
        people = f"ou=people,{BASE}"
        self.north.modify(
            # A rename, which its groups follow by hand here: there is no refint; and one exchange of names.
            f"dn: uid=anna,{people}\nchangetype: modrdn\nnewrdn: uid=anne\ndeleteoldrdn: 1\n\n"
            f"dn: cn=staff,ou=groups,{BASE}\nchangetype: modify\nadd: member\nmember: uid=anne,{people}\n-\n"
            f"delete: member\nmember: uid=anna,{people}\n\n"
            f"dn: cn=auditor,ou=roles,{BASE}\nchangetype: modify\nadd: member\nmember: uid=anne,{people}\n-\n"
            f"delete: member\nmember: uid=anna,{people}\n\n"
            f"dn: cn=posix,ou=groups,{BASE}\nchangetype: modify\nadd: memberUid\nmemberUid: anne\n-\n"
            "delete: memberUid\nmemberUid: anna\n\n"
            f"dn: uid=bob,{people}\nchangetype: modify\nreplace: mail\nmail: new@example.org\nmail: b@example.org\n-\n"
            f"add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n-\nreplace: userPassword\n"
            f"userPassword: {{SSHA}}{SECRET}new\n-\nadd: title\ntitle: Dr\n\n"
            f"dn: uid=cleo,{people}\nchangetype: modrdn\nnewrdn: uid=tmp\ndeleteoldrdn: 1\n\n"
            f"dn: uid=dora,{people}\nchangetype: modrdn\nnewrdn: uid=cleo\ndeleteoldrdn: 1\n\n"
            f"dn: uid=tmp,{people}\nchangetype: modrdn\nnewrdn: uid=dora\ndeleteoldrdn: 1\n\n"
            f"dn: cn=few,ou=groups,{BASE}\nchangetype: modify\nadd: member\nmember: uid=dora,{people}\n-\n"
            f"delete: member\nmember: uid=cleo,{people}\n\n"
            f"dn: cn=posix,ou=groups,{BASE}\nchangetype: modify\nadd: memberUid\nmemberUid: cleo\n-\n"
            "delete: memberUid\nmemberUid: dora\n\n"
            f"dn: ou=new,{people}\nchangetype: add\nobjectClass: organizationalUnit\nou: new\n\n"
            + person("emil", parent="ou=new,ou=people").replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))
        done = self.site.json("users", "apply", "--how", how)
        self.assertEqual((done["counts"]["added"], done["counts"]["renamed"], done["counts"]["locked"], done["counts"]["removed"]),
                         (2, 3, 1, 0), done)
        self.assert_alike(("description",))
        south = self.south.entries()
        self.assertEqual(south[f"uid=anne,{people}"]["description"], {"south's"})
        self.assertNotIn("description", south[f"uid=bob,{people}"])
        self.assertEqual(south[f"cn=few,ou=groups,{BASE}"]["member"], {f"uid=dora,{people}"})
        self.assertEqual(self.site.json("users", "apply", "--how", how)["changes"], [])

        # Removals, a group left empty, and the unit above; what nobody touched was not written again.
        self.north.modify(f"dn: uid=bob,{people}\nchangetype: modify\ndelete: pwdAccountLockedTime\n\n"
                          f"dn: uid=emil,ou=new,{people}\nchangetype: delete\n\ndn: ou=new,{people}\nchangetype: delete\n\n"
                          f"dn: cn=few,ou=groups,{BASE}\nchangetype: modify\nreplace: member\nmember: cn=few,ou=groups,{BASE}\n\n")
        done = self.site.json("users", "apply", "--how", how)
        self.assertEqual((done["counts"]["removed"], done["counts"]["unlocked"], done["counts"]["memberships"]), (2, 1, 1))
        self.assert_alike(("description",))
        self.assertEqual(self.site.json("users", "apply", "--how", how)["changes"], [])
        self.assertEqual(self.south.entries()[f"ou=groups,{BASE}"]["entrycsn"], stamp[f"ou=groups,{BASE}"])

        # An emptied primary.
        self.north.stop()
        empty = Slapd()
        self.addCleanup(empty.close)
        os.rename(self.north.home + "/db", self.north.home + "/full")
        os.rename(empty.home + "/db", self.north.home + "/db")
        self.north.start()
        before = self.comparable(self.south.entries())
        self.site.cli("users", "apply", "--how", how, ok=(3,))
        self.assertEqual(self.comparable(self.south.entries()), before)
        with open(os.path.join(self.site.base, "var/log/south-snapshot.log"), encoding="utf-8") as log:
            self.assertNotIn(SECRET, log.read() + self.site.cli("audit", "--json").stdout +
                             self.site.cli("events", "--since", "1h", "--json").stdout)

    def test_every_change_by_push(self):
        self.check_changes("push")

    def test_every_change_by_reconcile(self):
        self.check_changes("reconcile")

    def test_those_who_are_there_by_name_are_adopted(self):
        self.fill()
        self.south.load(unit("people") + person("anna", "description: mine\n") + unit("groups") + group("staff", ["anna"]))
        self.begin()
        done = self.site.json("users", "apply")
        self.assertEqual(done["counts"]["adopted"], 2, done)
        self.assertEqual(done["counts"]["removed"], 0)
        self.assert_alike(("description",))
        self.assertEqual(self.south.entries()[f"uid=anna,ou=people,{BASE}"]["description"], {"mine"})
        self.assertEqual(self.site.json("users", "apply")["changes"], [])

    def test_a_server_that_is_killed_in_the_middle(self):
        names = [f"u{i:04}" for i in range(3000)]
        self.north.load(unit("people") + unit("groups") + unit("roles") + "".join(map(person, names)) + group("all", names))
        self.begin()
        with subprocess.Popen([LOCKSTEP, "users", "apply", "-c", self.site.config], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as applying:
            deadline = time.monotonic() + 60
            while len(self.south.entries()) < 100:
                self.assertLess(time.monotonic(), deadline, self.site.logs())
            self.south.process.kill()
            self.south.process.wait()
            said = applying.communicate(timeout=120)[0]
        self.south.stop()
        there = len(self.south.entries())
        print(f"killed with {there} of {len(names) + 6} entries there", flush=True)
        if there < len(names) + 6:      # else it had done all before
            self.assertIn("[unreachable]", said)
        self.south.start()
        self.site.json("users", "apply", timeout=300)
        self.assert_alike()
        self.assertEqual(self.site.json("users", "apply")["changes"], [])

    def test_an_agent_that_is_killed_in_the_middle(self):
        names = [f"u{i:04}" for i in range(3000)]
        self.north.load(unit("people") + unit("groups") + unit("roles") + "".join(map(person, names)) + group("all", names))
        self.begin()
        agent = self.site.json("ping", "south-snapshot")["pid"]
        with subprocess.Popen([LOCKSTEP, "users", "apply", "-c", self.site.config], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as applying:
            deadline = time.monotonic() + 60
            while len(self.south.entries()) < 100:
                self.assertLess(time.monotonic(), deadline, self.site.logs())
            os.kill(agent, signal.SIGKILL)
            applying.communicate(timeout=120)
        self.assertNotEqual(self.site.json("ping", "south-snapshot")["pid"], agent)
        self.site.json("users", "apply", timeout=300)
        self.assert_alike()
        self.assertEqual(self.site.json("users", "apply")["changes"], [])

    def test_ten_thousand_people(self):
        names = [f"u{i:05}" for i in range(PEOPLE)]
        self.north.load(unit("people") + unit("groups") + unit("roles") + "".join(map(person, names)) + group("all", names))
        self.begin()
        clock = time.monotonic()
        self.assertEqual(self.site.json("users", "apply", timeout=900)["counts"]["added"], PEOPLE + 4)
        first, clock = time.monotonic() - clock, time.monotonic()
        self.assertEqual(self.site.json("users", "apply", timeout=900)["changes"], [])
        print(f"LDAP, {PEOPLE} people: {first:.1f} s first, {time.monotonic() - clock:.1f} s unchanged", flush=True)
        self.assert_alike()
        # Many changes of those who are there; and a server that is away.
        self.north.modify("".join(f"dn: uid={name},ou=people,{BASE}\nchangetype: modify\nreplace: title\ntitle: x\n\n"
                                  for name in names[:3000]))
        self.south.stop()
        self.assertIn("[unreachable]", self.site.cli("users", "apply", ok=(4,)).stderr)
        self.south.start()
        self.assertEqual(self.site.json("users", "apply", timeout=900)["counts"]["changed"], 3000)
        self.assert_alike()


class WithoutContextCsn(Directories):
    syncprov = False

    def test_a_server_that_keeps_no_context_csn(self):
        self.fill()
        self.begin()
        self.assertEqual(self.site.json("users", "apply")["counts"]["added"], 11)
        self.assert_alike(("description",))
        self.assertEqual(self.site.json("users", "apply")["changes"], [])

    def test_a_password_that_is_wrong_or_that_others_may_read(self):
        self.fill()
        with open(self.south.password_file, "w", encoding="utf-8") as handle:
            handle.write("wrong")
        self.begin()
        self.assertIn("[permission]", self.site.cli("users", "apply", ok=(1,)).stderr)
        os.chmod(self.south.password_file, 0o644)
        self.assertIn("[key-mode]", self.site.cli("users", "apply", ok=(2,)).stderr)


if __name__ == "__main__":
    unittest.main()
