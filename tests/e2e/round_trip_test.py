#!/usr/bin/env python3
"""What the kernel takes for the round-trip time when its node was replaced (RFC 7323 section 4: from the echo of its timestamps)."""

import socket
import struct
import time

import case
import lab
from wire import DROP, PASS
from wired import OURS, WiredCase


def tcp_info(connection):
    """(time-out, smoothed round-trip time, segments that are not acknowledged, retransmissions), times in microseconds."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return tuple(struct.unpack_from("=I", info, at)[0] for at in (8, 68, 24, 100))


class RoundTripTest(WiredCase):
    def test_a_replacement_tells_of_none_as_long_as_its_log_is_old(self):
        node = self.node(keeper=False)
        connection = self.connect()
        connection.sendall(b"before ")
        lab.wait_for(lambda: tcp_info(connection)[2] == 0, 10, lambda: "it is not acknowledged")
        age = 5
        time.sleep(age)
        # Stored, and sent again because its ACK is lost: only an echo can tell of the round trip.
        self.wire.hook(OURS, lambda frame: DROP)
        connection.sendall(b"and after")
        lab.wait_for(lambda: tcp_info(connection)[3] > 0 and node.streams()[0]["in_bytes"] == 16, 10, lambda: str(node.streams()))
        node.kill()
        self.wire.hook(OURS, None)
        node.start()
        lab.wait_for(lambda: tcp_info(connection)[2] == 0, 30, lambda: "it is not acknowledged")
        # One sample of that age would be an eighth of it.
        _, round_trip, _, _ = tcp_info(connection)
        self.assertLess(round_trip, age * 1_000_000 / 20)

    def test_nor_does_its_syn_ack(self):
        node = self.node(keeper=False)
        self.wire.hook(OURS, lambda frame: DROP if frame.kind == "SYN-ACK" else PASS)
        connecting = self.in_background(self.connect)
        lab.wait_for(node.streams, 10, lambda: "the connection is not stored")
        age = 5
        node.kill()
        time.sleep(age)
        self.wire.hook(OURS, None)
        node.start()
        _, round_trip, _, _ = tcp_info(connecting.join(30))
        self.assertLess(round_trip, age * 1_000_000 / 20)


if __name__ == "__main__":
    case.main()
