#!/usr/bin/env python3
"""SIGKILL of either side after every single step of a handshake of N ways: here for some N (WAYS=6,20 in the environment: for
these), in ways_table.py for all."""

import os

import case
import ways
from two_nodes import INITIATOR, RESPONDER

CHOSEN = ways.chosen() if "WAYS" in os.environ else (3, 4, 5, 8)


class KillTest(ways.Kills):
    """A test for each N, side, and fate of the step."""


def add_test(n, who, side, fate, lost):
    def test(self):
        self.assertEqual(self.kill_after_every_step(n, side, lost), n)
    setattr(KillTest, f"test_{n}_ways_the_{who}_dies_after_each_step_and_that_{fate}", test)


for one in CHOSEN:
    for killed in (("node", RESPONDER), ("initiator", INITIATOR)):
        add_test(one, *killed, "arrives", lost=False)
        add_test(one, *killed, "is_lost", lost=True)


if __name__ == "__main__":
    case.main()
