#!/usr/bin/env python3
"""What takes longer than a test may (`make soak`): the scenarios of survival.py in full, and a disk that stays full."""

import os
import subprocess
import sys
import time
import unittest

import case
import durable_send
import fence
import flood
import lab
import survival
import takeover
import takeover_crowd
import ways_gone


class DurableSendSoak(durable_send.DurableSend):
    def seed(self):
        seed = os.environ.get("SOAK_SEED", str(int(time.time())))
        print(f"SOAK_SEED={seed}", file=sys.stderr)
        return seed

    def test_a_sender_survives_a_hundred_kills(self):
        print(self.killed_at_random(size=256 * case.MIB, kills=100, seed=self.seed()), "of 100 found it alive", file=sys.stderr)

    def test_a_hundred_deaths_around_the_end_send_nothing_twice(self):
        print(self.killed_around_the_end(times=100, seed=self.seed()), file=sys.stderr)

    def test_a_node_and_its_sender_die_a_hundred_times(self):
        print(self.between_two_nodes(size=256 * case.MIB, kills=100, seed=self.seed()), "senders killed", file=sys.stderr)


class TakeoverSoakTest(unittest.TestCase):
    def test_ten_thousand_connections_through_takeovers(self):
        directory = lab.Directory(case.directory_of("takeover_soak"))
        self.addCleanup(directory.remove)
        with takeover.Group(directory) as group:
            crowd = takeover_crowd.Crowd(10000)
            for kind in ("kill", "hand_over", "freeze", "cut_storage"):
                takeover_crowd.strike(group, crowd, kind)
            crowd.close()


class FenceSoakTest(fence.FenceCase):
    def test_a_hundred_former_owners_behind_stopped_osds(self):
        for run in range(100):
            self.check(osd=run % 3, freeze=run % 2 == 1, forgive=run % 4 == 3)
        print(f"{self.late} of {100 * fence.IN_FLIGHT} writes came too late", file=sys.stderr)

    def test_a_thousand_former_owners_that_wake_up_later(self):
        for run in range(1000):
            self.check(freeze=run % 4 > 0, forgive=run % 4 == 3)
        print(f"{self.late} of {1000 * fence.IN_FLIGHT} writes came too late", file=sys.stderr)


class SoakTest(survival.Survival):
    def test_an_interactive_echo_survives_a_hundred_kills(self):
        self.nc_echo(kills=100)

    def test_two_gib_with_a_kill_every_300_ms(self):
        size = int(os.environ.get("SOAK_MIB", "2048"))
        kills = self.upload_under_fire(size * case.MIB, every=0.3, least=4)
        print(f"{size} MiB through {kills} kills", file=sys.stderr)

    def test_a_hundred_deaths_at_random_moments(self):
        seed = int(os.environ.get("SOAK_SEED", time.time()))
        print(f"SOAK_SEED={seed}", file=sys.stderr)
        print(self.kills_at_random_moments(times=100, seed=seed), file=sys.stderr)

    def test_a_thousand_connections_survive_a_kill(self):
        self.many_connections(1000, size=65536, read_back=1000)

    @staticmethod
    def set_retries(number):
        with open("/proc/sys/net/ipv4/tcp_retries2", "w", encoding="ascii") as file:
            file.write(number)

    def test_a_full_disk_for_45_s_with_an_impatient_client(self):
        self.set_retries("5")
        self.addCleanup(self.set_retries, "15")
        full = self.directory.make("full")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", full], check=False).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", "-l", full], check=False)
        ballast = os.path.join(full, "ballast")
        # A port of its own: a client that gives up leaves a socket behind that must not be taken for another test's.
        node = self.node(data=[full], services=["store:7002"], extra=["--segment-size", "4MiB"])
        with open(ballast, "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(case.MIB))
            except OSError:
                pass
        data = case.random_bytes(48 * case.MIB)
        client = self.start_nc(data, 7002)
        view = self.client_view(7002)
        time.sleep(10)
        taken = self.acked(view)
        time.sleep(35)
        self.assertIsNone(client.poll(), "the client gave up")
        connection = view.connections()[0]
        self.assertEqual(connection["timer"], "window probe", "the client does not wait for a window")
        self.assertEqual(self.acked(view), taken)
        self.assertLess(taken, len(data))
        self.assertEqual(node.streams()[0]["in_bytes"], taken)
        self.assertEqual(len(self.stored(node, 1)), taken)
        os.unlink(ballast)
        self.assertEqual(client.wait(60), 0)
        self.assert_same(self.stored(node, 1), data)


class GoneSoakTest(ways_gone.Gone):
    def test_a_handshake_whose_other_side_never_comes_back_ends_with_an_error(self):
        self.nothing_stays_half_open()


class FloodSoakTest(flood.Flood):
    def test_a_million_syns(self):
        self.a_million(ways=3)

    def test_a_million_syns_that_propose_74_ways(self):
        self.a_million(ways=74)

    def a_million(self, ways):
        print(self.syn_flood(1_000_000, seed=int(os.environ.get("SOAK_SEED", time.time())), ways=ways), file=sys.stderr)


if __name__ == "__main__":
    case.main()
