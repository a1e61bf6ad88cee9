#!/usr/bin/env python3
"""A log in a RADOS pool, by itself and beside directories, on a real cluster whose OSDs and monitor die and hang."""

import shutil
import socket
import subprocess
import sys
import time

import case
import lab
import network
import pool_case
from case import MIB


def status_of(pid):
    """Of a process: threads, and KiB in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["Threads"]), int(lines["VmRSS"].split()[0])


class PoolTest(pool_case.PoolCase):
    def test_what_was_sent_is_in_the_pool_through_kills_and_a_restart(self):
        node = self.pool_node()
        data = case.random_bytes(48 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        for part in (1, 2):
            self.some_way(view, part * 12 * MIB)
            starts = len(node.events("ready"))
            self.assertIsNotNone(node.kill_node())
            lab.wait_for(lambda: len(node.events("ready")) > starts, 20, lambda: node.log()[-2000:])
        self.assertEqual(sending.join(), b"")
        echo = self.connect(7001)
        self.blink(echo, 10)
        self.assert_same(self.stored(node, 1), data)  # beside a node that runs
        self.assertEqual(node.stop(), 0)
        self.assert_same(self.stored(node, 1), data)  # without one
        node.start()
        self.blink(echo, 10)
        streams = node.streams()
        self.assertEqual([stream["in_bytes"] for stream in streams], [len(data), 160])

    def test_readers_beside_a_node_and_without_one(self):
        node = self.pool_node()
        connection = self.connect()
        connection.sendall(b"first ")
        command = [lab.BINARY, "streams", "tail", "1", "--from", "0", *node.data_flags()]
        tail = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.addCleanup(self.end_process, tail)
        self.assertEqual(tail.stdout.read(6), b"first ")
        connection.sendall(b"second")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual((tail.stdout.read(), tail.wait(10)), (b"second", 0))

        def seen():
            return (lab.holdfast("streams", "list", *node.data_flags()), lab.holdfast("streams", "show", "1", *node.data_flags()),
                    lab.holdfast("streams", "cat", "1", *node.data_flags()))
        beside = seen()
        self.assertEqual(beside[2], "first second")
        self.assertEqual(node.stop(), 0)
        self.assertEqual(seen(), beside)

    # -- The pool alone: where it hangs, clients wait --

    def upload_through(self, strike, mend=lambda: None, **options):
        """Something happens in the midst of it. Returns the node, and how long nothing was acknowledged at the longest."""
        node = self.pool_node(**options)
        data = case.random_bytes(32 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        self.some_way(view, len(data) // 4)
        strike()
        watching = self.in_background(self.longest_pause, view, sending)
        mend()
        self.assertEqual(sending.join(), b"")
        self.assert_same(self.stored(node, 1), data)
        return node, watching.join()

    def longest_pause(self, view, sending):
        last, since, longest = 0, time.monotonic(), 0
        while sending.thread.is_alive():
            acked, now = self.acked(view), time.monotonic()
            if acked != last:
                last, since = acked, now
            longest = max(longest, now - since)
            time.sleep(0.01)
        return longest

    def stands_still(self, node):
        """Windows are closed, and nothing is acknowledged."""
        lab.wait_for(lambda: node.events("stalled"), 10, lambda: "no word about it")
        view = self.client_view()
        before = self.acked(view)
        time.sleep(0.5)
        self.assertEqual(self.acked(view), before)

    def warnings(self, node):
        return [line for line in node.log().splitlines() if " error " in line or " warning " in line]

    def test_a_killed_osd_holds_up_nobody(self):
        node, _ = self.upload_through(lambda: self.cluster.kill_osd(2))
        self.cluster.start_osd(2)
        self.cluster.wait()
        self.assertEqual(node.events("stalled"), [])

    def test_a_hung_osd_holds_up_until_it_is_missed(self):
        node, pause = self.upload_through(lambda: self.cluster.pause_osd(1))
        self.cluster.resume_osd(1)
        self.cluster.wait()
        self.assertLess(pause, 10)
        self.assertLessEqual(len(self.warnings(node)), 4, node.log())

    def test_two_dead_osds_of_three_make_clients_wait(self):
        def strike():
            self.cluster.kill_osd(1)
            self.cluster.kill_osd(2)

        def mend():
            self.stands_still(self.nodes[0])
            self.cluster.start_osd(1)
            self.cluster.start_osd(2)
        node, _ = self.upload_through(strike, mend)
        self.cluster.wait()
        self.assertEqual([event["value"] for event in node.events("stalled")], [True, False])

    def test_without_its_monitor_it_goes_on(self):
        node = self.pool_node()
        echo = self.connect(7001)
        self.blink(echo)
        self.cluster.kill_mon()
        data = case.random_bytes(32 * MIB)
        sending = self.sending(data)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            self.assertLess(self.blink(echo), 1)
        self.assertEqual(sending.join(), b"")
        self.cluster.start_mon()
        self.assertLess(self.blink(echo), 1)
        self.assert_same(self.stored(node, 2), data)

    def test_a_time_out_is_an_unknown_outcome(self):
        def mend():
            time.sleep(2.5)
            self.cluster.resume_osd(0)
        place = self.place(conf=self.conf(rados_osd_op_timeout=1))
        node, _ = self.upload_through(lambda: self.cluster.pause_osd(0), mend, place=place)
        self.cluster.wait()
        self.assertEqual(node.events("location-failed"), [])
        self.assertLessEqual(len(self.warnings(node)), 6, node.log())

    def test_a_node_ends_while_the_cluster_stands_still(self):
        node = self.pool_node()
        data = case.random_bytes(32 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        self.some_way(view, 8 * MIB)
        threads, memory = status_of(node.node_pid())
        with self.paused(0, 1, 2):
            self.stands_still(node)
            found_threads, found_memory = status_of(node.node_pid())
            self.assertLessEqual(found_threads, threads)
            self.assertLess(found_memory - memory, 64 << 10)
            self.assertEqual(node.stop(), 0)
        self.assertEqual([event["how"] for event in node.events("node-died")], ["exit status 0"])
        self.cluster.wait()
        node.start()
        self.assertEqual(sending.join(), b"")
        self.assert_same(self.stored(node, 1), data)

    # -- Beside directories --

    def cat(self, place):
        return subprocess.run([lab.BINARY, "streams", "cat", "1", "--data", place], capture_output=True, check=False).stdout

    def test_one_of_two_goes_on_without_the_pool(self):
        node = self.pool_node(self.directory.make("a"), extra=["--stored-on", "1"])
        data = case.random_bytes(64 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        echo = self.connect(7001)
        self.some_way(view, 16 * MIB)
        with self.paused(0, 1, 2):
            lab.wait_for(lambda: node.events("lease-lapsed") or self.assertLess(self.blink(echo), 1), 10, lambda: "no lapse")
            self.assertLess(self.blink(echo, 100), 1)
            self.assertEqual(sending.join(), b"")
        self.assertEqual(node.events("stalled"), [])
        pool, directory = node.data
        self.assertEqual([event["location"] for event in node.events("location-behind")], [pool.split("?")[0]])
        self.assert_same(self.cat(directory), data)
        self.cluster.wait()
        self.assertEqual(node.stop(), 0)
        node.start()  # copies to the pool what it lacks
        self.assert_same(self.cat(pool), data)

    def test_two_of_two_wait_for_the_pool(self):
        node = self.pool_node(self.directory.make("a"), extra=["--stored-on", "2"])
        data = case.random_bytes(32 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        self.some_way(view, 8 * MIB)
        with self.paused(0, 1, 2):
            self.stands_still(node)
        self.assertEqual(sending.join(), b"")
        for place in node.data:
            self.assert_same(self.cat(place), data)
        self.cluster.wait()

    def test_a_start_does_without_a_pool_that_is_not_needed(self):
        place = self.place(conf=self.conf(rados_osd_op_timeout=1))
        node = self.pool_node(self.directory.make("a"), self.directory.make("b"), place=place)
        self.upload(b"before")
        self.assertEqual(node.stop(), 0)
        with self.paused(0, 1, 2):
            node.start()
            self.upload(b"meanwhile")
            self.assertEqual([event["location"] for event in node.events("location-failed")], [place.split("?")[0]])
        self.cluster.wait()
        self.assertEqual(node.stop(), 0)
        node.start()
        self.assertEqual(self.cat(place), b"before")
        self.assertEqual(self.stored(node, 2), b"meanwhile")

    # -- Two nodes --

    def test_a_group_gets_by_with_the_least_capabilities(self):
        lab.bridge("br0", "hfa", "hfb")
        self.addCleanup(network.ip, "link", "delete", "br0")
        options = {"extra": ["--service-group", "store"], "host_address": None}
        first, second = self.pool_node(link="hfa", **options), self.pool_node(link="hfb", start=False, **options)
        second.start(wait=False)
        lab.wait_for(lambda: second.events("standing-by"), 10, lambda: second.log())
        words = ["--data", self.place(), "--service-group", "store"]
        said = lab.holdfast("handover", *words)
        self.assertRegex(said, fr"process {first.node_pid()} has given store to .*, process {second.node_pid()}, which took it")
        lab.wait_for(lambda: first.events("standing-by"), 10, lambda: first.log())
        status = lab.holdfast("store", "status", *words)
        self.assertRegex(status, rf"(?m)^  owner +.*, process {second.node_pid()}, with a lease of 2000 ms$")
        second.kill_keeper()
        lab.wait_for(lambda: len(first.events("ready")) > 1, 10, lambda: first.log())


if __name__ == "__main__":
    pool_case.main()
