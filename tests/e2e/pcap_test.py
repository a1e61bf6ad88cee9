#!/usr/bin/env python3
"""A captured session, as another program reads it: well formed, checksums right, no ACK above what was sent."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import case
import lab
import survival


@unittest.skipUnless(shutil.which("tshark"), "tshark is not installed")
class CaptureTest(case.Case):
    # `cut`: whoever wrote the file was killed, or writes on: it may end in the middle of a packet.
    def tshark(self, path, *arguments, cut=False):
        # Our ports are others' by registration: what is in them is data.
        done = subprocess.run(["tshark", "-r", path, "-d", "tcp.port==7000,data", "-d", "tcp.port==7001,data", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", *arguments],
                              capture_output=True, text=True, check=False)
        if not (cut and done.returncode == 2 and "appears to have been cut short in the middle of a packet" in done.stderr):
            self.assertEqual(done.returncode, 0, done.stderr)
        return [line for line in done.stdout.splitlines() if line]

    def check(self, path):
        self.assertGreater(len(self.tshark(path)), 10)
        bad = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.options.unknown || icmp.checksum.status == 0"
        self.assertEqual(self.tshark(path, "-Y", bad), [])
        # ACKs of bytes that tshark has not seen: it has seen all that there are.
        self.assertEqual(self.tshark(path, "-Y", "tcp.analysis.ack_lost_segment"), [])

    def test_a_session_reads_without_a_fault(self):
        path = self.directory.file("session.pcapng")
        node = self.node(services=["echo:7001", "store:7000"], extra=["--pcap", path])
        self.upload(case.random_bytes(4 * case.MIB))
        connection = self.connect(7001)
        for i in range(50):
            connection.sendall(b"line %d" % i)
            connection.recv(100)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        with self.assertRaises(ConnectionRefusedError):
            self.connect(7999)
        case.ping(b"hello")
        self.assertEqual(node.stop(), 0)
        self.check(path)
        retransmitted = self.tshark(path, "-Y", f"tcp.analysis.retransmission && ip.src == {lab.NODE}")
        self.assertEqual(retransmitted, [])

    # The highest ACK of the node's, as an offset in the client's stream: the SYN counts as one.
    def highest_ack(self, path, cut=False):
        acks = self.tshark(path, "-Y", f"ip.src == {lab.NODE} && tcp.flags.ack == 1 && tcp.flags.reset == 0", "-T", "fields", "-e",
                           "tcp.ack", cut=cut)
        return max(int(ack) for ack in acks) - 1

    # The same of a file that is still written to.
    def highest_ack_so_far(self, path):
        try:
            return self.highest_ack(path, cut=True)
        except (AssertionError, ValueError):  # cut off in its header, or empty
            return -1

    def test_a_session_with_a_kill_reads_without_a_fault(self):
        path, whole = self.directory.file("session.pcapng"), self.directory.file("whole.pcapng")
        node = self.node(extra=["--pcap", path])
        # What another program captures on the same device, across the kill. (Checksums are the device's to complete, both ways.)
        capture = subprocess.Popen(["dumpcap", "-q", "-i", lab.LINK, "-w", whole], stderr=subprocess.PIPE)
        self.addCleanup(self.end_process, capture)
        lab.wait_for(lambda: os.path.exists(whole) and os.path.getsize(whole) > 0, 20, lambda: "dumpcap does not start")
        connection = self.connect()
        connection.sendall(case.random_bytes(case.MIB))
        # The node writes its own capture out twice a second: what is killed before has none.
        lab.wait_for(lambda: os.path.getsize(path) > 4096, 20, lambda: "the node's capture is not written")
        node.process.send_signal(signal.SIGSTOP)
        pid = node.kill_node()
        lab.wait_for(lambda: not lab.alive(pid), 5, lambda: "it lives")
        stored = len(self.stored(node, 1))
        # dumpcap hands on what it has every second: all that the client saw is in.
        lab.wait_for(lambda: self.highest_ack_so_far(whole) >= survival.bytes_acked(connection), 20, lambda: "the capture lags")
        self.assertLessEqual(self.highest_ack(whole, cut=True), stored)
        node.process.send_signal(signal.SIGCONT)
        connection.sendall(case.random_bytes(case.MIB))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        self.assertEqual(node.stop(), 0)
        lab.wait_for(lambda: self.highest_ack_so_far(whole) >= 2 * case.MIB + 1, 20, lambda: "the capture lags")
        capture.terminate()
        self.assertEqual(capture.wait(20), 0)
        self.assertEqual(self.highest_ack(whole), 2 * case.MIB + 1)  # and the FIN
        self.assertEqual(self.tshark(whole, "-Y", "_ws.malformed || tcp.analysis.ack_lost_segment"), [])
        # Our own: the first file ends where the node was killed; the second begins in mid-stream.
        bad = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0"
        for part, cut in ((path, True), (path + ".2", False)):
            self.assertGreater(len(self.tshark(part, cut=cut)), 5)
            self.assertEqual(self.tshark(part, "-Y", bad, cut=cut), [])


if __name__ == "__main__":
    if not shutil.which("tshark"):
        print("tshark is not installed", file=sys.stderr)
        sys.exit(lab.SKIPPED)
    case.main()
