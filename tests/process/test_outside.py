#!/usr/bin/python3
"""What the gateway serves by HTTP, as those who use it see it: promtool and a real Prometheus with the rules of
deploy/, and the status page's text, headers and guards."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request

import harness
import client
from prometheus import Prometheus

RULES = os.path.join(harness.ROOT, "deploy/rules")
POLICY = """service: orders
mode: push
consistency: bounded
max_skew: 5s
rpo: RPO
data_sets:
  - {name: files, component: files, path: FILES}
"""


class Rules(unittest.TestCase):
    def promtool(self, *words):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_rules_are_sound_and_fire_on_the_absence_of_success(self):
        self.promtool("check", "rules", os.path.join(RULES, "lockstep.yml"))
        self.promtool("test", "rules", os.path.join(RULES, "lockstep-test.yml"))


class Outside(harness.SiteTest):
    def setUp(self):
        super().setUp()
        self.port = harness.free_port()
        with open(self.site.config, encoding="utf-8") as handle:
            lines = [f'    http: "127.0.0.1:{self.port}"' if line.startswith("    http:") else line
                     for line in handle.read().splitlines()]
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write("\n".join(lines) + "\n")
        self.files = os.path.join(self.site.north, "files")
        os.makedirs(self.files)
        with open(os.path.join(self.files, "one"), "w", encoding="utf-8") as handle:
            handle.write("text")

    def start(self, rpo="26h"):
        self.site.up()
        self.site.apply(POLICY.replace("FILES", self.files).replace("RPO", rpo))

    def get(self, path="/", method="GET", **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         headers={key.replace("_", "-"): value for key, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, problem.read().decode(), problem.headers

    def wait_for(self, what, seconds=120):
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = what()
                if found:
                    return found
            except (OSError, ValueError):
                pass
            self.assertLess(time.monotonic(), deadline, self.site.logs(10))
            time.sleep(0.5)

    def metrics(self):
        return self.get("/metrics")[1]

    def journals(self):
        """source: (cumulative buckets, count, sum) of lockstep_journal_write_seconds."""
        text, out = self.metrics(), {}
        for name, count in re.findall(r'^lockstep_journal_write_seconds_count{source="([^"]+)"} (\d+)$', text, re.M):
            buckets = re.findall(rf'^lockstep_journal_write_seconds_bucket{{source="{name}",le="[^"]+"}} (\d+)$', text, re.M)
            total = re.search(rf'^lockstep_journal_write_seconds_sum{{source="{name}"}} (\S+)$', text, re.M)[1]
            out[name] = (list(map(int, buckets)), int(count), float(total))
        return out

    def value(self, text, name, service="orders"):
        """Nothing where it is not told."""
        found = re.search(rf'^{name}{{service="{service}"}} (\S+)$', text, re.M)
        return float(found[1]) if found else None

    def test_metrics_are_clean_and_tell_of_the_point_that_was_made(self):
        self.site.hook("hold", '[ "$1" != pause ] || sleep 0.3\n')
        self.site.up()
        self.site.apply(POLICY.replace("FILES", self.files + ", fence: {hook: hold, timeout: 10s}").replace("RPO", "26h"))
        self.wait_for(lambda: 'lockstep_rpo_seconds{service="orders"} 93600' in self.metrics())
        self.assertNotIn("lockstep_point_age_seconds", self.metrics())
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.wait_for(lambda: 'lockstep_point_age_seconds{service="orders"}' in self.metrics())
        text = self.wait_for(lambda: 'lockstep_runs_total{service="orders",state="complete"} 1' in self.metrics()
                             and 'lockstep_cluster_healthy{cluster="south"} 1' in self.metrics() and self.metrics())
        for line in ('lockstep_scheduler_up 1', 'lockstep_rpo_met{service="orders"} 1', 'lockstep_identity_epoch 1',
                     'lockstep_cluster_primary{cluster="north"} 1', 'lockstep_cluster_healthy{cluster="south"} 1',
                     'lockstep_application_client{cluster="north"} 1', 'lockstep_health_monitor_up 1', 'lockstep_skew_seconds_count{service="orders"} 1'):
            self.assertIn(line + "\n", text)
        # What the point asked of the writers and of the network.
        self.assertEqual(self.value(text, "lockstep_pin_window_seconds_count"), 1)
        self.assertEqual(self.value(text, "lockstep_fence_seconds_count"), 1)
        self.assertGreaterEqual(self.value(text, "lockstep_fence_seconds_sum"), 0.3)
        with open(self.site.record(point), encoding="utf-8") as handle:
            sets = json.load(handle)["certificate"]["sets"]
        self.assertEqual(self.value(text, "lockstep_sent_bytes_total"), sum(one["bytes_sent"] for one in sets))
        self.assertEqual(self.value(text, "lockstep_sent_again_bytes_total"), 0)
        self.assertEqual(self.value(text, "lockstep_pins_pending"), 0)
        self.assertEqual(self.value(text, "lockstep_points_damaged"), 0)
        self.assertNotIn("lockstep_users_applied", text)    # this site has no directories
        # Every service's journal, in buckets that add up.
        services = {"policy", "scheduler", "health-monitor", "gateway", "north-snapshot", "north-transfer",
                    "south-snapshot", "south-transfer"}
        wrote = {"policy", "scheduler", "gateway", "north-snapshot", "south-transfer"}
        self.wait_for(lambda: wrote <= {name for name, (_, count, _) in self.journals().items() if count > 0})
        journals = self.journals()
        self.assertEqual(set(journals), services)
        for name, (buckets, count, total) in journals.items():
            self.assertEqual(buckets, sorted(buckets), name)
            self.assertEqual(buckets[-1], count, name)
            self.assertEqual(total > 0, count > 0, name)
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_a_policy_service_that_is_away_is_told_even_where_the_scheduler_forgot_what_to_miss(self):
        self.start()
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        up = 'lockstep_service_up{source="policy"} '
        self.wait_for(lambda: up + "1\n" in self.metrics() and 'lockstep_rpo_seconds{service="orders"}' in self.metrics())
        self.assertEqual(self.metrics().count("lockstep_service_up{"), 8)    # everybody's
        watcher = Prometheus(os.path.join(self.disks.base, "prometheus"), f"127.0.0.1:{self.port}", harness.free_port())
        self.addCleanup(watcher.close)
        self.wait_for(lambda: watcher.query("lockstep_service_up"))
        self.assertNotIn("LockstepPolicyAway", {name for name, _ in watcher.firing()})
        with client.Client(self.site.config, "user") as link:
            away = link.request("policy", "ping", {})["body"]["pid"]
            os.kill(away, signal.SIGSTOP)
            try:
                self.wait_for(lambda: up + "0\n" in self.metrics())
                self.assertIn("The policy service does not answer", self.get()[1])
                os.kill(link.request("scheduler", "ping", {})["body"]["pid"], signal.SIGKILL)
                self.wait_for(lambda: "nothing is backed up" in self.get()[1])
                self.assertNotIn("lockstep_rpo_seconds", self.metrics())
                self.wait_for(lambda: "LockstepPolicyAway" in {name for name, _ in watcher.firing()})
            finally:
                os.kill(away, signal.SIGCONT)
        self.wait_for(lambda: up + "1\n" in self.metrics() and "verdict good" in self.get()[1])
        self.wait_for(lambda: "LockstepPolicyAway" not in {name for name, _ in watcher.firing()})

    def test_pins_that_wait_for_the_secondary_and_a_damaged_point_are_told(self):
        self.site.up()
        self.site.apply(POLICY.replace("FILES", self.files).replace("RPO", "26h") + "stall: 3s\n")
        point = self.site.run("orders")["point"]
        self.wait_for(lambda: self.value(self.metrics(), "lockstep_points_damaged") == 0)
        with client.Client(self.site.config, "user") as link:
            pid = link.request("south-transfer", "ping", {})["body"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            self.site.cli("run", "orders")
            self.wait_for(lambda: self.value(self.metrics(), "lockstep_pins_pending") == 1)
            self.assertEqual(self.site.json("status")["services"][0]["pending"], 1)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.wait_for(lambda: self.value(self.metrics(), "lockstep_pins_pending") == 0
                      and len(self.site.json("points", "orders")) == 2)
        newest = next(one["id"] for one in self.site.json("points", "orders") if one["id"] != point)
        for one in (point, newest):
            self.assert_point_is_as_it_says(one)
        self.assert_same_tree(self.files, os.path.join(self.restore(newest), "files"))
        # Whoever looks later is told of the damage, too, not only who counted the event.
        with open(self.site.record(newest), encoding="utf-8") as handle:
            tree = json.load(handle)["sets"][0]["path"]
        subprocess.run(["btrfs", "property", "set", tree, "ro", "false"], check=False, stderr=subprocess.DEVNULL)
        at = os.stat(os.path.join(tree, "one"))
        with open(os.path.join(tree, "one"), "r+b") as handle:
            handle.write(b"T")
        os.utime(os.path.join(tree, "one"), ns=(at.st_atime_ns, at.st_mtime_ns))
        self.site.cli("verify", newest, ok=(1,))
        self.wait_for(lambda: self.value(self.metrics(), "lockstep_points_damaged") == 1)
        with client.Client(self.site.config, "user") as link:
            before = link.request("gateway", "ping", {})["body"]["pid"]
            os.kill(before, signal.SIGKILL)
        self.wait_for(lambda: "lockstep_points_damaged" in self.metrics())
        self.wait_for(lambda: self.value(self.metrics(), "lockstep_points_damaged") == 1)
        self.site.cli("point", "delete", newest)
        self.wait_for(lambda: self.value(self.metrics(), "lockstep_points_damaged") == 0)

    def test_drills_by_schedule_are_made_once_and_told(self):
        self.site.up()
        drill = 'drill: {schedule: {every: 2s}, check: [/bin/sh, -c, "CHECK"], max_age: AGE}\n'
        text = POLICY.replace("FILES", self.files).replace("RPO", "26h") + drill
        self.site.apply(text.replace("CHECK", "test -e files/one").replace("AGE", "1h"))

        def known():
            return self.site.json("status")["services"][0]["drill"]
        # Without a point there is nothing to bring up, and that is told.
        self.wait_for(lambda: any(event["type"] == "drill.missed" and event["data"]["error"]["code"] == "point-missing"
                                  for event in map(json.loads, self.site.cli("events", "--json").stdout.splitlines())))
        point = self.site.run("orders")["point"]
        self.wait_for(lambda: known().get("last_good", {}).get("point") == point)
        self.assertTrue(known()["met"])
        self.wait_for(lambda: 'lockstep_drill_met{service="orders"} 1' in self.metrics()
                      and 'lockstep_drill_age_seconds{service="orders"}' in self.metrics()
                      and 'lockstep_drills_total{outcome="good",service="orders"}' in self.metrics())
        self.assertRegex(self.site.cli("status").stdout, r"orders: last drill at .*good.*next at")
        # One that fails is told beside the last good one, which grows too old.
        self.site.apply(text.replace("CHECK", "echo no; exit 7").replace("AGE", "1s"))
        self.wait_for(lambda: known()["last"]["outcome"] == "check-failed" and not known()["met"])
        self.assertEqual(known()["last"]["exit_status"], 7)
        self.assertEqual(known()["last_good"]["outcome"], "good")
        self.wait_for(lambda: 'lockstep_drill_met{service="orders"} 0' in self.metrics())
        self.site.cli("policy", "pause", "orders")
        self.wait_for(lambda: "running" not in known() and "next" not in known())
        made = {one["drill"] for one in self.site.json("drill", "orders")}
        # What was intended when the scheduler died is made after its start, under the id it had: one that no
        # process ever said it would begin.
        self.site.down()
        self.site.environment["LOCKSTEP_FAILPOINT"] = "drill.wished.after"
        self.site.up()
        del self.site.environment["LOCKSTEP_FAILPOINT"]
        self.site.cli("policy", "resume", "orders")
        self.wait_for(lambda: "ended with 137" in self.site.logs(20))

        def begun():
            with open(os.path.join(self.site.base, "var/log/scheduler.log"), encoding="utf-8") as handle:
                return set(re.findall(r"drill (\S+) of orders begins", handle.read()))
        self.wait_for(lambda: {one["drill"] for one in self.site.json("drill", "orders")} - made - begun())
        self.site.cli("policy", "pause", "orders")
        self.wait_for(lambda: "running" not in known())
        self.assert_point_is_as_it_says(point)
        self.assertEqual([name for name in os.listdir(self.site.south) if name.startswith("drill-")], [])

    def test_the_page_is_whole_without_a_script_and_takes_nothing_from_elsewhere(self):
        self.start()
        self.wait_for(lambda: "orders" in self.get()[1])
        self.site.run("orders")
        status, text, headers = self.wait_for(lambda: "<svg" in self.get()[1] and self.get())
        self.assertEqual(status, 200)
        for word in ("north", "south", "primary", "secondary", "north-snapshot", "orders", "met", "http-equiv=refresh"):
            self.assertIn(word, text)
        self.assertNotRegex(text, r"(src|href)=\"?(https?:)?//")
        policy = headers["Content-Security-Policy"]
        self.assertTrue(policy.startswith("default-src 'none'"))
        self.assertNotIn("unsafe", policy)
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        client.Schemas().check("status.done", json.loads(self.get("/status.json")[1]))
        self.assertEqual(self.get("/health")[0], 200)
        self.assertEqual(self.get("/../lockstep.yaml")[0], 404)
        self.assertEqual(self.get("/", method="POST")[0], 405)
        # A page of elsewhere whose name was made to lead here (DNS rebinding).
        self.assertEqual(self.get("/", Host="evil.example")[0], 403)

    def test_a_fault_of_the_primary_is_shown_with_what_would_be_lost_and_the_command(self):
        self.start()
        point = self.site.run("orders")["point"]
        self.wait_for(lambda: "used by applications" in self.get()[1])
        self.assertNotIn("To take over", self.get()[1])
        subprocess.run(["mount", "-o", "remount,ro,bind", self.site.north], check=True)
        text = self.wait_for(lambda: "lockstep promote south" in self.get()[1] and self.get()[1])
        self.assertIn("verdict bad", text)
        moment = next(one["moment"] for one in self.site.json("points", "orders") if one["id"] == point)
        # The health-monitor learns of points a little later.
        self.wait_for(lambda: f"what was written after {moment[:19]} UTC would be lost" in self.get()[1])
        self.wait_for(lambda: 'lockstep_cluster_healthy{cluster="north"} 0' in self.metrics())
        subprocess.run(["mount", "-o", "remount,rw,bind", self.site.north], check=True)
        self.wait_for(lambda: "To take over" not in self.get()[1])

    def test_with_a_token_nothing_is_told_without_it(self):
        token = os.path.join(self.site.base, "token")
        with open(token, "w", encoding="ascii") as handle:
            handle.write("0123456789abcdef-secret\n")
        os.chmod(token, 0o600)
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text.replace("    http:", "    token_file: token\n    http:"))
        self.start()
        self.wait_for(lambda: self.get()[0] == 401)
        basic = base64.b64encode(b"any:0123456789abcdef-secret").decode()
        self.assertEqual(self.get("/metrics", Authorization="Bearer 0123456789abcdef-secret")[0], 200)
        self.assertEqual(self.get("/", Authorization="Basic " + basic)[0], 200)
        for wrong in ("Bearer 0123456789abcdef-secreT", "Bearer ", "Basic !!!!", "Basic " + basic[:-4]):
            self.assertEqual(self.get("/metrics", Authorization=wrong)[0], 401)
        self.assertNotIn("orders", self.get("/status.json")[1])

    def test_a_port_that_is_taken_keeps_nobody_from_the_feed_and_is_tried_again(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            self.start()
            with client.Client(self.site.config, "user") as link:
                self.wait_for(lambda: link.call("gateway", "feed.sources", {})["sources"])
        self.wait_for(lambda: self.get("/health")[0] == 200)

    def begin(self, *words):
        process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, env={
            **os.environ, "PATH": harness.BIN + ":" + os.environ["PATH"]}, start_new_session=True)

        def end():
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)
        self.addCleanup(end)
        return process

    def test_the_examples_do_what_they_say(self):
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text + "subscribers: [watcher]\n")
        self.site.cli("keys", "init")
        self.start()
        examples, site = os.path.join(harness.ROOT, "examples"), client.Site(self.site.config)
        with open(os.path.join(examples, "no_point_for_hours.py"), encoding="utf-8") as handle:
            self.assertLess(len(handle.readlines()), 60)
        alarm = self.begin(harness.PYTHON, os.path.join(examples, "no_point_for_hours.py"), 20 / 3600, "orders",
                           site.endpoint("gateway", "feed"), site.endpoint("gateway"), site.keys, "watcher")
        self.assertIn("ALARM: orders has no point", alarm.stdout.readline())
        self.site.run("orders")
        self.assertEqual(alarm.stdout.readline(), "orders: good again\n")
        self.assertIn("ALARM: orders has no point", alarm.stdout.readline())

        failures = self.begin(os.path.join(examples, "failures.sh"), self.site.config)
        time.sleep(2)
        os.rename(self.files, self.files + "-away")
        self.site.cli("run", "orders", "--wait", ok=(1, 3))
        self.assertRegex(failures.stdout.readline(), r"orders: .+ \(lockstep explain [0-9a-f-]{36}\)")

    def test_a_real_prometheus_alarms_when_backups_stop_and_is_quiet_again_after_the_next(self):
        self.start("45s")
        watcher = Prometheus(os.path.join(self.disks.base, "prometheus"), f"127.0.0.1:{self.port}", harness.free_port())
        self.addCleanup(watcher.close)
        self.site.run("orders")
        self.wait_for(lambda: watcher.query("lockstep_point_age_seconds"))
        self.wait_for(lambda: ("LockstepRecoveryPointTooOld", "orders") in watcher.firing())
        self.site.run("orders")
        self.wait_for(lambda: ("LockstepRecoveryPointTooOld", "orders") not in watcher.firing())


if __name__ == "__main__":
    unittest.main(verbosity=1)
