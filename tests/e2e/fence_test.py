#!/usr/bin/env python3
"""No write of a former owner gets past the fence, on a real cluster. `make soak` does it a hundred times and more."""

import case
from fence import FenceCase


class FenceTest(FenceCase):
    def test_a_race_with_writes_in_flight(self):
        for _ in range(10):
            self.check()

    def test_the_former_owner_wakes_up_and_writes_on(self):
        for _ in range(5):
            self.check(freeze=True)

    def test_the_blocklist_forgets_it_before_it_wakes_up(self):
        for _ in range(5):
            self.check(freeze=True, forgive=True)
        self.assertGreater(self.late, 0, "no write was late: nothing was shown")

    def test_a_stopped_osd_holds_the_writes_back(self):
        self.check(osd=0)
        self.assertGreater(self.late, 0, "no write was late: nothing was shown")

    def test_a_stopped_osd_and_a_stopped_owner(self):
        """The owner sends its writes again when it wakes up, to the OSDs that have taken the other one's place."""
        self.check(osd=2, freeze=True, forgive=True)
        self.assertGreater(self.late, 0, "no write was late: nothing was shown")


if __name__ == "__main__":
    case.main()
