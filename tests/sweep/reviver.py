"""Whoever has died is started again at once."""
import threading
import time


class Reviver(threading.Thread):
    """Starts again what has died, as `lockstep up` does, and says who did."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.stop_flag, self.died = site, threading.Event(), []

    def run(self):
        while not self.stop_flag.is_set():
            self.died += self.site.start_the_dead()
            time.sleep(0.05)

    def stop(self):
        self.stop_flag.set()
        self.join()
