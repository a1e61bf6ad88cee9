#!/usr/bin/env python3
"""Uploads, echoes and what `streams` shows of them."""

import fcntl
import json
import resource
import socket
import struct
import subprocess
import termios
import time

import case
import lab


SIOCOUTQNSD = 0x894B


def unacknowledged(client):
    """Bytes in the kernel's send buffer."""
    return struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)))[0]


def not_sent(client):
    """Those of them that wait for a window."""
    return struct.unpack("i", fcntl.ioctl(client, SIOCOUTQNSD, bytes(4)))[0]


class UploadTest(case.Case):
    def test_what_arrives_is_stored(self):
        node = self.node()
        data = case.random_bytes(64 * case.MIB)
        port = self.upload(data)
        streams = node.streams()
        self.assertEqual(len(streams), 1)
        stream = streams[0]
        self.assertEqual(stream["service"], "store")
        self.assertEqual(stream["local"], f"{lab.NODE}:7000")
        self.assertEqual(stream["peer"], f"{lab.HOST}:{port}")
        self.assertEqual(stream["in_bytes"], len(data))
        self.assertEqual(stream["out_bytes"], 0)
        self.assertRegex(stream["opened"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        self.assert_same(self.stored(node, stream["id"]), data)
        self.assertEqual(node.stop(), 0)
        self.assert_same(self.stored(node, stream["id"]), data)

    def test_several_locations_each_hold_everything(self):
        node = self.node(data=2)
        data = case.random_bytes(8 * case.MIB)
        self.upload(data)
        self.assertEqual(node.stop(), 0)
        for path in node.data:
            found = subprocess.run([lab.BINARY, "streams", "cat", "1", "--data", path], stdout=subprocess.PIPE, check=True)
            self.assert_same(found.stdout, data)

    def test_many_clients_at_once(self):
        node = self.node()
        wanted = {}
        jobs = []
        for i in range(20):
            data = case.random_bytes(100_000 + i, seed=i)
            jobs.append((data, self.in_background(self.upload, data)))
        for data, job in jobs:
            wanted[f"{lab.HOST}:{job.join()}"] = data
        streams = node.streams()
        self.assertEqual(len(streams), len(jobs))
        for stream in streams:
            self.assert_same(self.stored(node, stream["id"]), wanted[stream["peer"]])

    def test_more_clients_than_there_is_room_for_full_windows(self):
        node = self.node()
        count = 2500  # windows of 64 KiB for 1,350 fit into what is prepared by default
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 500, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        clients = [self.connect() for _ in range(count)]
        for client in clients:
            client.sendall(b"something")
        # All of them stay open: none may wait for another's window.
        for client in clients:
            lab.wait_for(lambda client=client: unacknowledged(client) == 0, 30, lambda: "a client whose window is closed")
        streams = node.streams()
        self.assertEqual(len(streams), count)
        self.assertTrue(all(stream["in_bytes"] == len(b"something") for stream in streams))

    def test_ranges_and_json_of_one_stream(self):
        node = self.node()
        data = case.random_bytes(300_000)
        self.upload(data)
        found = subprocess.run([lab.BINARY, "streams", "cat", "1", "--from", "1000", "--length", "250K", *node.data_flags()],
                               stdout=subprocess.PIPE, check=True)
        self.assert_same(found.stdout, data[1000:1000 + 250 * 1024])
        shown = json.loads(lab.holdfast("streams", "show", "1", "--json", *node.data_flags()))
        self.assertEqual(shown["in_bytes"], len(data))
        self.assertTrue(shown["in_finished"])
        self.assertIn("store", lab.holdfast("streams", "list", *node.data_flags()))
        self.assertIn(f"{lab.NODE}:7000", lab.holdfast("streams", "show", "1", *node.data_flags()))

    def test_tail_follows_a_running_node_to_the_end(self):
        node = self.node()
        connection = self.connect()
        connection.sendall(b"first line\n")
        lab.wait_for(lambda: [s for s in node.streams() if s["in_bytes"] == 11], 10, lambda: "nothing is stored")
        tail = subprocess.Popen([lab.BINARY, "streams", "tail", "1", "--from", "0", *node.data_flags()], stdout=subprocess.PIPE)
        self.addCleanup(self.end_process, tail)
        self.assertEqual(tail.stdout.readline(), b"first line\n")
        connection.sendall(b"second line\n")
        self.assertEqual(tail.stdout.readline(), b"second line\n")
        connection.shutdown(1)
        self.assertEqual(tail.wait(20), 0)

    def test_a_stream_that_was_cut_off_is_told_from_one_that_was_finished(self):
        node = self.node()
        self.upload(b"whole")
        connection = self.connect()
        connection.sendall(b"half")
        lab.wait_for(lambda: node.streams()[1]["in_bytes"] == 4, 10, lambda: "not stored")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        lab.wait_for(lambda: node.streams()[1]["state"] == "CLOSED", 10, lambda: "not closed")
        listed = subprocess.run([lab.BINARY, "streams", "list", "--data", node.data[0]], capture_output=True, text=True, check=True)
        self.assertNotIn("reset", listed.stdout.splitlines()[1])
        self.assertIn("CLOSED: reset by the peer", listed.stdout.splitlines()[2])
        for action, extra in (("cat", []), ("tail", ["--from", "0"])):
            for stream, wanted, warning in (("1", b"whole", b""), ("2", b"half", b"stream 2 was not finished: reset by the peer")):
                done = subprocess.run([lab.BINARY, "streams", action, stream, "--data", node.data[0], *extra], capture_output=True,
                                      check=True)
                self.assertEqual(done.stdout, wanted)
                self.assertIn(warning, done.stderr)
                self.assertEqual(done.stderr == b"", warning == b"")

    def test_a_reader_that_goes_away_is_no_error(self):
        node = self.node()
        self.upload(case.random_bytes(8 * case.MIB))
        command = " ".join([lab.BINARY, "streams", "cat", "1", *node.data_flags()])
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | head -c 10 | wc -c"], capture_output=True, check=False)
        self.assertEqual(done.stdout.strip(), b"10")
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.returncode, 0)


class EchoTest(case.Case):
    def exchange(self, data, port=7001):
        """Sends all and receives all, at the same time."""
        connection = self.connect(port)
        received = bytearray()

        def receive():
            while piece := connection.recv(1 << 16):
                received.extend(piece)
        job = self.in_background(receive)
        connection.sendall(data)
        connection.shutdown(1)
        job.join()
        return bytes(received)

    def test_an_echo_comes_back_whole_and_both_directions_are_stored(self):
        node = self.node(services=["echo:7001"])
        data = case.random_bytes(16 * case.MIB)
        self.assert_same(self.exchange(data), data)
        stream = node.streams()[0]
        self.assertEqual((stream["in_bytes"], stream["out_bytes"]), (len(data), len(data)))
        self.assert_same(self.stored(node, stream["id"], "in"), data)
        self.assert_same(self.stored(node, stream["id"], "out"), data)

    def test_a_conversation_byte_by_byte(self):
        self.node(services=["echo:7001"])
        connection = self.connect(7001)
        for i in range(200):
            connection.sendall(bytes([i]))
            self.assertEqual(connection.recv(16), bytes([i]))

    def test_a_peer_that_reads_none_of_many_small_echoes_waits_for_a_window(self):
        """There is a bound to how many of them are kept: what is beyond it must not look lost."""
        self.node(services=["echo:7001"])
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect((lab.NODE, 7001))
        client.settimeout(30)
        other = self.connect(7001)

        def until_stored():
            """What had left before this is acknowledged afterwards, or was not taken: frames are read, stored and answered in order.
            Twice, for two answers may leave together in any order."""
            for _ in range(2):
                other.sendall(b"x")
                self.assertEqual(other.recv(1), b"x")
        sent, closed = 0, False
        while sent < 9000 and not closed:
            sent += client.send(bytes([sent % 251]))
            while unacknowledged(client) > 0 and not closed:
                left = not_sent(client) == 0
                until_stored()
                self.assertFalse(left and unacknowledged(client) > 0, "the window is open and nothing is taken")
                closed = not left and not_sent(client) > 0
        self.assertLess(sent, 9000, "the bound was never met")
        received = bytearray()
        while len(received) < sent:
            received.extend(client.recv(1 << 16))
        self.assert_same(bytes(received), bytes(i % 251 for i in range(sent)))

    def test_a_volatile_node_echoes_without_a_directory(self):
        self.node(data=0, services=["echo:7001"], extra=["--volatile"])
        data = case.random_bytes(8 * case.MIB)
        self.assert_same(self.exchange(data), data)

    def test_a_volatile_node_says_that_its_connections_end(self):
        node = self.node(data=0, services=["echo:7001"], extra=["--volatile"])
        connection = self.connect(7001)
        connection.sendall(b"x")
        self.assertEqual(connection.recv(1), b"x")
        self.assertEqual(node.stop(), 0)
        self.assertIn("stopping, and 1 connection with it", node.log())
        self.assertNotIn("to go on with", node.log())


class HostTest(case.Case):
    def test_ping_is_answered(self):
        self.node()
        for size in (0, 1, 56, 1472):
            payload = case.random_bytes(size)
            self.assertEqual(case.ping(payload), payload)

    def test_a_port_without_a_service_refuses(self):
        self.node()
        with self.assertRaises(ConnectionRefusedError):
            self.connect(7999, timeout=10)


if __name__ == "__main__":
    case.main()
