#!/usr/bin/env python3
"""The four- and five-segment exchanges of plain TCP with the kernel's own: simultaneous open (RFC 9293 section 3.5, figure 7), the
split handshake, and the close (section 3.6, figures 12 and 13) from either side and from both at once."""

import platform
import socket

import case
import frame as frames
import lab
from wire import DROP, HOLD, PASS
from wired import OURS, THEIRS, WiredCase

OWN_PORT, PORT = 5000, 9000


def linux_before(major, minor):
    """Is the kernel older?"""
    version = platform.release().split(".")
    return (int(version[0]), int("".join(filter(str.isdigit, version[1])) or 0)) < (major, minor)


def hold_first(kind):
    """A hook that holds the first segment of that kind, and drops its repetitions until it is released."""
    held = []

    def hook(frame):
        if frame.kind != kind:
            return PASS
        if not held:
            held.append(frame)
            return HOLD
        return DROP if held[0].fate == HOLD else PASS
    return hook


class PlainCase(WiredCase):
    def talk(self, sender, kernel, sent=b""):
        """Both ways, and the end. `sent`: what the sender was given before."""
        kernel.settimeout(30)
        sender.stdin.write(b"more")
        sender.stdin.close()
        received = b""
        while piece := kernel.recv(1000):
            received += piece
        self.assertEqual(received, sent + b"more")
        kernel.sendall(b"from the kernel")
        kernel.shutdown(socket.SHUT_WR)
        self.assertEqual(sender.stdout.read(), b"from the kernel")
        self.assert_sent(sender)


class SimultaneousOpenTest(PlainCase):
    """Two SYNs that cross. What the kernel does with it depends on its age: before Linux 6.12 it takes a SYN-ACK in SYN-RECEIVED for an
    attack (RFC 5961 section 4), answers with a challenge ACK and waits for the next segment: it is ESTABLISHED by that, our ACK."""

    def connect_from_both_sides(self):
        """SYNs under way in both directions, held by the wire."""
        for side in (OURS, THEIRS):
            self.wire.hook(side, hold_first("SYN"))
        sender = self.start_send("--local-port", OWN_PORT)
        ours, = self.wire.wait_held(lambda frame: frame.came_from == OURS)
        kernel = self.peer.socket(PORT)
        self.addCleanup(kernel.close)
        kernel.setblocking(False)
        self.assertNotEqual(kernel.connect_ex((lab.NODE, OWN_PORT)), 0)
        theirs, = self.wire.wait_held(lambda frame: frame.came_from == THEIRS)
        self.assertEqual((ours.source_port, ours.destination_port), (theirs.destination_port, theirs.source_port))
        return sender, kernel, ours, theirs

    def test_four_segments_establish_both_sides(self):
        sender, kernel, *_ = self.connect_from_both_sides()
        for side in (OURS, THEIRS):
            self.wire.hook(side, hold_first("SYN-ACK"))
        self.wire.release()
        self.wire.wait_held("SYN-ACK", count=2)
        self.wire.pause()  # nothing but the four gets through
        self.wire.release()
        # Data is what our side does not send before it is ESTABLISHED.
        sender.stdin.write(b"to the kernel")
        sender.stdin.flush()
        self.wire.wait(lambda: [f for f in self.wire.backlog() if f.came_from == OURS and f.kind == "DATA"])
        self.assertEqual(self.peer.states(OWN_PORT), ["SYN-RECEIVED" if linux_before(6, 12) else "ESTABLISHED"])
        kinds = self.wire.kinds()
        self.assertCountEqual(kinds[:2], [(OURS, "SYN"), (THEIRS, "SYN")])
        self.assertCountEqual(kinds[2:], [(OURS, "SYN-ACK"), (THEIRS, "SYN-ACK")])
        self.wire.resume()
        self.talk(sender, kernel, sent=b"to the kernel")

    def test_a_syn_ack_that_is_lost_is_made_good(self):
        for lost in (OURS, THEIRS):
            with self.subTest(lost=lost):
                sender, kernel, *_ = self.connect_from_both_sides()
                self.wire.hook(lost, hold_first("SYN-ACK"))
                self.wire.release()
                self.wire.discard(*self.wire.wait_held("SYN-ACK"))
                self.talk(sender, kernel)
                kernel.close()

    def test_where_one_syn_is_lost_three_segments_do(self):
        sender, kernel, ours, theirs = self.connect_from_both_sides()
        self.wire.discard(ours)
        self.wire.release(theirs)
        self.talk(sender, kernel)
        self.assertEqual(self.wire.kinds()[:3], [(THEIRS, "SYN"), (OURS, "SYN-ACK"), (THEIRS, "ACK")])


