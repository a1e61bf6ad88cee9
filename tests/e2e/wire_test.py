#!/usr/bin/env python3
"""The wire itself: a test that injects faults is worth what its wire is."""

import socket
import subprocess
import unittest

import case
import frame as frames
import lab
import network
from wire import DROP, DUPLICATE, HOLD, PASS, Wire, once
from wired import OURS, THEIRS, WiredCase

SACK_PERMITTED = 4


class FrameTest(unittest.TestCase):
    WAYS = frames.ways_option(8, 2, 3, 1, 0x01020304, 0x05060708)

    def test_the_ways_option_is_read(self):
        frame = frames.made(options=b"\1\1" + self.WAYS)
        self.assertEqual(frame.ways, (8, 2, 3, 1, 0x01020304, 0x05060708))
        self.assertIsNone(frames.made(options=self.WAYS[:2] + b"\0\0" + self.WAYS[4:]).ways)  # somebody else's experiment
        self.assertIsNone(frames.made(options=self.WAYS[:8]).ways)

    def test_a_stripped_option_leaves_nops_and_a_right_checksum(self):
        frame = frames.made(options=b"\2\4\5\xb4" + self.WAYS + b"\3\3\7\0")
        self.assertTrue(frame.checksum_is_right())
        stripped = frame.without_option(frames.WAYS_KIND)
        self.assertEqual(stripped.options, b"\2\4\5\xb4" + b"\1" * 16 + b"\3\3\7\0")
        self.assertIsNone(stripped.ways)
        self.assertTrue(stripped.checksum_is_right())
        self.assertEqual((stripped.seq, stripped.kind, stripped.came_from), (frame.seq, "SYN", "a"))

    def test_malformed_ones_are_no_tcp(self):
        whole = frames.made(payload=b"x" * 30).raw
        for size in range(len(whole)):
            self.assertFalse(frames.Frame(whole[:size]).is_tcp)
        self.assertTrue(frames.Frame(whole + b"\0" * 6).is_tcp)  # padding
        self.assertFalse(frames.Frame(whole[:46] + b"\xf0" + whole[47:]).is_tcp)
        for options in (b"\2\0\0\0", b"\2\xff\0\0", b"\1\1\1\2"):
            self.assertEqual(list(frames.made(options=options).each_option()), [])

    def test_an_answer_goes_back(self):
        frame = frames.made(payload=b"four")
        answer = frame.answer(came_from="b")
        self.assertEqual((answer.source, answer.source_port, answer.destination_mac), (frame.destination, 2000, frame.source_mac))
        self.assertEqual((answer.ack, answer.kind), (frame.seq + 1 + 4, "ACK"))
        self.assertTrue(answer.checksum_is_right())


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

    def test_a_changed_super_segment_is_still_one(self):
        node = self.node()
        data = case.random_bytes(case.MIB, seed=2)
        changed = []

        def change(frame):
            if frame.segments == 1:
                return PASS
            changed.append(frame.altered(flags=frame.flags | frames.PSH))
            return [changed[-1]]
        self.wire.hook(THEIRS, change)
        self.upload(data)
        self.assert_same(self.stored(node, 1), data)
        self.assertTrue(changed)
        self.assertTrue(all(frame.segments > 1 and frame.needs_checksum for frame in changed))

    def test_an_option_is_stripped_on_the_way(self):
        node = self.node()
        self.wire.hook(THEIRS, once("SYN", lambda frame: [frame.without_option(SACK_PERMITTED)]))
        self.upload(b"as ever")
        offered, answered = (dict(self.wire.wait_seen(kind)[0].each_option()) for kind in ("SYN", "SYN-ACK"))
        self.assertIn(SACK_PERMITTED, offered)
        self.assertNotIn(SACK_PERMITTED, answered)
        self.assertEqual(self.stored(node, 1), b"as ever")

    def test_dropped_doubled_and_held(self):
        self.node()
        self.wire.hook(THEIRS, once("SYN", DUPLICATE))
        first = self.connect()
        doubled, = [f for f in self.wire.seen if f.fate == DUPLICATE]
        self.assertEqual(len([f for f in self.wire.delivered if f is doubled]), 2)
        self.wire.hook(THEIRS, once("DATA", DROP))
        first.sendall(b"lost at first")
        again, *_ = self.wire.wait_delivered("DATA")
        lost = self.wire.wait_seen("DATA")[0]
        self.assertEqual((lost.fate, lost.identity), (DROP, again.identity))
        self.wire.hook(THEIRS, lambda frame: HOLD if frame.kind == "SYN" else PASS)
        opening = self.in_background(self.connect)
        self.wire.wait_held("SYN", count=2)
        self.wire.hook(THEIRS, None)
        late, early = self.wire.held()
        self.wire.release(early, late)
        opening.join()
        self.assertEqual(self.wire.held(), [])

    def test_a_pause_after_a_segment(self):
        self.node()
        self.wire.pause_after("SYN-ACK")
        connection = self.connect()
        self.wire.wait_paused()
        self.wire.wait(lambda: [f for f in self.wire.backlog() if f.kind == "ACK"])
        self.assertNotIn("ACK", [f.kind for f in self.wire.delivered])
        self.wire.resume()
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")

    def test_a_forged_reset_is_believed(self):
        self.node()
        connection = self.connect()
        connection.sendall(b"x")
        data, = self.wire.wait_delivered("DATA")
        ack, *_ = self.wire.wait_delivered(lambda f: f.came_from == OURS and f.ack == data.end_seq)
        self.wire.inject(data.answer(flags=frames.RST | frames.ACK, seq=ack.seq, came_from=OURS))
        with self.assertRaises(ConnectionResetError):
            connection.recv(1)

    def test_what_a_hook_raises_the_test_is_told(self):
        self.node()
        self.wire.hook(THEIRS, once("SYN", lambda frame: "no verdict"))
        self.in_background(self.connect, 7000, lab.NODE, 1)
        with self.assertRaisesRegex(TypeError, "no verdict"):
            self.wire.wait_delivered("SYN")
        with self.assertRaisesRegex(TypeError, "no verdict"):
            self.wire.stop()


