"""A NameNode that asks for Kerberos, with a Kerberos server of its own (Hadoop's MiniKdc): for what a client without
tickets is told. There is no DataNode: nobody gets that far."""
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from hadoop import BESIDE, NAMENODE, Cluster, Failed, jars

REALM = "EXAMPLE.COM"


class Secured(Cluster):
    """Stands for the cluster `name` of a site, beside the one of that name that hadoop.py starts."""

    def __init__(self, name):
        super().__init__(name, base=BESIDE["secured"], home="secured")
        self.serving = ("kdc", "namenode")
        self.kdc = os.path.join(self.home, "kdc")
        keytab = self.kdc + "/keytab"
        self.more = {"dfs.namenode.kerberos.principal": f"nn/localhost@{REALM}", "dfs.namenode.keytab.file": keytab,
                     "dfs.namenode.kerberos.internal.spnego.principal": f"HTTP/localhost@{REALM}",
                     "dfs.web.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                     "dfs.web.authentication.kerberos.keytab": keytab, "dfs.block.access.token.enable": "true"}

    def write_configuration(self, **more):
        super().write_configuration(**more)
        core = os.path.join(self.conf, "core-site.xml")
        with open(core, encoding="utf-8") as handle:
            text = handle.read()
        secret = self.home + "/secret"
        with open(secret, "w", encoding="utf-8") as handle:
            handle.write("of the signatures of its cookies")
        added = {"hadoop.security.authentication": "kerberos", "hadoop.http.authentication.type": "kerberos",
                 "hadoop.http.authentication.kerberos.principal": f"HTTP/localhost@{REALM}",
                 "hadoop.http.authentication.kerberos.keytab": self.kdc + "/keytab",
                 "hadoop.http.authentication.signature.secret.file": secret}
        properties = "".join(f"<property><name>{key}</name><value>{value}</value></property>\n" for key, value in added.items())
        with open(core, "w", encoding="utf-8") as handle:
            handle.write(text.replace("</configuration>", properties + "</configuration>"))

    def begin(self, **more):
        shutil.rmtree(self.home, ignore_errors=True)
        self.write_configuration(**more)
        os.makedirs(self.kdc)
        with open(self.kdc + "/conf", "w", encoding="utf-8") as handle:
            handle.write(f"org.name=EXAMPLE\norg.domain=COM\nkdc.bind.address=127.0.0.1\nkdc.port={self.rpc + 60}\n"
                         "instance=DefaultKrbServer\nmax.ticket.lifetime=86400000\nmax.renewable.lifetime=604800000\n"
                         "transport=TCP\ndebug=false\n")
        self.launch("kdc", "org.apache.hadoop.minikdc.MiniKdc", self.kdc, self.kdc + "/conf", self.kdc + "/keytab",
                    "nn/localhost", "HTTP/localhost", classpath=f"{self.conf}:{jars('kdc/pom.xml')}/*")
        deadline = time.monotonic() + 200
        while not all(os.path.exists(f"{self.kdc}/{name}") for name in ("krb5.conf", "keytab")):
            self.check_alive("kdc", deadline)
            time.sleep(0.1)
        time.sleep(1)  # the keytab is written whole
        ticket = f"-Djava.security.krb5.conf={self.kdc}/krb5.conf"
        made = subprocess.run(self.java(self.classpath(), 256, ticket, NAMENODE, "-format", "-nonInteractive"),
                              capture_output=True, text=True, check=False, env=self.environment())
        if made.returncode != 0:
            raise Failed(f"{self.name}: the NameNode could not be formatted:\n{made.stderr[-2000:]}")
        self.launch("namenode", ticket, NAMENODE)

    def serves(self):
        """It answers, and what it answers is that it wants Kerberos."""
        try:
            urllib.request.urlopen(self.url + "/webhdfs/v1/?op=GETFILESTATUS&user.name=hdfs", timeout=5).close()
        except urllib.error.HTTPError as refused:
            return refused.code == 401 and "Negotiate" in refused.headers.get_all("WWW-Authenticate", [])
        except OSError:
            return False
        raise Failed(f"{self.name}: the NameNode wants no Kerberos")
