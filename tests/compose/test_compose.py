#!/usr/bin/python3
"""compose.yaml for real: an engine, the image, `docker compose --profile demo up -d --wait`; then containers are
killed, paused and cut off while runs are under way, and every point that is listed verifies. Needs root; an image
registry is not needed (tests/compose/engine).

    LOCKSTEP_COMPOSE=WORD,...    of the grids of --full only the lines that hold one of the words ("policy paused")
"""
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("LOCKSTEP_BIN", os.path.join(ROOT, "build/bin"))
FULL = os.environ.get("LOCKSTEP_TEST_FULL") == "1"
LAB = os.environ.get("LAB", os.path.join(ROOT, "build/compose-lab"))
ENGINE = os.path.join(ROOT, "tests/compose/engine")
PROJECT = "lockstep-test"
SERVICES = {"policy", "scheduler", "health-monitor", "gateway", "north-snapshot", "north-transfer", "south-snapshot",
            "south-transfer"}

ONLY = [word for word in os.environ.get("LOCKSTEP_COMPOSE", "").split(",") if word]
DELAYS = (0.5, 1.5, 2.2, 2.8, 3.5)     # of a disturbance, into a run: before, at and after the moment, and while it moves


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for a container engine")
        cls.begun = time.monotonic()
        cls.environment = {**os.environ, "LAB": LAB, "DOCKER_HOST": f"unix://{LAB}/run/docker.sock",
                           "DOCKER_CONFIG": f"{LAB}/cfg", "PATH": f"{LAB}/root/usr/bin:" + os.environ["PATH"],
                           "COMPOSE_PROJECT_NAME": PROJECT, "COMPOSE_PROFILES": "demo", "LOCKSTEP_HTTP_PORT": "19480",
                           "LOCKSTEP_FEED_PORT": "17403", "LOCKSTEP_PROMETHEUS_PORT": "19490",
                           "LOCKSTEP_ALERTMANAGER_PORT": "19493", "PROMETHEUS_IMAGE": PROJECT + "-prometheus",
                           "ALERTMANAGER_IMAGE": PROJECT + "-alertmanager", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        cls.sh(ENGINE, "up", timeout=600)
        if not os.environ.get("LOCKSTEP_KEEP_ENGINE"):      # for whoever works on this test
            cls.addClassCleanup(cls.sh, ENGINE, "down", timeout=200, ok=None)
        cls.build()
        cls.addClassCleanup(cls.compose, "down", "-v", "-t", "10", "--remove-orphans", timeout=200, ok=None)
        cls.tell("the image is there")
        done = cls.compose("up", "-d", "--wait", timeout=600, ok=None)
        cls.tell("up")
        if done.returncode != 0:
            raise AssertionError(done.stderr[-3000:] + cls.compose("ps", "-a", ok=None).stdout
                                 + cls.compose("logs", "--tail", "30", ok=None).stdout[-8000:])

    @classmethod
    def tell(cls, what):
        print(f"   {time.monotonic() - cls.begun:.0f} s: {what}", flush=True)

    @classmethod
    def sh(cls, *words, timeout=120, ok=(0,)):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=timeout, check=False,
                              env=cls.environment, cwd=ROOT)
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"{words} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    @classmethod
    def compose(cls, *words, **options):
        return cls.sh("docker", "compose", *words, **options)

    @classmethod
    def build(cls):
        """The image as deploy/Dockerfile says; its programs are this host's, or, with --full, compiled there."""
        words = ["docker", "build", "-q", "-f", "deploy/Dockerfile", "-t", "lockstep"]
        place = tempfile.mkdtemp(prefix="lockstep-image-")
        try:
            if not FULL:
                os.makedirs(os.path.join(place, "programs"))
                for name in os.listdir(BIN):
                    if name == "ledger-writer" or name.startswith("lockstep"):
                        shutil.copy2(os.path.join(BIN, name), os.path.join(place, "programs"))
                words += ["--build-context", "build=" + place]
            cls.sh(*words, ".", timeout=3600)
        finally:
            shutil.rmtree(place)

    def cli(self, *words, **options):
        return self.compose("run", "--rm", "-T", "--no-deps", "cli", *words, **options)

    def json(self, *words, **options):
        return json.loads(self.cli(*words, "--json", **options).stdout)

    def container(self, service):
        return f"{PROJECT}-{service}-1"

    def wait_for(self, what, seconds=120):
        deadline = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            self.assertLess(time.monotonic(), deadline, self.compose("ps", "-a", ok=None).stdout
                            + self.compose("logs", "--tail", "15", ok=None).stdout[-6000:])
            time.sleep(1)

    def healthy(self):
        rows = [json.loads(line) for line in self.compose("ps", "--format", "json").stdout.splitlines() if line]
        return {row["Service"] for row in rows if row["Health"] == "healthy"}

    def run_of(self, *words):
        """A run in the background: its process."""
        return subprocess.Popen(["docker", "compose", "run", "--rm", "-T", "--no-deps", "cli", "run", "orders", "--wait",
                                 "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, cwd=ROOT)

    def assert_all_is_well(self, of_all=False):
        """Everybody is back, another run makes a point, the points listed verify (the newest, or all of them), nothing
        is left behind."""
        self.wait_for(lambda: SERVICES <= self.healthy(), 240)
        point = self.wait_for(self.point_of_another_run, 600)
        points = self.json("points", "orders")
        self.assertIn(point, [one["id"] for one in points])
        for one in points if of_all and FULL else points[:6 if FULL else 2]:
            self.assertTrue(self.json("verify", one["id"], timeout=300)["ok"])
        left = self.compose("exec", "-T", "south-transfer", "sh", "-c", "ls -d /srv/south/*/.lockstep/staging/*/*/* "
                            "/srv/south/.lockstep/staging/*/*/* 2>/dev/null || true").stdout
        self.assertEqual(left, "")

    def point_of_another_run(self):
        """Nothing while one is under way: a run that failed is followed by others, by itself."""
        if [run for run in self.json("runs", "orders") if run["state"] not in ("complete", "failed", "aborted", "missed")]:
            return None
        said = self.json("run", "orders", "--wait", ok=(0, 3), timeout=300)
        if "error" in said:
            self.assertEqual(said["error"]["code"], "run-busy")
            return None
        return said["point"]

    def test_1_a_pushed_and_a_pulled_point_verified_are_listed(self):
        text = self.cli("points").stdout
        points = self.json("points", "orders")
        self.assertEqual(sorted(point["mode"] for point in points), ["pull", "push"], text)
        self.assertTrue(all(point["verified_ok"] and point["consistency"] == "fenced" for point in points))
        self.tell("a pushed and a pulled point, verified")
        # A machine that is busy may let one of them miss a question: who is well answers the next.
        self.wait_for(lambda: SERVICES <= self.healthy())
        self.wait_for(lambda: self.json("doctor", ok=(0, 1))["ok"])

    def test_2_nobody_is_root_and_keys_and_networks_are_apart(self):
        for service in sorted(SERVICES):
            with self.subTest(service):
                inside = self.compose("exec", "-T", service, "sh", "-c", "id -u; ls /etc/lockstep/keys").stdout.split()
                self.assertEqual(inside[0], "10001")
                secret = {name for name in inside[1:] if not name.endswith(".pub")}
                own = {service + ".key"} | ({service + ".sign"} if "transfer" in service else set()) \
                    | ({"token"} if service == "gateway" else set())
                self.assertEqual(secret, own)
        networks = {service: set(json.loads(self.sh("docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}",
                                                    self.container(service)).stdout)) for service in SERVICES}
        self.assertFalse(networks["scheduler"] & networks["north-transfer"] & networks["south-transfer"])
        self.assertEqual(networks["north-transfer"] & networks["south-transfer"], {PROJECT + "_between"})
        self.assertNotIn(PROJECT + "_between", networks["scheduler"] | networks["policy"] | networks["gateway"])

    def test_3_the_status_page_and_metrics_are_at_the_host_with_the_token(self):
        token = self.compose("exec", "-T", "gateway", "cat", "/etc/lockstep/keys/token").stdout.strip()

        def get(path, **headers):
            with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:19480" + path, headers=headers), timeout=20) as answer:
                return answer.read().decode()
        with self.assertRaises(urllib.error.HTTPError):
            get("/metrics")
        self.assertIn('lockstep_point_age_seconds{service="orders"}', get("/metrics", Authorization="Bearer " + token))
        self.assertIn("orders", get("/", Authorization="Bearer " + token))

    def test_3b_the_profile_monitoring_scrapes_and_its_rules_alarm_for_an_rpo_that_is_missed(self):
        self.sh("promtool", "check", "config", "--syntax-only", os.path.join(ROOT, "deploy/compose/prometheus.yml"))
        self.monitoring_images()
        self.compose("--profile", "monitoring", "up", "-d", "prometheus", "alertmanager", timeout=300)
        self.wait_for(lambda: self.ask_prometheus("query?query=lockstep_point_age_seconds")["result"])
        self.wait_for(lambda: self.get_json(19493, "api/v2/status"))
        names = {rule["name"] for group in self.ask_prometheus("rules")["groups"] for rule in group["rules"]}
        self.assertIn("LockstepRecoveryPointTooOld", names)
        # From now on it is missed; that somebody is told of it is looked at in the end.
        self.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "cli", "-c",
                     "sed 's/MODE/push/; s/rpo: 1h/rpo: 1s/' /usr/share/lockstep/compose/orders.yaml >/tmp/orders.yaml && "
                     "lockstep policy apply /tmp/orders.yaml")
        self.tell("watched by Prometheus")

    def monitoring_images(self):
        """Debian's Prometheus and Alertmanager in images laid out as those of the registry, which need not be there."""
        place = tempfile.mkdtemp(prefix="lockstep-monitoring-")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        for name, data, words in (("prometheus", "/prometheus", ["--config.file=/etc/prometheus/prometheus.yml",
                                                                 "--storage.tsdb.path=/prometheus"]),
                                  ("alertmanager", "/alertmanager", ["--config.file=/etc/alertmanager/alertmanager.yml",
                                                                     "--storage.path=/alertmanager"])):
            program = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}[name]
            shutil.copy2(shutil.which(program), place)
            # Debian's Alertmanager has its templates beside itself, not inside.
            shared = "/usr/share/prometheus/alertmanager"
            shutil.copytree(shared, os.path.join(place, "shared"), dirs_exist_ok=True)
            with open(os.path.join(place, name + ".docker"), "w", encoding="ascii") as handle:
                handle.write(f"FROM debian:bookworm-slim\nCOPY {program} /bin/{name}\nCOPY shared {shared}\nRUN install -d -o 65534 -g 65534 {data}\n"
                             f"USER 65534\nWORKDIR {data}\nENTRYPOINT [\"/bin/{name}\"]\nCMD {json.dumps(words)}\n")
            self.sh("docker", "build", "-q", "-f", os.path.join(place, name + ".docker"), "-t", PROJECT + "-" + name, place, timeout=300)

    @staticmethod
    def get_json(port, path):
        """Nothing while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
                return json.load(answer)
        except OSError:
            return None

    def ask_prometheus(self, path):
        return (self.get_json(19490, "api/v1/" + path) or {"data": {"result": [], "groups": []}})["data"]

    def test_4_containers_that_die_come_back_and_points_stay_whole(self):
        # A run arms for two seconds, pins, and moves what changed: before, at and after the moment.
        times = (("scheduler", 1.0), ("north-snapshot", 2.2), ("south-transfer", 3.0))
        if FULL:
            times = [(service, delay / 4) for service in sorted(SERVICES - {"gateway"}) for delay in range(1, 18, 2)]
        for service, delay in times:
            with self.subTest(service, delay=delay):
                run = self.run_of()
                time.sleep(delay)
                pid = self.sh("docker", "inspect", "-f", "{{.State.Pid}}", self.container(service)).stdout.strip()
                self.sh("kill", "-KILL", pid)     # `docker kill` would keep it down
                run.communicate(timeout=300)
                self.wait_for(lambda: SERVICES <= self.healthy(), 240)
        self.assert_all_is_well(of_all=True)
        self.tell("killed and back")

    @unittest.skipUnless(FULL, "with --full")
    def test_5b_whoever_is_paused_in_any_phase_leaves_points_whole(self):
        for service in self.chosen("{} paused"):
            for delay in DELAYS:
                with self.subTest(service, paused_at=delay):
                    self.disturb(delay, lambda name=service: self.pause(name), lambda name=service: self.unpause(name))
            self.assert_all_is_well()
            self.tell(f"{service} paused")
        self.assert_all_is_well(of_all=True)

    @unittest.skipUnless(FULL, "with --full")
    def test_5c_whoever_is_cut_off_from_a_network_in_any_phase_leaves_points_whole(self):
        for service in self.chosen("{} cut off"):
            for network in self.networks_of(service):
                for delay in DELAYS:
                    with self.subTest(service, network=network, cut_at=delay):
                        words = ("docker", "network", "connect", "--alias", service, network, self.container(service))
                        self.disturb(delay, lambda: self.sh("docker", "network", "disconnect", network, self.container(service)),
                                     lambda: self.sh(*words))
                self.assert_all_is_well()
                self.tell(f"{service} cut off from {network}")
        self.assert_all_is_well(of_all=True)

    @staticmethod
    def chosen(line):
        return [service for service in sorted(SERVICES - {"gateway"})
                if not ONLY or any(word in line.format(service) for word in ONLY)]

    def networks_of(self, service):
        return sorted(json.loads(self.sh("docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}",
                                         self.container(service)).stdout))

    def disturb(self, delay, begin, end):
        """A run is under way, and for some seconds something is not as it should be. The run may fail; it ends."""
        run = self.run_of()
        time.sleep(delay)
        try:
            begin()
            time.sleep(4)
        finally:
            end()
        run.communicate(timeout=400)

    def pause(self, name):
        """Where a busy host does not come to freezing every process in time, runc gives up: it is asked again."""
        pid = self.sh("docker", "inspect", "-f", "{{.State.Pid}}", self.container(name)).stdout.strip()
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as handle:
            self.cgroups = dict(line.rstrip("\n").split(":", 2)[1:] for line in handle)
        for left in range(9, -1, -1):
            try:
                done = self.sh("docker", "pause", self.container(name), timeout=30, ok=None)
            except subprocess.TimeoutExpired:       # it may come to it later
                self.unpause(name)
                continue
            if done.returncode == 0:
                return
            if "unable to freeze" not in done.stderr or not left:
                raise AssertionError(done.stderr)
            time.sleep(1)
        self.fail(f"{name} cannot be paused")

    def unpause(self, name):
        """Whatever became of pausing it. Where a health check was begun just as the container froze, the engine waits
        for that check, which is frozen, and thaws nothing any more: the kernel is asked in its place. The engine, which
        calls the container paused still, then thaws nothing that is not frozen: it finds it frozen the next time."""
        def goes_on():
            with subprocess.Popen(["docker", "unpause", self.container(name)], env=self.environment,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asked:
                try:
                    asked.wait(15)
                except subprocess.TimeoutExpired:
                    self.freeze(False)
                    asked.wait(60)
            if self.sh("docker", "inspect", "-f", "{{.State.Paused}}", self.container(name)).stdout.strip() == "false":
                return True
            if asked.returncode != 0:
                self.freeze(True)
            return False
        self.wait_for(goes_on)

    def freeze(self, frozen):
        """cgroups(7), of either version."""
        if "freezer" in self.cgroups:
            file, word = f"/sys/fs/cgroup/freezer{self.cgroups['freezer']}/freezer.state", "FROZEN" if frozen else "THAWED"
        else:
            file, word = f"/sys/fs/cgroup{self.cgroups['']}/cgroup.freeze", str(int(frozen))
        with open(file, "w", encoding="ascii") as handle:
            handle.write(word)

    def test_5_a_network_that_is_cut_between_the_clusters_and_a_container_that_is_paused(self):
        run = self.run_of()
        time.sleep(1)
        self.sh("docker", "network", "disconnect", PROJECT + "_between", self.container("south-transfer"))
        self.pause("north-snapshot")
        time.sleep(5)
        self.unpause("north-snapshot")
        self.sh("docker", "network", "connect", "--alias", "south-transfer", PROJECT + "_between",
                self.container("south-transfer"))
        run.communicate(timeout=400)
        self.assert_all_is_well()
        self.tell("cut, paused and healed")

    def test_6_somebody_was_told_of_the_rpo_that_is_missed(self):
        def told():
            alerts = self.get_json(19493, "api/v2/alerts") or []
            return {(one["labels"]["alertname"], one["labels"].get("service")) for one in alerts}
        self.wait_for(lambda: ("LockstepRecoveryPointTooOld", "orders") in told(), 240)

    def test_7_it_ends_cleanly(self):
        begun = time.monotonic()
        self.compose("stop", "-t", "25", timeout=120)
        for service in sorted(SERVICES):
            code = self.sh("docker", "inspect", "-f", "{{.State.ExitCode}}", self.container(service)).stdout.strip()
            self.assertEqual(code, "0", service)
        self.tell(f"stopped in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    unittest.main(verbosity=1)
