#!/usr/bin/env python3
"""Retention and trim with a log in a RADOS pool."""

import json
import subprocess

import case
import lab
import pool_case
from case import MIB

SEGMENT = 4 * MIB


class RetentionPoolTest(pool_case.PoolCase):
    def segments(self):
        status = subprocess.run([lab.BINARY, "store", "status", "--json", "--data", self.place()], stdout=subprocess.PIPE, check=False)
        return json.loads(status.stdout)[0]["segments"]

    def cat(self, node):
        return subprocess.run([lab.BINARY, "streams", "cat", "1", "--from", "kept", *node.data_flags()], stdout=subprocess.PIPE,
                              check=True).stdout

    def test_objects_are_bounded_through_a_kill(self):
        node = self.pool_node(extra=["--retain-bytes", "16MiB", "--receive-window", "4MiB"])
        data = case.random_bytes(96 * MIB)
        view = self.client_view()
        sending = self.sending(data)
        most = 0
        for part in (1, 2):
            self.some_way(view, part * 32 * MIB)
            most = max(most, self.segments())
            starts = len(node.events("ready"))
            self.assertIsNotNone(node.kill_node())
            lab.wait_for(lambda starts=starts: len(node.events("ready")) > starts, 20, lambda: node.log()[-2000:])
        self.assertEqual(sending.join(), b"")
        self.assertLessEqual(max(most, self.segments()), 4 + 12)
        stream = node.streams()[0]
        self.assertGreater(stream["in_begin"], 48 * MIB)
        self.assertGreaterEqual(len(data) - stream["in_begin"], 8 * MIB)
        self.assert_same(self.cat(node), data[stream["in_begin"]:])
        self.assertEqual(node.stop(), 0)
        before = self.segments()
        trim = [lab.BINARY, "streams", "trim", "--all-closed", "--json", *node.data_flags()]
        plan = json.loads(subprocess.run(trim, stdout=subprocess.PIPE, check=True).stdout)
        self.assertGreaterEqual(plan["segments"], 2)
        self.assertLess(self.segments(), before + 4)
        node.start()
        self.upload(b"after")
        self.assertEqual(node.stop(), 0)

    def test_a_running_node_is_asked(self):
        node = self.pool_node()
        self.upload(case.random_bytes(40 * MIB))
        before = self.segments()
        trim = [lab.BINARY, "streams", "trim", "--keep", "8MiB", "--json", *node.data_flags()]
        plan = json.loads(subprocess.run(trim, stdout=subprocess.PIPE, check=True).stdout)
        self.assertGreaterEqual(plan["segments"], 5)
        lab.wait_for(lambda: self.segments() <= before - plan["segments"] + 5, 20, lambda: node.log()[-2000:])
        self.assertIn("trimmed on request", node.log())
        self.assertGreater(node.streams()[0]["in_begin"], 16 * MIB)
        # Once is enough, for a later owner too.
        starts = len(node.events("ready"))
        self.assertIsNotNone(node.kill_node())
        lab.wait_for(lambda: len(node.events("ready")) > starts, 20, lambda: node.log()[-2000:])
        self.upload(b"after")
        self.assertEqual(node.stop(), 0)
        self.assertEqual(node.log().count("trimmed on request"), 1)


if __name__ == "__main__":
    pool_case.main()
