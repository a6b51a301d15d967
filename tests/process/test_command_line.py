#!/usr/bin/python3
"""The command line with a site of which this host runs the policy service only."""
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("LOCKSTEP_BIN", os.path.join(ROOT, "build/bin"))
LOCKSTEP = os.path.join(BIN, "lockstep")
POLICY = """service: {service}
data_sets:
  - {{name: docs, component: sqlite, path: {path}}}
retention: {{last: 3}}
"""


def lockstep(*words, env=None, cwd=None):
    environment = {key: value for key, value in os.environ.items() if key != "LOCKSTEP_CONFIG"}
    environment.update(env or {})
    return subprocess.run([LOCKSTEP, *words], capture_output=True, text=True, timeout=120, check=False,
                          env=environment, cwd=cwd)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


class WithoutSite(unittest.TestCase):
    def test_usage_is_status_2_and_says_what_was_meant(self):
        for words, said in ((["pionts"], "did you mean `points`?"), ([], "subcommand is required"),
                            (["points"], "-c FILE"), (["run"], "SERVICE"), (["init", "/tmp/x"], "--local"),
                            (["points", "-c", "/nowhere/lockstep.yaml"], "/nowhere/lockstep.yaml")):
            done = lockstep(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_help_has_an_example_for_every_command(self):
        done = lockstep("--help")
        self.assertEqual(done.returncode, 0)
        commands = re.findall(r"^  ([a-z][a-z-]+)  ", done.stdout, re.MULTILINE)
        self.assertGreater(len(commands), 25)
        for command in commands:
            inner = lockstep(command, "--help")
            self.assertEqual(inner.returncode, 0)
            below = re.findall(r"^  ([a-z]+)  ", inner.stdout.split("Subcommands:")[-1], re.MULTILINE) \
                if "Subcommands:" in inner.stdout else []
            for text in [lockstep(command, one, "--help").stdout for one in below] or [inner.stdout]:
                self.assertIn("Example:\n  lockstep " + command, text)

    def test_an_error_is_json_too_where_json_was_asked_for(self):
        done = lockstep("points", "--json", "-c", "/nowhere/lockstep.yaml")
        error = json.loads(done.stdout)["error"]
        self.assertEqual(sorted(error), ["code", "hint", "number", "what", "where"])
        self.assertEqual(error["code"], "config-unreadable")

    def test_colours_on_a_terminal_only(self):
        def on_terminal(env):
            here, there = pty.openpty()
            with subprocess.Popen([LOCKSTEP, "status"], stdout=there, stderr=there, env=env) as process:
                process.wait()
            os.close(there)
            text = os.read(here, 4096).decode()
            os.close(here)
            return text
        plain = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self.assertIn("\x1b[", on_terminal(plain))
        self.assertNotIn("\x1b[", on_terminal({**plain, "NO_COLOR": "1"}))
        self.assertNotIn("\x1b[", lockstep("status").stderr)


    def complete(self, *words):
        """What bash offers after these words, by the function that `lockstep completion bash` prints."""
        script = lockstep("completion", "bash").stdout + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n' \
            + '_lockstep; printf "%s\\n" "${COMPREPLY[@]}"\n'
        done = subprocess.run(["bash", "-u", "-c", script, "bash", "lockstep", *words], capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_their_own_commands_and_options(self):
        self.assertEqual(self.complete("pol"), ["policy"])
        self.assertEqual(set(self.complete("policy", "")) >= {"apply", "check", "list", "show", "remove"}, True)
        self.assertIn("--wait", self.complete("run", "--w"))
        self.assertIn("--even-newest", self.complete("point", "delete", "--"))
        # A word that is an option's value leads nowhere else.
        self.assertIn("apply", self.complete("-c", "lockstep.yaml", "policy", "a"))
        self.assertIn("users", self.complete("u"))
        self.assertEqual(self.complete("f"), ["failback"])
        for shell in ("bash", "zsh"):
            text = lockstep("completion", shell).stdout
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=text, text=True, check=True)
            self.assertIn("compgen", text)
        self.assertEqual(lockstep("completion", "fish").returncode, 2)

    def test_a_real_zsh_completes_as_one_types(self):
        with tempfile.TemporaryDirectory(prefix="lockstep-zsh-") as home:
            with open(os.path.join(home, ".zshrc"), "w", encoding="ascii") as handle:
                handle.write("PS1='READY> '\nPROMPT_EOL_MARK=\nunsetopt zle_bracketed_paste 2>/dev/null\n"
                             "source =(lockstep completion zsh)\nbindkey -e\nLISTMAX=1000\n")
            environment = {"PATH": os.path.dirname(LOCKSTEP) + ":" + os.environ["PATH"], "HOME": home, "ZDOTDIR": home,
                           "TERM": "dumb", "LC_ALL": "C"}
            pid, end = pty.fork()
            if pid == 0:
                os.execvpe("zsh", ["zsh", "-i"], environment)
            said = ""

            def until(pattern):
                nonlocal said
                deadline = time.monotonic() + 120
                while not re.search(pattern, said):
                    self.assertLess(time.monotonic(), deadline, f"waited for {pattern!r} in {said!r}")
                    if select.select([end], [], [], 1)[0]:
                        said += os.read(end, 4096).decode("ascii", "replace")

            def types(text, pattern):
                nonlocal said
                said = ""
                os.write(end, text.encode())
                until(pattern)
                os.write(end, b"\x15")        # the line is emptied again
            try:
                until("READY> ")
                types("lockstep pol\t", "lockstep policy")
                types("lockstep run --wa\t", r"run --wait")
                types("lockstep policy a\t", r"policy apply")
                types("lockstep point \t\t", r"(?s)delete.*show")
                types("lockstep -c lockstep.yaml policy resu\t", r"policy resume")
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(end)

    def test_the_manual_has_every_command_and_is_sound_roff(self):
        text = lockstep("manual").stdout
        commands = re.findall(r"^  ([a-z][a-z-]+)  ", lockstep("--help").stdout.split("Not built yet")[0], re.MULTILINE)
        for command in commands:
            self.assertRegex(text, r"(?m)^\.SS lockstep " + command.replace("-", r"\\-") + r"\b")
        for line in text.splitlines():
            self.assertFalse(line.startswith("'"), line)
            self.assertTrue(not line.startswith(".") or re.match(r"\.(TH|SH|SS|TP|PP|nf|fi|B|I|br)\b", line), line)
        done = subprocess.run(["man", "--warnings", "-l", "-"], input=text, capture_output=True, text=True, check=False,
                              env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}) \
            if shutil.which("man") else None
        if done is not None:
            self.assertEqual(done.stderr, "")
            self.assertIn("lockstep policy apply", done.stdout)