class SplitHandshakeTest(PlainCase):
    """A responder that answers a SYN with an ACK and a SYN of its own, or with the SYN alone. Section 3.5 of RFC 9293 names the four
    steps that an opening consists of, two of which are usually combined; its rules for what arrives (section 3.10.7.3) then make this
    of it: the bare ACK is dropped in SYN-SENT; the bare SYN leads to SYN-RECEIVED as in a simultaneous open, and draws a SYN-ACK.
    Linux as the initiator does the same. As the responder it sends a SYN-ACK always: here the wire takes that apart. Having sent one, it takes our
    SYN-ACK for an old segment, and answers it with an ACK, which is the last of the handshake for us; for it, our next one is."""

    @staticmethod
    def split(*, with_ack):
        def hook(frame):
            if frame.kind != "SYN-ACK":
                return PASS
            ack = frame.altered(flags=frames.ACK, seq=frame.seq + 7777, options=b"")
            syn = frame.altered(flags=frames.SYN, ack=0)
            return [ack, syn] if with_ack else [syn]
        return hook

    def test_five_segments(self):
        self.establish(with_ack=True)
        self.assertEqual(self.wire.kinds()[:5], [(OURS, "SYN"), (THEIRS, "ACK"), (THEIRS, "SYN"), (OURS, "SYN-ACK"), (THEIRS, "ACK")])

    def test_four_segments(self):
        self.establish(with_ack=False)
        self.assertEqual(self.wire.kinds()[:4], [(OURS, "SYN"), (THEIRS, "SYN"), (OURS, "SYN-ACK"), (THEIRS, "ACK")])

    def establish(self, with_ack):
        listener = self.listen(PORT)
        self.wire.hook(THEIRS, self.split(with_ack=with_ack))
        sender = self.start_send()
        sender.stdin.write(b"to the kernel")
        sender.stdin.flush()
        self.talk(sender, self.accept(listener), sent=b"to the kernel")

    def test_a_peer_that_speaks_first_need_not_wait_for_our_data(self):
        listener = self.listen(PORT)
        self.wire.hook(THEIRS, self.split(with_ack=False))
        sender = self.start_send()
        kernel = self.accept(listener)  # established by our answer to its repeated SYN
        kernel.sendall(b"well")
        self.assertEqual(sender.stdout.read(4), b"well")
        self.talk(sender, kernel)

    def test_a_responder_of_ours_that_is_split(self):
        node = self.node()
        for with_ack in (False, True):
            with self.subTest(with_ack=with_ack):
                self.wire.hook(OURS, self.split(with_ack=with_ack))
                connection = self.connect()
                port = connection.getsockname()[1]
                own = [(OURS, "ACK"), (OURS, "SYN")] if with_ack else [(OURS, "SYN")]
                # Our last ACK is what the kernel waits for.
                self.wire.wait_delivered(lambda f: f.kind == "ACK" and f.came_from == OURS and f.destination_port == port
                                         and f.flags == frames.ACK and f.seq == self.own_isn(port) + 1)
                self.assertEqual(self.wire.kinds(port)[:len(own) + 3],
                                 [(THEIRS, "SYN"), *own, (THEIRS, "SYN-ACK"), (OURS, "ACK")])
                connection.sendall(b"stored")
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(connection.recv(1), b"")
        self.assertEqual([self.stored(node, stream) for stream in (1, 2)], [b"stored"] * 2)

    def own_isn(self, port):
        return next(f.seq for f in self.wire.tcp(port) if f.came_from == OURS and f.kind == "SYN-ACK")


