#!/usr/bin/env python3
"""A log in a RADOS pool, by itself and beside a directory, on a real cluster whose OSDs and monitor die and hang."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time

import case
import lab
import pool_case
from case import MIB


def status_of(pid):
    """/proc/PID/status: threads, and KiB in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["Threads"]), int(lines["VmRSS"].split()[0])


class ServeTest(pool_case.PoolCase):
    """Nothing is wrong with the cluster."""

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


if __name__ == "__main__":
    if not shutil.which("ceph-osd"):
        print("ceph-osd is not installed: scripts/install-deps", file=sys.stderr)
        sys.exit(lab.SKIPPED)
    case.main()
