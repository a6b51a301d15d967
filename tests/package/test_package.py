#!/usr/bin/python3
"""The Debian package: what is in it; installed, upgraded and removed in a root of Debian 12 of its own. Needs root."""
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.environ.get("LAB", os.path.join(ROOT, "build/compose-lab"))
PROGRAMS = {"lockstep", "lockstep-policy", "lockstep-scheduler", "lockstep-health-monitor", "lockstep-gateway",
            "lockstep-snapshot-agent", "lockstep-transfer-agent", "lockstep-fence-guard"}


def sh(*words, timeout=600, ok=(0,), **options):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=timeout, check=False, **options)
    if ok is not None and done.returncode not in ok:
        raise AssertionError(f"{words} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sh(os.path.join(ROOT, "scripts/install"), "--engine")
        cls.place = tempfile.mkdtemp(prefix="lockstep-package-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.package = sh(os.path.join(ROOT, "scripts/package"), cls.place).stdout.strip()
        cls.newer = sh(os.path.join(ROOT, "scripts/package"), cls.place, env={**os.environ, "VERSION": "99.0"}).stdout.strip()

    def test_it_holds_programs_units_completion_manual_documents_and_rules(self):
        listed = sh("dpkg-deb", "--contents", self.package).stdout.splitlines()
        rows = {line.split()[5].lstrip("."): line.split() for line in listed}
        self.assertEqual({name[len("/usr/bin/"):] for name in rows if name.startswith("/usr/bin/") and len(name) > 9}, PROGRAMS)
        for name in ("/lib/systemd/system/lockstep-scheduler.service", "/lib/systemd/system/lockstep-snapshot-agent@.service",
                     "/lib/systemd/system/lockstep-control.target", "/usr/share/bash-completion/completions/lockstep",
                     "/usr/share/zsh/vendor-completions/_lockstep", "/usr/share/man/man1/lockstep.1.gz",
                     "/usr/share/doc/lockstep/operations.md", "/usr/share/doc/lockstep/copyright",
                     "/usr/share/doc/lockstep/components/files.md", "/usr/share/doc/lockstep/examples/haproxy.cfg",
                     "/usr/share/lockstep/rules/lockstep.yml"):
            self.assertIn(name, rows)
            self.assertEqual(rows[name][0], "-rw-r--r--", name)
        self.assertEqual({row[1] for row in rows.values()}, {"root/root"})
        needs = sh("dpkg-deb", "--field", self.package, "Depends").stdout
        for library in ("libzmq5", "libsqlite3-0", "libssl3", "libc6"):
            self.assertIn(library, needs)

    def test_what_a_document_leads_to_is_in_the_package_too(self):
        with tempfile.TemporaryDirectory() as place:
            sh("dpkg-deb", "-x", self.package, place)
            documents, links = os.path.join(place, "usr/share/doc/lockstep"), 0
            for folder, _, names in os.walk(documents):
                for name in names:
                    if not name.endswith(".md"):
                        continue
                    with open(os.path.join(folder, name), encoding="utf-8") as handle:
                        text = handle.read()
                    # Links, and documents named in passing, which stand as seen from the top.
                    wanted = [os.path.join(folder, one) for one in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
                    wanted += [os.path.join(documents, one) for one in re.findall(r"\bdocs/[a-z/-]+\.(?:md|yaml)", text)]
                    for path in wanted:
                        self.assertTrue(os.path.exists(path), f"{name}: {path[len(documents):]}")
                        links += 1
            self.assertGreater(links, 50)

    def test_the_units_are_sound(self):
        with tempfile.TemporaryDirectory() as place:
            sh("dpkg-deb", "-x", self.package, place)
            units = os.path.join(place, "lib/systemd/system")
            # As they would lie on a host that has the programs.
            for name in os.listdir(units):
                path = os.path.join(units, name)
                with open(path, encoding="utf-8") as handle:
                    text = handle.read().replace("/usr/bin/lockstep", place + "/usr/bin/lockstep")
                text = text.replace("User=lockstep\n", "").replace("Documentation=man:lockstep(1)\n", "")
                with open(path, "w", encoding="utf-8") as handle:
                    handle.write(text)
            for name in sorted(os.listdir(units)):
                unit = name.replace("@.", "@north.")
                done = sh("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", os.path.join(units, unit), ok=None)
                self.assertEqual([line for line in done.stderr.splitlines() if "lockstep" in line], [], name)

    @unittest.skipIf(os.geteuid() != 0, "needs root for a root of its own")
    def test_it_installs_is_upgraded_and_goes_and_keys_and_journals_stay(self):
        sh(os.path.join(ROOT, "tests/compose/engine"), "base", env={**os.environ, "LAB": LAB})
        root = os.path.join(self.place, "root")
        os.makedirs(root)
        sh("tar", "-xf", os.path.join(LAB, "base.tar"), "-C", root)
        shutil.copy("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
        with open(os.path.join(root, "usr/sbin/policy-rc.d"), "w", encoding="ascii") as handle:
            handle.write("#!/bin/sh\nexit 101\n")
        os.chmod(os.path.join(root, "usr/sbin/policy-rc.d"), 0o755)

        def inside(*words, **options):
            return sh("chroot", root, *words, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                                                   "LC_ALL": "C.UTF-8"}, **options)
        inside("apt-get", "-qq", "update")
        for package in (self.package, self.newer):
            shutil.copy(package, os.path.join(root, "tmp"))
        inside("apt-get", "-qq", "install", "-y", "--no-install-recommends", "/tmp/" + os.path.basename(self.package))
        self.assertRegex(inside("lockstep", "--version").stdout, r"^lockstep \d")
        self.assertIn("lockstep", inside("getent", "passwd", "lockstep").stdout)
        self.assertEqual(inside("stat", "-c", "%U %a", "/var/lib/lockstep").stdout.split(), ["lockstep", "700"])
        # A site of this host, its keys and a journal.
        inside("lockstep", "init", "/etc/lockstep/site", "--local")
        site = "/etc/lockstep/site/lockstep.yaml"
        inside("sed", "-i", "s|^state: .*|state: /var/lib/lockstep|", site)
        journal = os.path.join(root, "var/lib/lockstep/scheduler.db")
        self.serve_once(root, site)
        kept = self.incarnation(journal)
        inside("apt-get", "-qq", "install", "-y", "--no-install-recommends", "/tmp/" + os.path.basename(self.newer))
        self.assertIn("99.0", inside("dpkg-query", "-W", "lockstep").stdout)
        self.serve_once(root, site)
        self.assertEqual(self.incarnation(journal), kept)
        # What a newer version has written an older one leaves alone, and says so.
        with contextlib.closing(sqlite3.connect(journal)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute(f"PRAGMA user_version = {version + 1}")
        with open(journal, "rb") as handle:
            before = handle.read()
        refused = inside("lockstep-scheduler", "--config", site, "--name", "scheduler", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("was written by a newer version; upgrade this program", refused.stderr)
        self.assertIn("journal-newer", refused.stderr)
        with open(journal, "rb") as handle:
            self.assertEqual(handle.read(), before)
        inside("dpkg", "--purge", "lockstep")
        self.assertNotEqual(inside("sh", "-c", "command -v lockstep", ok=None).returncode, 0)
        inside("test", "-s", "/var/lib/lockstep/scheduler.db")
        inside("test", "-s", "/etc/lockstep/site/keys/user.key")

    def serve_once(self, root, site):
        """The scheduler in `root`, until it serves; then it ends cleanly."""
        with subprocess.Popen(["chroot", root, "/usr/bin/lockstep-scheduler", "--config", site, "--name", "scheduler"],
                              stderr=subprocess.PIPE, text=True) as process:
            said = []
            for line in process.stderr:
                said.append(line)
                if " serves at " in line:
                    process.terminate()
            self.assertEqual(process.wait(60), 0, "".join(said))

    @staticmethod
    def incarnation(journal):
        with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
            return database.execute("SELECT value FROM journal_meta WHERE key = 'incarnation'").fetchone()[0]


if __name__ == "__main__":
    unittest.main(verbosity=1)
