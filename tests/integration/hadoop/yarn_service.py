"""A service of whose sets jobs on YARN carry the content: the jobs of a test, and what must be left of them."""
import json
import time
import urllib.request

from service import HadoopService  # it finds the modules below
from hdfs_tree import Hdfs, Refused


class YarnService(HadoopService):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for cluster in cls.clusters.values():
            if not cluster.serves_yarn():
                raise AssertionError(f"{cluster.name}'s YARN is not up; start it with tests/integration/hadoop/hadoop.py yarn")

    def setUp(self):
        super().setUp()
        self.since = time.time() * 1000

    def jobs(self, cluster):
        """Those of this test's run, oldest first."""
        with urllib.request.urlopen(self.clusters[cluster].yarn_url + "/ws/v1/cluster/apps", timeout=20) as answer:
            apps = json.load(answer)["apps"]
        return sorted((app for app in (apps or {}).get("app", []) if self.since <= app["startedTime"]), key=lambda app: app["startedTime"])

    def running(self, cluster):
        return any(job["state"] == "RUNNING" for job in self.jobs(cluster))

    def end_job(self, cluster, user):
        """The oldest that runs, by somebody else than us. Returns its id."""
        job = next(job["id"] for job in self.jobs(cluster) if job["state"] == "RUNNING")
        request = urllib.request.Request(f"{self.clusters[cluster].yarn_url}/ws/v1/cluster/apps/{job}/state?user.name={user}",
                                         data=b'{"state":"KILLED"}', method="PUT", headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
        return job

    def carried_how(self, point, name):
        return " ".join(self.certificate_of(point, name)["caveats"])

    def assert_no_jobs_left(self, user):
        for name, cluster in self.clusters.items():
            self.assertEqual([job["id"] for job in self.jobs(name) if job["state"] not in ("FINISHED", "FAILED", "KILLED")], [])
            hdfs = Hdfs(cluster.url)
            try:
                staged = [one["pathSuffix"] for one in hdfs.list(f"/tmp/hadoop-yarn/staging/{user}/.staging")]
            except Refused as refused:  # nobody ran a job there
                self.assertIn("FileNotFound", str(refused))
                staged = []
            finally:
                hdfs.close()
            self.assertEqual(staged, [])
