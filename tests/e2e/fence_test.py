#!/usr/bin/env python3
"""No write of a former owner gets past the fence, on a real cluster. `make soak` does it a hundred times and more."""

import unittest

import case
import rados_cluster
from fence import Fence


class FenceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = rados_cluster.Cluster()
        cls.addClassCleanup(cls.cluster.destroy)
        cls.cluster.start()

    def setUp(self):
        self.fence = Fence(self.cluster)
        self.addCleanup(self.fence.close)
        self.late = 0  # writes that were refused

    def check(self, **how):
        result = self.fence.run(**how)
        print(result, flush=True)
        self.assertEqual(result["missing"], [], f"writes that the owner was told are done are not there: {result}")
        self.assertFalse(result["changed"], f"a write landed after the successor had read: {result}")
        self.assertTrue(result["fenced"], f"the former owner does not know that it is one: {result}")
        self.late += 8 + 48 - result["done"]

    def test_a_race_with_writes_in_flight(self):
        for _ in range(10):
            self.check()

    def test_the_former_owner_wakes_up_and_writes_on(self):
        for _ in range(5):
            self.check(freeze=True)

    def test_a_stopped_osd_holds_the_writes_back(self):
        self.check(osd=0)
        self.assertGreater(self.late, 0, "no write was late: nothing was shown")

    def test_a_stopped_osd_and_a_stopped_owner(self):
        """The owner sends its writes again when it wakes up, to the OSDs that have taken the other one's place."""
        self.check(osd=2, freeze=True)
        self.assertGreater(self.late, 0, "no write was late: nothing was shown")


if __name__ == "__main__":
    case.main()