class TwoDevicesTest(case.Case):
    """Holdfast at both ends."""

    def setUp(self):
        for name in ("hf0", "hf1"):
            network.make_tap(name)
            self.addCleanup(network.ip, "link", "del", name)
        self.wire = Wire("hf0", "hf1").start()
        self.addCleanup(self.wire.stop)
        super().setUp()

    def test_a_file_goes_from_one_to_the_other(self):
        node = self.node(link="hf0", host_address=None)
        data = case.random_bytes(8 * case.MIB, seed=3)
        done = subprocess.run([lab.BINARY, "send", "--link", "tap:hf1", "--address", "10.77.0.3/24", "--to", f"{lab.NODE}:7000"],
                              input=data, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assert_same(self.stored(node, 1), data)
        self.assertEqual(self.wire.kinds()[:3], [("hf1", "SYN"), ("hf0", "SYN-ACK"), ("hf1", "ACK")])
        self.assertTrue([frame for frame in self.wire.tcp() if frame.segments > 1])


class BridgeTest(WiredCase):
    bridged = True

    def test_it_passes_and_counts(self):
        node = self.node()
        data = case.random_bytes(2 * case.MIB, seed=4)
        port = self.upload(data)
        self.assert_same(self.stored(node, 1), data)
        recorder = self.bridge.recorder
        recorder.wait_seen("FIN", count=2)
        self.assertEqual(recorder.dropped(), 0)
        frames_in = [f for f in recorder.tcp(port) if f.destination_port == 7000 and f.payload_length]
        self.assertGreaterEqual(sum(f.payload_length for f in frames_in), len(data))
        # As many as a wire of 1,500 bytes carries, however few frames they came in.
        self.assertGreaterEqual(recorder.count_segments(port), len(data) // 1448)
        self.assertLess(len(frames_in), len(data) // 1448)
        self.assertEqual([kind for _, kind in recorder.kinds(port)[:3]], ["SYN", "SYN-ACK", "ACK"])


if __name__ == "__main__":
    case.main()
