#!/usr/bin/env python3
"""Retention and trim with a log in directories: bounded space, and what is kept is right, whatever dies."""

import json
import os
import subprocess

import case
import lab
from case import MIB

KEPT = 16 * MIB
SEGMENT = 4 * MIB
# Beside what is kept: one that is being released, and one that fills until the mark is stored by which that goes; the prepared ones
# (what windows promise among them), spares.
MOST = KEPT + 13 * SEGMENT


def used(path):
    total = 0
    for name in os.listdir(path):
        if name.startswith(("segment-", "preparing-")):
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                pass  # renamed meanwhile
    return total


class RetentionTest(case.Case):
    def retaining(self, *more, **options):
        return self.node(extra=["--segment-size", "4MiB", "--receive-window", "4MiB", *more], **options)

    def tool(self, *words):
        return subprocess.run([lab.BINARY, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def kept(self, node, data, least, stream=1):
        """What is kept of a stream is right; where it begins."""
        shown = [found for found in node.streams() if found["id"] == stream][0]
        begin = shown["in_begin"]
        self.assertEqual(shown["in_bytes"], len(data))
        self.assertTrue(shown["in_finished"])
        self.assertGreaterEqual(len(data) - begin, least)
        found = self.tool("streams", "cat", str(stream), "--from", "kept", *node.data_flags())
        self.assertEqual((found.returncode, found.stderr), (0, b""))
        self.assert_same(found.stdout, data[begin:])
        return begin

    def test_space_is_bounded_through_kills(self):
        node = self.retaining("--retain-bytes", "16MiB", data=2)
        data = case.random_bytes(256 * MIB)
        client = self.start_nc(data)
        view = self.client_view()
        most = 0
        for part in (1, 2, 3):
            def reached(part=part):
                nonlocal most
                most = max([most, *(used(path) for path in node.data)])
                acked = max((c["bytes_acked"] - 1 for c in view.connections()), default=0)
                return client.poll() is not None or acked >= part * 60 * MIB
            lab.wait_for(reached, 60, lambda: node.log()[-2000:], every=0.005)
            self.assertIsNone(client.poll(), "the upload was over too soon")
            starts = len(node.events("ready"))
            self.assertIsNotNone(node.kill_node())
            lab.wait_for(lambda starts=starts: len(node.events("ready")) > starts, 20, lambda: node.log()[-2000:])
        self.assertEqual(client.wait(120), 0)
        most = max([most, *(used(path) for path in node.data)])
        self.assertLessEqual(most, MOST)
        self.assertEqual(node.events("segments-vanished"), [])
        self.assertGreater(self.kept(node, data, KEPT - 2 * SEGMENT), 128 * MIB)  # beside a node that runs
        self.assertEqual(node.stop(), 0)
        begin = self.kept(node, data, KEPT - 2 * SEGMENT)
        gone = self.tool("streams", "cat", "1", *node.data_flags())
        self.assertEqual(gone.returncode, 2)
        self.assertIn(f"stream 1 in: bytes [0, {begin}) were trimmed".encode(), gone.stderr)

    def test_a_connection_that_answers_to_nobody_is_kept(self):
        node = self.node(services=["store:7000", "echo:7001"],
                         extra=["--segment-size", "4MiB", "--receive-window", "4MiB", "--retain-bytes", "8MiB"])
        echo = self.connect(7001)
        words = case.random_bytes(2 * MIB)
        sending = self.in_background(echo.sendall, words)  # and reads nothing of what comes back
        self.upload(case.random_bytes(96 * MIB))
        self.assertIsNotNone(node.kill_node())
        lab.wait_for(lambda: len(node.events("ready")) > 1, 20, lambda: node.log()[-2000:])
        back = b""
        while len(back) < len(words):
            piece = echo.recv(1 << 16)
            self.assertTrue(piece)
            back += piece
        sending.join()
        self.assert_same(back, words)
        self.assertLessEqual(used(node.data[0]), 8 * MIB + 12 * SEGMENT)

    def test_trim_of_a_stopped_node(self):
        node = self.retaining()
        data = case.random_bytes(64 * MIB)
        self.upload(data)
        idle = self.connect()
        idle.sendall(b"first")
        self.assertEqual(node.stop(), 0)
        before = used(node.data[0])
        trim = ["streams", "trim", "--keep", "20MiB", *node.data_flags()]
        planned = self.tool(*trim, "--json", "--dry-run")
        self.assertEqual((planned.returncode, planned.stderr), (0, b""))
        plan = json.loads(planned.stdout)
        self.assertEqual(used(node.data[0]), before)
        self.assertGreaterEqual(plan["segments"], 10)
        done = self.tool(*trim)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(f"freed {plan['segments']} segments".encode(), done.stdout)
        lost = [stream["in"][1] for stream in plan["streams"] if stream["id"] == 1]
        self.assertEqual(self.kept(node, data, 8 * MIB), lost[0])
        self.assertLessEqual(used(node.data[0]), before - (plan["segments"] - 4) * SEGMENT)
        node.start()  # the open connection goes on
        idle.sendall(b"second")
        idle.shutdown(1)
        self.assertEqual(idle.recv(1), b"")
        self.assertEqual(self.stored(node, 2), b"firstsecond")

    def test_trim_beside_a_running_node(self):
        node = self.retaining()
        data = case.random_bytes(64 * MIB)
        open_one = self.connect()
        open_one.sendall(data)
        lab.wait_for(lambda: node.streams()[0]["in_bytes"] == len(data), 30, lambda: "not all is stored")
        before = used(node.data[0])
        done = self.tool("streams", "trim", "--keep", "20MiB", "--json", *node.data_flags())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        plan = json.loads(done.stdout)
        self.assertGreaterEqual(plan["segments"], 10)
        lab.wait_for(lambda: used(node.data[0]) <= before - (plan["segments"] - 4) * SEGMENT, 10, lambda: os.listdir(node.data[0]))
        self.assertEqual(sorted(name for name in os.listdir(node.data[0]) if name.startswith("trim-")), [])
        open_one.sendall(b"more")
        open_one.shutdown(1)
        self.assertEqual(open_one.recv(1), b"")
        self.kept(node, data + b"more", 8 * MIB)


if __name__ == "__main__":
    case.main()
