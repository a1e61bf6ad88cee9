#!/usr/bin/env python3
"""Takeover on a real Ceph cluster, once of each kind: a client's connections live on, and nothing of them is lost or doubled.

`make soak` measures twenty of each (takeover_table.py)."""

import case
import group_case
import lab
import takeover
import takeover_crowd


class TakeoverTest(group_case.GroupCase):
    """One group for all: the failures come one after the other."""

    def survive(self, kind, congestion="cubic"):
        try:
            result = self.group.run(kind, congestion)
        except BaseException:
            print(self.group.logs())
            raise
        print(f"client's stall {result['stall_ms']:.0f} ms, new owner ready after {result['ready_ms']:.0f} ms", flush=True)

    def test_planned_handovers_in_a_row(self):
        for _ in range(3):
            self.survive("hand_over")

    def test_the_owner_is_killed(self):
        self.survive("kill", "bbr")

    def test_the_owner_is_stopped_and_wakes_up_later(self):
        owner = self.group.owner
        lost = len(owner.node.events("ownership-lost"))
        self.survive("freeze")
        self.assertEqual(len(owner.node.events("ownership-lost")), lost + 1)

    def test_the_owners_network_is_cut(self):
        self.survive("cut_network")

    def test_the_owners_way_to_storage_is_cut(self):
        owner = self.group.owner
        lapsed = len(owner.node.events("lease-lapsed"))
        self.survive("cut_storage")
        self.assertGreater(len(owner.node.events("lease-lapsed")), lapsed, "it did not say that it could not renew")

    def test_a_whole_zone_is_lost(self):
        self.survive("lose_zone", "bbr")

    def test_sigterm_hands_over_too(self):
        self.survive("terminate")

    def test_a_thousand_connections_through_a_death_and_a_handover(self):
        """All ask while nobody is there to answer."""
        crowd = takeover_crowd.Crowd(1000)
        self.addCleanup(crowd.close)
        for kind in ("kill", "hand_over"):
            result = takeover_crowd.strike(self.group, crowd, kind)
            print(f"all have their answers {result['took_ms'][-1]:.0f} ms after it was struck", flush=True)

    def test_a_client_is_served_by_one_of_two_that_start_at_once(self):
        """Both see that the log is free; one gets it."""
        owner, other = self.group.owner, self.group.others()[0]
        served = sum(len(machine.node.events("ready")) for machine in (owner, other))
        for machine in (owner, other):
            machine.node.kill_keeper()
        with_logs = [machine.begin() for machine in (owner, other)]
        lab.wait_for(lambda: sum(len(machine.node.events("ready")) for machine in with_logs) > served, 30, self.group.logs)
        self.group.find_owner()
        self.assertEqual(sum(len(machine.node.events("ready")) for machine in with_logs), served + 1)
        self.survive("hand_over")


if __name__ == "__main__":
    case.main()
