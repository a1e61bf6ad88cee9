#!/usr/bin/env python3
"""What takes longer than a test may (`make soak`)."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import case
import lab


class SoakTest(case.Case):
    def acked(self, view):
        return max((c["bytes_acked"] - 1 for c in view.connections()), default=0)

    def test_two_gib_with_a_kill_every_300_ms(self):
        node = self.node(data=1)
        size = int(os.environ.get("SOAK_MIB", "2048")) * case.MIB
        source = self.directory.file("source")
        with open(source, "wb") as file:
            for _ in range(size // case.MIB):
                file.write(os.urandom(case.MIB))
        with open(source, "rb") as file:
            client = subprocess.Popen(["nc", "-N", lab.NODE, "7000"], stdin=file, stdout=subprocess.DEVNULL)
        self.addCleanup(self.end_process, client)
        kills = 0
        while client.poll() is None:
            time.sleep(0.3)
            killed = node.kill_node()
            kills += killed is not None
        print(f"{kills} kills", file=sys.stderr)
        self.assertEqual(client.returncode, 0)
        self.assertGreater(kills, 3)
        self.assertEqual(self.compare(node, 1, source), size)

    def compare(self, node, stream, source):
        """Equal, byte for byte; returns how many there are."""
        command = [lab.BINARY, "streams", "cat", str(stream), *node.data_flags()]
        length = 0
        with open(source, "rb") as wanted, subprocess.Popen(command, stdout=subprocess.PIPE) as cat:
            while piece := cat.stdout.read(case.MIB):
                self.assertTrue(piece == wanted.read(len(piece)), f"differs within 1 MiB of offset {length}")
                length += len(piece)
        self.assertEqual(cat.returncode, 0)
        return length

    def kill_at_random(self, seed, strike, times=100):
        """Never may more be acknowledged than is stored."""
        chance = random.Random(seed)
        node = self.node(data=2)
        connection = self.connect()
        connection.setblocking(False)
        view = self.client_view(client_port=connection.getsockname()[1])
        source = self.directory.file("source")
        block = case.random_bytes(4 * case.MIB)
        sent = 0
        with open(source, "wb") as file:
            for _ in range(times):
                deadline = time.monotonic() + chance.uniform(0.0, 0.2)
                while time.monotonic() < deadline:
                    try:
                        at = sent % len(block)
                        count = connection.send(block[at:at + 65536])
                        file.write(block[at:at + count])
                        sent += count
                    except BlockingIOError:
                        time.sleep(0.0005)
                strike(node, lambda: self.check_acked(view, node))
        connection.setblocking(True)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual(self.compare(node, 1, source), sent)
        print(f"{sent} bytes through {times} kills", file=sys.stderr)

    def check_acked(self, view, node):
        acked = self.acked(view)
        streams = node.streams()
        self.assertGreaterEqual(streams[0]["in_bytes"] if streams else 0, acked)

    def test_a_hundred_kills_of_the_node_at_random_moments(self):
        def strike(node, check):
            # The keeper is stopped meanwhile, so that nothing is stored after the kill.
            node.process.send_signal(signal.SIGSTOP)
            pid = node.node_pid()
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                lab.wait_for(lambda: not lab.alive(pid), 5, lambda: "it lives")
            check()
            node.process.send_signal(signal.SIGCONT)
        self.kill_at_random(1, strike)

    def test_a_hundred_kills_of_node_and_keeper_at_random_moments(self):
        def strike(node, check):
            node.kill_keeper()
            check()
            node.start(wait=False)
        self.kill_at_random(2, strike)

    @staticmethod
    def set_retries(number):
        with open("/proc/sys/net/ipv4/tcp_retries2", "w", encoding="ascii") as file:
            file.write(number)

    def test_a_full_disk_for_45_s_with_an_impatient_client(self):
        self.set_retries("5")
        self.addCleanup(self.set_retries, "15")
        full = self.directory.make("full")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", full], check=False).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", "-l", full], check=False)
        ballast = os.path.join(full, "ballast")
        # A port of its own: a client that gives up leaves a socket behind that must not be taken for another test's.
        node = self.node(data=[full], services=["store:7002"], extra=["--segment-size", "4MiB"])
        with open(ballast, "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(case.MIB))
            except OSError:
                pass
        data = case.random_bytes(48 * case.MIB)
        client = self.start_nc(data, 7002)
        view = self.client_view(7002)
        time.sleep(45)
        self.assertIsNone(client.poll(), "the client gave up")
        acked = self.acked(view)
        self.assertLess(acked, len(data))
        self.assertEqual(node.streams()[0]["in_bytes"], acked)
        os.unlink(ballast)
        self.assertEqual(client.wait(60), 0)
        self.assert_same(self.stored(node, 1), data)


if __name__ == "__main__":
    case.main()