class WithSite(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="lockstep-cli-")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.addCleanup(self.cli, "down")
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.assertEqual(lockstep("init", self.base, "--local").returncode, 0)
        self.edit("keys: keys\n", "keys: keys\nhere: [policy]\n")

    def edit(self, old, new):
        with open(self.config, encoding="utf-8") as handle:
            text = handle.read()
        self.assertIn(old, text)
        with open(self.config, "w", encoding="utf-8") as handle:
            handle.write(text.replace(old, new))

    def cli(self, *words, ok=None):
        done = lockstep(*words, env={"LOCKSTEP_CONFIG": self.config}, cwd=self.base)
        if ok is not None:
            self.assertEqual(done.returncode, ok, f"{words}\n{done.stdout}{done.stderr}")
        return done

    def up(self):
        self.cli("up", "--detach", ok=0)

    def supervisor(self):
        with open(os.path.join(self.base, "var/lockstep.pid"), encoding="utf-8") as handle:
            return int(handle.read().split()[0])

    def service(self):
        with open(f"/proc/{self.supervisor()}/task/{self.supervisor()}/children", encoding="utf-8") as handle:
            children = handle.read().split()
        return int(children[0]) if children else 0

    def policy(self, service, path="/srv/docs.db"):
        name = os.path.join(self.base, service + ".yaml")
        with open(name, "w", encoding="utf-8") as handle:
            handle.write(POLICY.format(service=service, path=path))
        return name

    def test_init_makes_what_it_says_and_nobody_else_may_read_the_secrets(self):
        keys = os.path.join(self.base, "keys")
        for name in os.listdir(keys):
            mode = stat.S_IMODE(os.stat(os.path.join(keys, name)).st_mode)
            self.assertEqual(mode & 0o022 if name.endswith(".pub") else mode & 0o177, 0, name)
        for name in ("keys", "run", "var"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.base, name)).st_mode), 0o700, name)
        for name in ("north", "south", "hooks"):
            self.assertTrue(os.path.isdir(os.path.join(self.base, name)))
        again = lockstep("init", self.base, "--local")
        self.assertEqual(again.returncode, 3)
        self.assertIn("[place-not-empty]", again.stderr)

    def test_keys_init_makes_what_is_missing_and_replaces_nothing(self):
        keys = os.path.join(self.base, "keys")
        agents = [name for name in os.listdir(keys) if name.endswith(".sign")]
        self.assertEqual(sorted(agents), ["north-transfer.sign", "south-transfer.sign"])

        def contents():
            out = {}
            for name in os.listdir(keys):
                with open(os.path.join(keys, name), "rb") as handle:
                    out[name] = handle.read()
            return out

        before = contents()
        os.unlink(os.path.join(keys, "south-transfer.sign"))
        done = lockstep("keys", "init", "-c", self.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("south-transfer", done.stdout)
        after = contents()
        self.assertNotEqual(after.pop("south-transfer.sign"), before.pop("south-transfer.sign"))
        self.assertEqual(after, before)
        path = os.path.join(keys, "south-transfer.sign")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        read = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True)
        self.assertIn("ED25519", read.stdout.upper())
        self.assertIn("every party has", lockstep("keys", "init", "-c", self.config).stdout)

    def test_init_names_the_clusters_and_refuses_names_that_cannot_be(self):
        base = os.path.join(self.base, "other")
        done = lockstep("init", base, "--local", "--clusters", "east,west")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("east (primary) and west (secondary)", done.stdout)
        for names in ("east", "east,east", "no,yes", "var,x", "East,west", "a,b,c"):
            self.assertEqual(lockstep("init", base + names, "--local", "--clusters", names).returncode, 2, names)
            self.assertFalse(os.path.exists(base + names))

    def test_a_path_that_is_too_long_for_sockets_gets_a_private_directory(self):
        base = os.path.join(self.base, *["a-directory-of-a-long-name"] * 5)
        self.assertEqual(lockstep("init", base, "--local").returncode, 0)
        config = os.path.join(base, "lockstep.yaml")
        with open(config, encoding="utf-8") as handle:
            text = handle.read()
        where = os.path.dirname(re.search(r'"ipc://(/[^"]+)/policy"', text).group(1) + "/x")
        self.addCleanup(shutil.rmtree, where, ignore_errors=True)
        self.assertEqual(stat.S_IMODE(os.stat(where).st_mode), 0o700)
        with open(config, "w", encoding="utf-8") as handle:
            handle.write(text.replace("keys: keys\n", "keys: keys\nhere: [policy]\n"))
        # As after a reboot: /run is empty.
        os.rmdir(where)
        self.assertEqual(lockstep("up", "--detach", "-c", config).returncode, 0)
        self.assertEqual(lockstep("policy", "list", "-c", config).returncode, 0)
        self.assertEqual(lockstep("down", "-c", config).returncode, 0)
        # A directory that others may write to is not used.
        os.chmod(where, 0o777)
        refused = lockstep("up", "--detach", "-c", config)
        self.assertEqual(refused.returncode, 3)
        self.assertIn(where, refused.stderr)

    def test_up_and_down(self):
        self.assertIn("nothing was up", self.cli("down", ok=0).stdout)
        self.assertEqual(self.cli("policy", "list").returncode, 4)
        self.up()
        supervisor, service = self.supervisor(), self.service()
        again = self.cli("up", "--detach")
        self.assertEqual(again.returncode, 3)
        self.assertIn(str(supervisor), again.stderr)
        self.cli("policy", "list", ok=0)
        self.cli("down", ok=0)
        self.assertFalse(alive(supervisor))
        self.assertFalse(alive(service))
        self.assertFalse(os.path.exists(os.path.join(self.base, "var/lockstep.pid")))

    def test_a_service_that_dies_comes_back_with_what_it_knew(self):
        self.up()
        self.cli("policy", "apply", self.policy("orders"), ok=0)
        first = self.service()
        os.kill(first, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: self.service() not in (0, first)
                                   and self.cli("policy", "list").returncode == 0))
        self.assertEqual(json.loads(self.cli("policy", "list", "--json").stdout)[0]["service"], "orders")

    def test_services_die_with_a_supervisor_that_is_killed(self):
        self.up()
        supervisor, service = self.supervisor(), self.service()
        os.kill(supervisor, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not alive(service)))
        # Its pid file is stale, and no hindrance.
        self.up()
        self.assertNotEqual(self.supervisor(), supervisor)

    def test_up_in_the_foreground_ends_on_a_signal_and_takes_the_services_with_it(self):
        with subprocess.Popen([LOCKSTEP, "up", "-c", self.config], stderr=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stderr.readline(), "up: policy\n")
            service = self.service()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 0)
        self.assertFalse(alive(service))

    def test_a_service_that_cannot_start_is_told_with_the_end_of_its_log(self):
        os.chmod(os.path.join(self.base, "keys/policy.key"), 0o644)
        done = self.cli("up", "--detach", "--wait", "3s")
        self.assertEqual(done.returncode, 4)
        self.assertIn("policy.key", done.stderr)
        self.assertIn("[unreachable]", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.base, "var/lockstep.pid")))

    def test_a_host_without_a_users_key_can_be_brought_up(self):
        os.unlink(os.path.join(self.base, "keys/user.key"))
        self.up()
        self.assertEqual(self.cli("policy", "list").returncode, 2)

    def findings(self, ok):
        told = json.loads(self.cli("doctor", "--json", ok=ok).stdout)
        self.assertEqual(told["ok"], ok == 0)
        self.assertEqual(told["ok"], not [one for one in told["findings"] if one["health"] == "bad"])
        return {one["about"]: one for one in told["findings"]}

    def test_doctor_says_what_is_wrong_with_this_host(self):
        self.up()
        found = self.findings(1)      # here runs the policy service alone
        self.assertEqual(found["policy"]["health"], "good")
        self.assertEqual(found["key policy"]["health"], "good")
        self.assertEqual(found["scheduler"]["health"], "bad")
        self.assertIn("clock", found)
        self.assertIn("free of", found["state"]["what"])
        self.assertNotIn("root of north", found)    # no agent of it runs here
        text = self.cli("doctor").stdout
        self.assertIn("good", text)
        self.assertNotIn("\x1b[", text)

        os.chmod(os.path.join(self.base, "keys/policy.key"), 0o644)
        self.assertEqual(self.findings(1)["key policy"]["health"], "bad")
        self.assertIn("0600", self.findings(1)["key policy"]["hint"])
        os.chmod(os.path.join(self.base, "keys/policy.key"), 0o600)
        shutil.copy(os.path.join(self.base, "keys/scheduler.pub"), os.path.join(self.base, "keys/policy.pub"))
        self.assertIn("do not belong together", self.findings(1)["key policy"]["what"])
        self.assertEqual(self.cli("doctor", "-c", "/nowhere").returncode, 2)

    def test_doctor_looks_at_the_roots_of_this_hosts_agents(self):
        self.edit("here: [policy]", "here: [policy, north-snapshot]")
        self.assertEqual(self.findings(1)["root of north"]["health"] in ("good", "warning"), True)
        os.rmdir(os.path.join(self.base, "north"))
        self.assertEqual(self.findings(1)["root of north"]["health"], "bad")

    def test_doctor_of_a_container_judges_its_own_party_alone_and_says_what_it_leaves_out(self):
        # One file for all, as in compose: `here` names nobody, and a host has its own secrets.
        self.edit("here: [policy]\n", "")
        secrets = [name for name in os.listdir(os.path.join(self.base, "keys")) if name.endswith(".key")]
        apart = os.path.join(self.base, "apart")
        os.makedirs(apart)
        for name in secrets:
            os.rename(os.path.join(self.base, "keys", name), os.path.join(apart, name))

        def becomes(party):
            shutil.copy2(os.path.join(apart, f"{party}.key"), os.path.join(self.base, "keys"))
            told = json.loads(self.cli("doctor", "--json", "--as", party).stdout)
            return {one["about"]: one for one in told["findings"]}
        # An agent: the control device comes to it, and may be out of its reach.
        found = becomes("north-snapshot")
        self.assertEqual(found["key north-snapshot"]["health"], "good")
        self.assertEqual([about for about in found if about.startswith("key ")], ["key north-snapshot"])
        self.assertEqual(found["keys of others"]["health"], "unjudged")
        self.assertIn("policy", found["keys of others"]["what"])
        self.assertIn(found["root of north"]["health"], ("good", "warning"))
        self.assertNotIn("root of south", found)
        self.assertEqual(found["scheduler"]["health"], "unjudged")
        self.assertEqual(found["north-transfer"]["health"], "bad")      # which it does ask
        os.unlink(os.path.join(self.base, "keys/north-snapshot.key"))
        # Whoever gives commands: no service runs here, and all of them are needed.
        found = becomes("user")
        self.assertEqual([about for about in found if about.startswith(("key ", "root of"))], [])
        self.assertEqual(found["state"]["health"], "unjudged")
        self.assertEqual(found["scheduler"]["health"], "bad")
        # A service that ran here and lost its key is this host's all the same.
        os.makedirs(os.path.join(self.base, "var"), exist_ok=True)
        with open(os.path.join(self.base, "var/policy.db"), "wb"):
            pass
        self.assertEqual(becomes("user")["key policy"]["health"], "bad")

    def test_ping_asks_one_service(self):
        self.up()
        self.assertIn("policy answers", self.cli("ping", "policy", ok=0).stdout)
        self.assertEqual(json.loads(self.cli("ping", "policy", "--as", "policy", "--json", ok=0).stdout)["pid"], self.service())
        self.assertEqual(self.cli("ping", "scheduler").returncode, 4)
        self.assertEqual(self.cli("ping", "nobody").returncode, 1)

    def test_status_is_watched_until_interrupted_and_outlives_a_scheduler_that_is_away(self):
        command = [LOCKSTEP, "status", "--watch", "--every", "100ms", "--json", "-c", self.config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            for _ in range(3):
                self.assertEqual(json.loads(process.stdout.readline())["error"]["code"], "unreachable")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 0)
        with subprocess.Popen([word for word in command if word != "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            self.assertIn("[unreachable]", process.stderr.readline())
            process.stdout.close()    # `status --watch | head`: whoever read it has gone
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            self.assertEqual(process.wait(30), 0)

    def test_how_much_a_service_logs_is_changed_while_it_runs(self):
        self.up()

        def log():
            with open(os.path.join(self.base, "var/log/policy.log"), encoding="utf-8") as handle:
                return handle.read()
        self.assertIn("it was info", self.cli("log-level", "policy", "error", ok=0).stdout)
        self.cli("policy", "apply", self.policy("silent", "/srv/1.db"), ok=0)
        self.assertNotIn("silent", log())
        self.assertEqual(json.loads(self.cli("log-level", "policy", "info", "--json", ok=0).stdout), {"before": "error"})
        self.cli("policy", "apply", self.policy("heard", "/srv/2.db"), ok=0)
        self.assertIn("heard", log())
        self.assertEqual(self.cli("log-level", "policy", "chatty").returncode, 2)

    def test_commands_are_noted_with_who_and_by_which_key_before_they_are_done(self):
        self.up()
        self.assertEqual(json.loads(self.cli("audit", "--json", ok=0).stdout), [])
        self.cli("policy", "apply", self.policy("orders"), ok=0)
        self.cli("policy", "list", ok=0)
        self.cli("policy", "pause", "orders", ok=0)
        rows = json.loads(self.cli("audit", "--json", ok=0).stdout)
        with open(os.path.join(self.base, "keys/user.pub"), encoding="ascii") as handle:
            key = handle.read().strip()
        self.assertEqual([(row["type"], row["by"], row["key"], row["service"]) for row in rows],
                         [("policy.apply", "user", key, "policy"), ("policy.pause", "user", key, "policy")])
        self.assertEqual(rows[1]["body"], {"service": "orders"})
        self.assertIn("policy.pause", self.cli("audit", ok=0).stdout)
        path = os.path.join(self.base, "var/audit/policy.jsonl")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        # What cannot be noted is not done.
        os.rename(path, path + ".kept")
        os.mkdir(path)
        self.assertEqual(self.cli("policy", "resume", "orders").returncode, 1)
        self.assertTrue(json.loads(self.cli("policy", "list", "--json", ok=0).stdout)[0]["paused"])
        # And a line that a power loss cut short spoils no other.
        os.rmdir(path)
        with open(path + ".kept", "a", encoding="utf-8") as handle:
            handle.write('{"time": "2026-')
        os.rename(path + ".kept", path)
        self.cli("policy", "resume", "orders", ok=0)
        self.assertEqual([row["type"] for row in json.loads(self.cli("audit", "--json", ok=0).stdout)],
                         ["policy.apply", "policy.pause", "policy.resume"])

    def test_a_support_bundle_holds_what_is_needed_and_no_secret(self):
        self.up()
        keys = os.path.join(self.base, "keys")
        secrets = []
        for name in os.listdir(keys):
            if not name.endswith(".pub"):
                with open(os.path.join(keys, name), encoding="ascii") as handle:
                    secrets += [line for line in handle.read().split("\n") if line and not line.startswith("-----")]
        self.assertGreater(len(secrets), 8)
        # Even where somebody wrote one to a place where it does not belong.
        with open(os.path.join(self.base, "var/log/policy.log"), "a", encoding="utf-8") as handle:
            handle.write(f"by mistake: {secrets[0]}\n")
        path = os.path.join(self.base, "bundle.tar")
        self.assertIn("look through it", self.cli("support-bundle", "--to", path, ok=0).stdout)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with tarfile.open(path) as tar:
            held = {one.name[len("lockstep-support/"):]: tar.extractfile(one).read().decode() for one in tar}
        self.assertEqual(set(held) >= {"lockstep.yaml", "doctor.json", "keys.txt", "host.txt", "log/policy.log",
                                       "events/policy.json", "services/policies.json", "services/status.json"}, True)
        self.assertEqual(json.loads(held["services/policies.json"]), {"policies": []})
        self.assertEqual(json.loads(held["services/status.json"])["error"]["code"], "unreachable")
        self.assertIn("by mistake: (a secret, taken out)", held["log/policy.log"])
        for secret in secrets:
            self.assertNotIn(secret, "".join(held.values()))
        self.assertEqual(self.cli("support-bundle", "--to", path).returncode, 3)

    def test_policies(self):
        self.up()
        orders = self.policy("orders")
        self.assertIn("may be applied", self.cli("policy", "check", orders, ok=0).stdout)
        self.assertEqual(json.loads(self.cli("policy", "list", "--json", ok=0).stdout), [])
        self.assertIn("version 1 applies", self.cli("policy", "apply", orders, ok=0).stdout)
        self.assertIn("nothing changed", self.cli("policy", "apply", orders, ok=0).stdout)
        conflict = self.cli("policy", "apply", self.policy("bills"), ok=3)
        self.assertIn("`/srv/docs.db` (bills) is also `/srv/docs.db` (orders)", conflict.stderr)
        self.assertIn("bills.data_sets[0].path", self.cli("policy", "check", self.policy("bills"), ok=2).stderr)
        broken = self.policy("broken", "relative.db")
        self.assertIn("broken.yaml:3:43", self.cli("policy", "apply", broken, ok=2).stderr)
        shown = json.loads(self.cli("policy", "show", "orders", "--json", ok=0).stdout)
        self.assertEqual(shown["policy"]["data_sets"][0]["place"]["location"], "/srv/docs.db")
        self.cli("policy", "pause", "orders", ok=0)
        self.assertTrue(json.loads(self.cli("policy", "list", "--json", ok=0).stdout)[0]["paused"])
        self.cli("policy", "resume", "orders", ok=0)
        self.cli("policy", "remove", "orders", ok=0)
        self.assertEqual(self.cli("policy", "show", "orders").returncode, 1)
        # Now the place is free.
        self.cli("policy", "apply", self.policy("bills"), ok=0)
        told = [json.loads(line) for line in
                self.cli("events", "--source", "policy", "--json", ok=0).stdout.splitlines()]
        self.assertEqual([event["type"] for event in told],
                         ["policy.applied", "policy.paused", "policy.resumed", "policy.removed", "policy.applied"])
        self.assertEqual([event["sequence"] for event in told], [1, 2, 3, 4, 5])
        later = self.cli("events", "--source", "policy", "--since", "3", "--json", ok=0).stdout.splitlines()
        self.assertEqual([json.loads(line)["sequence"] for line in later], [4, 5])

    def test_events_are_followed_as_they_come(self):
        self.up()
        with subprocess.Popen([LOCKSTEP, "events", "--follow", "--json", "--source", "policy", "--since", "1h",
                               "-c", self.config], stdout=subprocess.PIPE, text=True) as process:
            try:
                for number in range(1, 6):
                    self.cli("policy", "apply", self.policy(f"s{number}", f"/srv/{number}.db"), ok=0)
                    event = json.loads(process.stdout.readline())
                    self.assertEqual((event["sequence"], event["subject"]), (number, f"s{number}"))
            finally:
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(10), 0)

    def test_what_cannot_be_an_id_or_a_name_is_usage(self):
        for words in (["point", "show", "x"], ["verify", "1"], ["restore", "x", "--to", "y"], ["run", "Orders"],
                      ["run", "show", "x"], ["explain", "x"], ["points", "a/b"], ["policy", "show", "-x"]):
            self.assertEqual(self.cli(*words).returncode, 2, words)

    def test_the_wrong_key_is_refused(self):
        self.up()
        done = self.cli("policy", "apply", self.policy("orders"), "--as", "north-snapshot")
        self.assertEqual(done.returncode, 3)
        self.assertIn("[role-refused]", done.stderr)
        self.assertEqual(json.loads(self.cli("policy", "list", "--json", ok=0).stdout), [])
        told = [json.loads(line) for line in
                self.cli("events", "--source", "policy", "--json", ok=0).stdout.splitlines()]
        self.assertEqual([event["type"] for event in told], ["role.refused"])


if __name__ == "__main__":
    unittest.main()
