#!/usr/bin/env python3
"""A kernel that knows no N-way handshake at the other end: it ignores the option, and proposes nothing (docs/handshake.md, rule 2)."""

import socket

import case
import lab
from wired import OURS, THEIRS, WiredCase

DATA = case.random_bytes(100_000, seed="kernel")


class KernelListensTest(WiredCase):
    def setUp(self):
        super().setUp()
        self.listener = self.listen()

    def test_more_ways_where_possible_are_three(self):
        self.falls_back("--ways", 8)

    def test_of_a_durable_sender_too(self):
        self.falls_back("--ways", 8, "--data", self.directory.make("sender"), "--segment-size", "1MiB")

    def falls_back(self, *more):
        sender = self.start_send(*more)
        kernel = self.accept(self.listener)
        sender.stdin.write(DATA)
        sender.stdin.close()
        received = b""
        while piece := kernel.recv(1 << 16):
            received += piece
        self.assert_same(received, DATA)
        kernel.sendall(b"answer")
        kernel.shutdown(socket.SHUT_WR)
        self.assertEqual(sender.stdout.read(), b"answer")
        self.assert_sent(sender)
        self.assertEqual(self.wire.kinds()[:3], [(OURS, "SYN"), (THEIRS, "SYN-ACK"), (OURS, "ACK")])
        syn, *rest = self.wire.exchange()
        self.assertEqual((syn.ways.ways, syn.ways.step), (8, 1))
        self.assertEqual([frame for frame in rest if frame.ways], [])

    def test_where_more_are_required_there_is_no_connection(self):
        sender = self.start_send("--ways", "8..8")
        sender.stdin.close()
        self.assertEqual(sender.wait(30), 1)
        error = sender.stderr.read().decode()
        self.assertIn("no connection", error)
        self.assertIn("knows no N-way handshake, and three ways are too few", error)
        # It is told, and keeps nothing.
        reset = self.wire.wait_delivered(lambda frame: frame.came_from == OURS and frame.kind.startswith("RST"))[0]
        syn_ack, = (frame for frame in self.wire.exchange() if frame.kind == "SYN-ACK")
        self.assertEqual(reset.seq, syn_ack.ack)
        lab.wait_for(lambda: self.peer.states(reset.source_port) == [], 20, lambda: "it still has a connection")
        self.listener.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.listener.accept()


class KernelConnectsTest(WiredCase):
    def test_a_service_that_allows_more_ways_takes_three(self):
        node = self.node(services=["store:7000,ways=3..74,policy=strict"])
        connection = self.connect()
        connection.sendall(DATA)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assert_same(self.stored(node, 1), DATA)
        self.assertEqual(self.wire.kinds()[:3], [(THEIRS, "SYN"), (OURS, "SYN-ACK"), (THEIRS, "ACK")])
        self.assertEqual([frame for frame in self.wire.tcp() if frame.ways], [])

    def test_a_service_that_requires_more_refuses(self):
        node = self.node(services=["store:7000,ways=5..74"])
        with self.assertRaises(ConnectionRefusedError):
            self.connect()
        self.assertEqual(self.wire.kinds(), [(THEIRS, "SYN"), (OURS, "RST-ACK")])
        self.assertEqual([frame for frame in self.wire.tcp() if frame.ways], [])  # it would not know what that is
        self.assertEqual(node.streams(), [])


if __name__ == "__main__":
    case.main()
