#!/usr/bin/env python3
"""SYN floods, in short; `soak.py` has a million SYNs."""

import case
import flood


class FloodTest(flood.Flood):
    def test_kernel_clients_get_through_a_flood(self):
        self.syn_flood(60_000, seed=1)

    def test_and_through_one_that_outlives_the_node(self):
        self.syn_flood(20_000, seed=2, kill=True)

    def test_and_through_one_that_proposes_many_ways(self):
        self.syn_flood(60_000, seed=3, ways=74)


if __name__ == "__main__":
    case.main()
