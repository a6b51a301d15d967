"""An HDFS whose web servers speak TLS, with certificates that keytool makes: a CA, and what it signed for 127.0.0.1.
They speak plain HTTP too, which the tests' own reader uses."""
import os
import shutil
import subprocess

from hadoop import BESIDE, Cluster, Failed

PASSWORD = "changeit"


class Tls(Cluster):
    """Stands for the cluster `name` of a site, beside the one of that name that hadoop.py starts."""

    def __init__(self, name):
        super().__init__(name, base=BESIDE["tls"], home="tls")
        self.https = self.http + 1
        self.secure_url = f"https://127.0.0.1:{self.https}"
        self.keys = os.path.join(self.home, "keys")
        self.ca, self.wrong_ca = (f"{self.keys}/{name}.pem" for name in ("ca", "other"))
        self.urls, self.settings = [self.secure_url], {"ca": self.ca}
        self.more.update({"dfs.http.policy": "HTTP_AND_HTTPS", "dfs.namenode.https-address": f"127.0.0.1:{self.https}",
                          "dfs.datanode.https.address": f"127.0.0.1:{self.http - 5}"})

    def keytool(self, *words):
        home = os.environ.get("JAVA_HOME")
        done = subprocess.run([os.path.join(home, "bin/keytool") if home else "keytool", *words, "-storepass", PASSWORD],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"keytool {words}: {done.stdout}{done.stderr}")

    def make_certificates(self):
        store = ["-keystore", self.keys + "/server.p12"]
        new = ["-genkeypair", "-keyalg", "RSA", "-validity", "30"]
        for name in ("ca", "other"):
            own = ["-keystore", f"{self.keys}/{name}.p12"]
            self.keytool(*new, *own, "-alias", name, "-dname", "CN=" + name, "-ext", "bc:c")
            self.keytool("-exportcert", "-rfc", *own, "-alias", name, "-file", f"{self.keys}/{name}.pem")
        self.keytool(*new, *store, "-alias", "server", "-dname", "CN=hdfs")
        self.keytool("-certreq", *store, "-alias", "server", "-file", self.keys + "/request")
        self.keytool("-gencert", "-keystore", self.keys + "/ca.p12", "-alias", "ca", "-validity", "30", "-rfc",
                     "-ext", "san=ip:127.0.0.1", "-infile", self.keys + "/request", "-outfile", self.keys + "/server.pem")
        self.keytool("-importcert", "-noprompt", *store, "-alias", "ca", "-file", self.ca)
        self.keytool("-importcert", "-noprompt", *store, "-alias", "server", "-file", self.keys + "/server.pem")

    def write_configuration(self, **more):
        super().write_configuration(**more)
        properties = {f"ssl.server.{kind}.{key}": value for kind in ("keystore", "truststore") for key, value in
                      (("location", self.keys + "/server.p12"), ("password", PASSWORD), ("type", "pkcs12"))}
        properties["ssl.server.keystore.keypassword"] = PASSWORD
        with open(os.path.join(self.conf, "ssl-server.xml"), "w", encoding="utf-8") as handle:
            handle.write("<configuration>\n" + "".join(f"<property><name>{key}</name><value>{value}</value></property>\n"
                                                       for key, value in properties.items()) + "</configuration>\n")

    def begin(self, **more):
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.keys)
        self.make_certificates()
        super().begin(**more)
