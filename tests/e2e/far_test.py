#!/usr/bin/env python3
"""A node whose pool is 50 ms away: what it stores, and that it does not wait for one write before it begins the next. Counted, not
timed."""

import hashlib
import socket
import subprocess
import time

import case
import far
import lab
import pool_case
import rados_cluster
from case import MIB

ONE_WAY = 0.025
SEGMENTS = ["--segment-size", "16MiB"]  # several of them in what is sent


class FarTest(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.site = far.FarSite()
        cls.addClassCleanup(cls.site.close)
        cls.cluster = cls.site.start_cluster()
        wire = cls.site.wire(ONE_WAY)
        cls.wire = wire.__enter__()  # pylint: disable=unnecessary-dunder-call
        cls.addClassCleanup(wire.__exit__, None, None, None)

    def far_node(self, *extra):
        data = f"rados:{rados_cluster.POOL}/{self._testMethodName[:60]}?conf={self.cluster.conf}"
        node = self.node(start=False, data=[data], extra=[*SEGMENTS, *extra])
        with self.site.namespace:
            node.start()
        return node

    def upload_to(self, connections, size):
        upload = far.Upload(self.site.namespace, lab.NODE, 7000, connections, size)
        upload.run()
        return upload

    def end(self, node):
        """All that its "writes" events say, and the largest of each."""
        self.assertEqual(node.stop(), 0)
        events = node.events("writes")
        return {key: max(event[key] for event in events) for key in events[0] if key not in ("time", "event")}

    def assert_stored(self, node, upload):
        streams = node.streams()
        self.assertEqual(len(streams), len(upload.threads))
        for stream in streams:
            self.assertEqual((stream["in_bytes"], stream["in_finished"]), (upload.size, True))
            found = hashlib.sha256()
            with subprocess.Popen([lab.BINARY, "streams", "cat", str(stream["id"]), *node.data_flags()],
                                  stdout=subprocess.PIPE) as reader:
                while piece := reader.stdout.read(1 << 20):
                    found.update(piece)
            self.assertEqual((reader.returncode, found.hexdigest()), (0, upload.digest()))

    def test_many_writes_are_under_way_at_once(self):
        node = self.far_node()
        upload = self.upload_to(4, 24 * MIB)
        writes = self.end(node)
        self.assertGreater(writes["least_ms"], 2 * ONE_WAY * 1000)  # it was far away
        # More than four batches of the largest size: what a store that is near gets.
        self.assertGreater(writes["most_at_once"], 4, writes)
        self.assertGreater(writes["most_bytes_at_once"], 4 * 512 << 10, writes)
        self.assertLessEqual(writes["most_at_once"], 32, writes)
        self.assertGreater(writes["widest_window"], 512 << 10, writes)  # and the senders' windows are wider than a batch
        self.assert_stored(node, upload)

    def test_a_small_message_does_not_wait_for_a_write_that_is_under_way(self):
        """A batch that holds next to nothing leaves beside others: else they would come one after the other, a way there and back
        each."""
        node = self.far_node()
        with self.site.namespace:
            connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(40):
            connection.sendall(b"%07d\n" % number)
            time.sleep(0.01)
        writes = self.end(node)
        self.assertGreater(writes["most_at_once"], 1, writes)
        self.assertLess(writes["most_bytes_at_once"], 512 << 10, writes)

    def test_with_one_write_at_a_time_there_is_one(self):
        """What the others find is not there by itself."""
        node = self.far_node("--writes-in-flight", "1")
        upload = self.upload_to(1, MIB)
        writes = self.end(node)
        self.assertEqual((writes["most_at_once"], writes["limit"]), (1, 1))
        self.assert_stored(node, upload)


if __name__ == "__main__":
    pool_case.main()
