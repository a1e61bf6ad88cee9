#!/usr/bin/env python3
"""The three-way handshake on a bad wire, with the kernel at the other end: each of its segments lost, doubled, and overtaken by what was
sent after it; the kernel opens, or we do. Whatever happens, one connection comes of it, with every byte; or none."""

import contextlib
import socket
import struct

import case
import lab
from wire import DROP, DUPLICATE, HOLD, PASS, once
from wired import OURS, THEIRS, WiredCase

THREE = ("SYN", "SYN-ACK", "ACK")
DATA = case.random_bytes(50_000, seed="faults")


class FaultCase(WiredCase):
    def check_exchange(self, connection):
        """The kernel's end of a connection that is open: bytes both ways."""
        connection.sendall(DATA)
        self.receive(connection)

    def release_overtaken(self):
        """What is held, once something that was sent after it has gone by."""
        held, = self.wire.wait_held()
        self.wire.wait_delivered(lambda f: f.came_from == held.came_from and f.source_port == held.source_port
                                 and f.destination_port == held.destination_port and f.kind in (held.kind, "DATA"))
        self.wire.release(held)

    def receive(self, connection):
        received = b""
        while len(received) < len(DATA):
            piece = connection.recv(1 << 16)
            self.assertTrue(piece, "ended early")
            received += piece
        self.assert_same(received, DATA)

    def with_each_segment(self, initiator, verdict, run):
        for segment in THREE:
            responder = THEIRS if initiator == OURS else OURS
            side = responder if segment == "SYN-ACK" else initiator
            with self.subTest(segment=segment):
                self.wire.hook(side, once(segment, verdict))
                run()
                self.assertEqual(self.wire.held(), [])
            self.wire.hook(side, None)
            self.wire.discard()


class KernelOpensTest(FaultCase):
    """To an echo service of a durable node."""

    def setUp(self):
        super().setUp()
        self.server = self.node(services=("echo:7000",))
        self.made = 0

    def run_one(self, after=lambda: None):
        """A connection, data both ways, `after()` in the middle, the end; and what the node then has stored."""
        connection = self.connect()
        self.made += 1
        connection.sendall(DATA)
        after()
        self.receive(connection)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        streams = self.server.streams()
        self.assertEqual(len(streams), self.made)
        self.assert_same(self.stored(self.server, streams[-1]["id"]), DATA)

    def test_lost(self):
        self.with_each_segment(THEIRS, DROP, self.run_one)

    def test_doubled(self):
        self.with_each_segment(THEIRS, DUPLICATE, self.run_one)

    def test_overtaken(self):
        self.with_each_segment(THEIRS, HOLD, lambda: self.run_one(after=self.release_overtaken))

    def test_the_third_is_lost_and_nothing_follows(self):
        self.wire.hook(THEIRS, once("ACK", DROP))
        connection = self.connect()
        port = connection.getsockname()[1]
        # The node repeats its SYN-ACK, and the kernel its ACK.
        self.wire.wait_delivered(lambda f: f.kind == "ACK" and f.source_port == port)
        self.check_exchange(connection)

    # From the same port, while the node still waits for the last segment of the old handshake: its challenge draws a reset.
    def test_a_client_that_starts_over_is_let_in(self):
        old = []

        def keep_back_answers(frame):  # to the old SYN
            return DROP if frame.kind == "SYN-ACK" and frame.ack == old[0].end_seq else PASS
        self.wire.hook(THEIRS, once("SYN", lambda frame: old.append(frame) or PASS))
        self.wire.hook(OURS, keep_back_answers)
        first = self.peer.socket(5000)
        first.setblocking(False)
        first.connect_ex((lab.NODE, 7000))
        self.wire.wait_seen("SYN-ACK")
        first.close()
        self.check_exchange(self.connect(own_port=5000))
        kinds = self.wire.kinds(5000)
        self.assertEqual(kinds[:6], [(THEIRS, "SYN"), (THEIRS, "SYN"), (OURS, "ACK"), (THEIRS, "RST"), (OURS, "SYN-ACK"), (THEIRS, "ACK")])

    def test_an_old_syn_opens_nothing(self):
        connection = self.connect()
        self.check_exchange(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # with a reset: the kernel keeps nothing of it
        self.wire.wait_delivered(lambda f: f.came_from == THEIRS and f.kind.startswith("RST"))
        self.wait_closed(1)
        syn = next(f for f in self.wire.tcp() if f.kind == "SYN")
        self.wire.inject(syn)  # RFC 9293 section 3.5, figure 11
        resets = self.wire.wait_delivered(lambda f: f.came_from == THEIRS and f.kind.startswith("RST"), count=2)
        self.assertEqual(len(resets), 2)
        self.wait_closed(2)
        self.assertEqual(self.server.streams()[-1]["in_bytes"], 0)

    def wait_closed(self, count):
        lab.wait_for(lambda: [s["closed_because"] for s in self.server.streams()].count(None) == 0
                     and len(self.server.streams()) == count, 20, lambda: str(self.server.streams()))


class WeOpenTest(FaultCase):
    """To a listener of the kernel's, which sends back what it gets."""

    def setUp(self):
        super().setUp()
        self.listener = self.listen()

    @contextlib.contextmanager
    def sending(self):
        sender = self.start_send()
        sender.stdin.write(DATA)
        sender.stdin.flush()
        yield sender
        sender.stdin.close()
        self.assertEqual(sender.wait(30), 0, sender.stderr.read())

    def run_one(self, after=lambda: None):
        with self.sending() as sender:
            connection = self.accept(self.listener)
            after()
            self.receive(connection)
            connection.sendall(DATA)
            connection.shutdown(socket.SHUT_WR)
            self.assert_same(sender.stdout.read(len(DATA)), DATA)
        self.assertEqual(connection.recv(1), b"")
        connection.close()
        self.listener.setblocking(False)
        with self.assertRaises(BlockingIOError):  # there is no second one
            self.listener.accept()
        self.listener.settimeout(30)

    def test_lost(self):
        self.with_each_segment(OURS, DROP, self.run_one)

    def test_doubled(self):
        self.with_each_segment(OURS, DUPLICATE, self.run_one)

    def test_overtaken(self):
        self.with_each_segment(OURS, HOLD, lambda: self.run_one(after=self.release_overtaken))

    def test_the_third_is_lost_and_nothing_follows(self):
        self.wire.hook(OURS, once("ACK", DROP))
        sender = self.start_send()
        connection = self.accept(self.listener)  # after the kernel has repeated its SYN-ACK, and we our ACK
        sender.stdin.write(DATA)
        sender.stdin.close()
        self.receive(connection)
        connection.close()
        self.assert_sent(sender)

    # Our part of RFC 9293's figure 8.
    def test_an_old_syn_ack_is_refused_and_the_true_one_taken(self):
        def old_one_first(frame):
            return [frame.altered(ack=frame.ack + 100_000, seq=frame.seq - 5_000_000), frame]
        self.wire.hook(THEIRS, once("SYN-ACK", old_one_first))
        self.run_one()
        reset, = self.wire.wait_delivered(lambda f: f.came_from == OURS and f.kind == "RST")
        self.assertEqual(reset.seq, self.wire.wait_delivered("SYN-ACK")[0].ack)


if __name__ == "__main__":
    case.main()
