"""A real slapd of OpenLDAP in a directory of its own, on a Unix socket, with one tree of people, groups and roles."""
import os
import shutil
import subprocess
import tempfile
import time

SLAPD = "/usr/sbin/slapd"
BASE = "dc=example,dc=org"
CONF = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {home}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb.so
moduleload ppolicy.so
moduleload syncprov.so
sizelimit 500
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw {password}
directory {home}/db
maxsize 1073741824
index objectClass,entryCSN,entryUUID,uid eq
overlay ppolicy
{syncprov}
"""
TREE = """dn: {base}
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=system,{base}
objectClass: organizationalUnit
ou: system

"""


class Slapd:
    def __init__(self, syncprov=True, password="let me in"):
        self.home = tempfile.mkdtemp(prefix="lockstep-slapd-", dir="/dev/shm")
        self.password, self.process = password, None
        self.url = "ldapi://" + (self.home + "/socket").replace("/", "%2F")
        os.makedirs(self.home + "/db")
        with open(self.home + "/slapd.conf", "w", encoding="utf-8") as handle:
            handle.write(CONF.format(home=self.home, base=BASE, password='"' + password + '"',
                                     syncprov="overlay syncprov" if syncprov else ""))
        self.password_file = self.home + "/password"
        with open(os.open(self.password_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as handle:
            handle.write(password + "\n")
        self.load(TREE.format(base=BASE))

    def load(self, ldif):
        """While it does not run."""
        subprocess.run(["/usr/sbin/slapadd", "-q", "-f", self.home + "/slapd.conf"], input=ldif.encode(), check=True,
                       capture_output=True)

    def start(self):
        with open(self.home + "/log", "ab") as log:
            self.process = subprocess.Popen([SLAPD, "-f", self.home + "/slapd.conf", "-h", self.url, "-d", "0"],
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.home + "/socket"):
            assert self.process.poll() is None and time.monotonic() < deadline, open(self.home + "/log").read()
            time.sleep(0.05)
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        if os.path.exists(self.home + "/socket"):
            os.unlink(self.home + "/socket")

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def directory(self, own=""):
        """What lockstep.yaml says of it."""
        return (f'{{store: ldap, url: "{self.url}", base: "{BASE}", bind: "cn=admin,{BASE}", '
                f'password_file: {self.password_file}, users: [ou=people], groups: [ou=groups], roles: [ou=roles]{own}}}')

    def entries(self):
        """All entries below the base, read by slapcat: {dn: {attribute: {value}}}, operational ones too."""
        text = subprocess.run(["/usr/sbin/slapcat", "-f", self.home + "/slapd.conf", "-o", "ldif-wrap=no"], check=True,
                              capture_output=True, text=True).stdout
        out = {}
        for block in text.split("\n\n"):
            entry = {}
            for line in block.splitlines():
                name, value = line.split(":", 1)
                entry.setdefault(name.lower(), set()).add(value.strip())
            if entry:
                out[next(iter(entry.pop("dn"))).lower()] = entry
        return out

    def modify(self, ldif):
        subprocess.run(["/usr/bin/ldapmodify", "-x", "-H", self.url, "-D", "cn=admin," + BASE, "-y", self.raw_password()],
                       input=ldif.encode(), check=True, capture_output=True)

    def raw_password(self):
        path = self.home + "/raw"
        if not os.path.exists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as handle:
                handle.write(self.password)
        return path


def unit(name):
    return f"dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n\n"


def person(uid, extra="", parent="ou=people"):
    return (f"dn: uid={uid},{parent},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
            f"mail: {uid}@example.org\nuserPassword: {{SSHA}}c2VjcmV0LW9m{uid}\n{extra}\n")


def group(name, members, tree="ou=groups"):
    text = f"dn: cn={name},{tree},{BASE}\nobjectClass: groupOfNames\ncn: {name}\n"
    return text + "".join(f"member: uid={uid},ou=people,{BASE}\n" for uid in members) + "\n"
