"""Services that list the failpoints they pass, and can be told to die or to stop at one (docs/reliability.md)."""
import glob
import os
import signal


class Failpoints:
    """For sites whose services are processes of the test (by_hand.py)."""

    def prepare_failpoints(self):
        self.fp = os.path.join(self.base, "fp")
        os.makedirs(self.fp)

    def environment_of(self, name):
        return {**os.environ, "LOCKSTEP_FAILPOINT_FILE": os.path.join(self.fp, name),
                "LOCKSTEP_FAILPOINT_LIST": os.path.join(self.fp, name + ".list")}

    def passed(self):
        """{(service, failpoint): how often}, since the last time this was asked."""
        out = {}
        for path in glob.glob(os.path.join(self.fp, "*.list")):
            with open(path, encoding="ascii") as handle:
                for line in handle:
                    key = (os.path.basename(path)[:-5], line.strip())
                    out[key] = out.get(key, 0) + 1
            os.unlink(path)
        return out

    def arm_death(self, service, failpoint, passing):
        self.tell(service, f"{failpoint}:{passing}")

    def arm_stop(self, service, failpoint):
        self.tell(service, f"stop {failpoint}:1")

    def tell(self, service, text):
        path = os.path.join(self.fp, service)
        with open(path + ".part", "w", encoding="ascii") as handle:
            handle.write(text)
        os.rename(path + ".part", path)

    def death_was_met(self, service):
        return not os.path.exists(os.path.join(self.fp, service))

    def is_stopped(self, service):
        with open(f"/proc/{self.services[service].pid}/stat", encoding="ascii") as handle:
            return handle.read().rpartition(")")[2].split()[0] == "T"

    def goes_on(self, service):
        self.services[service].send_signal(signal.SIGCONT)

    def disarm(self, service):
        if os.path.exists(os.path.join(self.fp, service)):
            os.unlink(os.path.join(self.fp, service))
