#!/usr/bin/python3
"""Any one of the three sites that keep the identity loses its record: it knows nothing and does not vote until both
others have taught it; then its vote decides again."""
import glob
import os
import time
import unittest

from harness import SiteTest
from role_changes import OneMachine, Roles
import client as wire  # tests/protocol


class LostIdentity(SiteTest):
    def setUp(self):
        super().setUp()
        self.site.close()
        self.site = OneMachine(os.path.join(self.disks.base, "north"), os.path.join(self.disks.base, "south"))
        self.addCleanup(self.site.close)
        self.roles = Roles(self.site, self.disks, "pull", 2)
        self.roles.begin()

    def end(self, service):
        self.site.services[service].terminate()
        self.site.services[service].wait(30)

    def knows(self, service):
        """Whether it answers, and has a vote."""
        with wire.Client(self.site.config, "user") as user:
            return user.call(service, "identity.show", {}, silence=2, timeout=20)["known"]

    def lose(self, service, third):
        """Its journal, while the third site is away; then that one is back."""
        self.end(third)
        self.end(service)
        lost = glob.glob(os.path.join(self.site.base, "var", service + ".db*"))
        self.assertTrue(lost)
        for path in lost:
            os.unlink(path)
        self.site.start(service)
        time.sleep(4)       # some rounds of asking
        self.assertFalse(self.knows(service), "it learned from one site alone")
        self.site.start(third)
        self.roles.until("both others teach it", lambda: self.knows(service) and self.roles.seen() is None, 60)

    def test_each_of_the_three_sites_is_taught_again_by_the_other_two_and_votes(self):
        roles, number = self.roles, 1
        for site, act in (("control", "promotion"), ("north", "failback"), ("south", "promotion")):
            with self.subTest(site):
                service = "health-monitor" if site == "control" else site + "-transfer"
                third = (roles.now if site == roles.other else roles.other) + "-transfer"
                self.lose(service, third)

                def decided_without(asked, third=third):
                    roles.until("the third site is stopped", lambda: self.site.is_stopped(third) or asked.poll() is not None, 60)
                    self.assertTrue(self.site.is_stopped(third), "it was not asked to vote")
                    roles.until("the other two decide", lambda: roles.client()["decided"]["primary"] == roles.other, 40)
                    self.assertTrue(self.site.is_stopped(third))
                    self.site.goes_on(third)
                self.site.arm_stop(third, "identity.record.before")
                roles.act(act, decided_without)     # and what is true after each change of roles
                number += 1
                self.assertEqual(roles.client()["decided"]["number"], number)


if __name__ == "__main__":
    unittest.main()