class CloseTest(PlainCase):
    """Four segments: a FIN each way, an ACK of each. TIME-WAIT is where the first FIN came from; at both ends where they crossed."""

    def closing(self, port=None):
        """What passed from the first FIN on."""
        kinds = self.wire.kinds(port)
        first = next(i for i, (_, kind) in enumerate(kinds) if kind == "FIN")
        return kinds[first:]

    def wait_acknowledged(self, by, segment):
        self.wire.wait_delivered(lambda f: f.came_from == by and f.kind in ("ACK", "FIN") and f.ack == segment.end_seq)

    def first(self, side, kind):
        return self.wire.wait_seen(lambda f: f.came_from == side and f.kind == kind)[0]

    def test_the_kernel_closes_first(self):
        node = self.node()
        connection = self.connect()
        connection.sendall(b"all that there is")
        self.wait_acknowledged(OURS, self.first(THEIRS, "DATA"))  # so that none but the FIN's is to come
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.wait_acknowledged(THEIRS, self.first(OURS, "FIN"))
        self.assertEqual(self.closing(), [(THEIRS, "FIN"), (OURS, "ACK"), (OURS, "FIN"), (THEIRS, "ACK")])
        self.assertEqual(self.peer.states(7000), ["TIME-WAIT"])
        lab.wait_for(lambda: node.streams()[0]["closed_because"] == "both ends finished", 20, lambda: str(node.streams()))
        self.assertEqual(self.stored(node, 1), b"all that there is")

    def test_the_last_ack_is_lost(self):
        node = self.node()
        connection = self.connect()
        connection.shutdown(socket.SHUT_WR)
        lost = []

        def lose_last_ack(frame):
            fins = [f for f in self.wire.tcp() if f.came_from == OURS and f.kind == "FIN"]
            if fins and not lost and frame.ack == fins[0].end_seq:
                lost.append(frame)
                return DROP
            return PASS
        self.wire.hook(THEIRS, lose_last_ack)
        self.assertEqual(connection.recv(1), b"")
        lab.wait_for(lambda: node.streams()[0]["closed_because"] == "both ends finished", 20, lambda: str(node.streams()))
        self.wire.wait_seen(lambda f: f.came_from == OURS and f.kind == "FIN", count=2)
        self.assertEqual(self.closing(), [(THEIRS, "FIN"), (OURS, "ACK"), (OURS, "FIN"), (THEIRS, "ACK")])

    def test_our_side_closes_first(self):
        listener = self.listen(PORT)
        sender = self.start_send()
        kernel = self.accept(listener)
        sender.stdin.write(b"all that there is")
        sender.stdin.flush()
        self.wait_acknowledged(THEIRS, self.first(OURS, "DATA"))
        sender.stdin.close()
        self.wait_acknowledged(THEIRS, self.first(OURS, "FIN"))  # not before: it would ride on the kernel's own FIN
        port = kernel.getpeername()[1]
        self.assertEqual(self.peer.states(port), ["CLOSE-WAIT"])
        self.assertEqual(kernel.recv(100), b"all that there is")
        self.assertEqual(kernel.recv(100), b"")
        kernel.close()
        self.assert_sent(sender)
        self.wait_acknowledged(OURS, self.first(THEIRS, "FIN"))
        self.assertEqual(self.closing(), [(OURS, "FIN"), (THEIRS, "ACK"), (THEIRS, "FIN"), (OURS, "ACK")])
        self.assertEqual(self.peer.states(port), [])

    def test_both_close_at_once(self):
        listener = self.listen(PORT)
        sender = self.start_send()
        kernel = self.accept(listener)
        for side in (OURS, THEIRS):
            self.wire.hook(side, hold_first("FIN"))
        sender.stdin.close()
        kernel.shutdown(socket.SHUT_WR)
        ours, theirs = sorted(self.wire.wait_held("FIN", count=2), key=lambda f: f.came_from != OURS)
        port = kernel.getpeername()[1]
        self.assertEqual(self.peer.states(port), ["FIN-WAIT-1"])
        # Our FIN's ACK keeps our side waiting in CLOSING.
        self.wire.hook(THEIRS, lambda f: HOLD if f.kind == "ACK" and f.ack == ours.end_seq else PASS)
        self.wire.release(ours, theirs)
        self.wait_acknowledged(OURS, theirs)
        ack, *_ = self.wire.wait_held("ACK")
        self.assertIsNone(sender.poll())
        self.wire.release(ack)
        self.assert_sent(sender)
        self.assertCountEqual(self.closing(), [(OURS, "FIN"), (THEIRS, "FIN"), (THEIRS, "ACK"), (OURS, "ACK")])
        self.assertEqual(self.peer.states(port), ["TIME-WAIT"])


if __name__ == "__main__":
    case.main()
