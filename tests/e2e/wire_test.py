#!/usr/bin/env python3
"""The wire itself: a test that injects faults is worth what its wire is."""

import case
import lab
from wire import DROP, DUPLICATE, HOLD, PASS, once
from wired import OURS, THEIRS, WiredCase


class WireTest(WiredCase):
    def test_super_segments_pass_whole_in_both_directions(self):
        node = self.node(services=("store:7000", "echo:7001"))
        data = case.random_bytes(8 * case.MIB, seed=1)
        connection = self.connect(7001)
        sending = self.in_background(connection.sendall, data)
        back = bytearray()
        while len(back) < len(data):
            back += connection.recv(1 << 20)
        sending.join()
        self.assert_same(bytes(back), data)
        self.assert_same(self.stored(node, 1), data)
        for side in (OURS, THEIRS):
            came = [frame for frame in self.wire.tcp(7001) if frame.came_from == side]
            whole = [frame for frame in came if frame.segments > 1]
            self.assertTrue(whole, f"no super-segment from {side}")
            self.assertGreaterEqual(sum(frame.payload_length for frame in came), len(data))
            self.assertTrue(all(frame.needs_checksum for frame in whole))


if __name__ == "__main__":
    case.main()
