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

    def check(self, result):
        self.assertEqual(result["missing"], 0, f"a write that the owner was told is done is not there: {result}")
        self.assertFalse(result["changed"], f"a write landed after the successor had read: {result}")
        self.assertTrue(result["fenced"], f"the former owner does not know that it is one: {result}")
        self.assertEqual(result["done"] + result["refused"], 48, result)

    def test_a_race_with_writes_in_flight(self):
        refused = 0
        for _ in range(20):
            result = self.fence.run()
            self.check(result)
            refused += result["refused"]
        self.assertGreater(refused, 0, "no write was ever late: nothing was shown")

    def test_a_stopped_osd_holds_the_writes_back(self):
        for osd in (0, 2):
            result = self.fence.run(pause=osd)
            print(result, flush=True)
            self.check(result)


if __name__ == "__main__":
    case.main()
