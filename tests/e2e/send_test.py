#!/usr/bin/env python3
"""`holdfast send`: the active side, against the kernel's own TCP."""

import os
import signal
import socket
import subprocess

import case
import lab

LINK = "hf1"
OWN, PEER = "10.78.0.2", "10.78.0.1"


class SendTest(case.Case):
    def setUp(self):
        super().setUp()
        self.listener = socket.create_server(("0.0.0.0", 9000))
        self.listener.settimeout(30)
        self.addCleanup(self.listener.close)

    def command(self, *more, port=9000):
        return [lab.BINARY, "send", "--link", f"tap:{LINK}", "--address", f"{OWN}/24", "--host-address", f"{PEER}/24",
                "--to", f"{PEER}:{port}", *more]

    def receive_all(self, answer=b""):
        connection, peer = self.listener.accept()
        with connection:
            connection.settimeout(60)
            received = bytearray()
            while piece := connection.recv(1 << 16):
                received.extend(piece)
            connection.sendall(answer)
        self.assertEqual(peer[0], OWN)
        return bytes(received)

    def test_a_file_arrives_whole(self):
        data = case.random_bytes(64 * case.MIB)
        path = self.directory.file("file")
        with open(path, "wb") as file:
            file.write(data)
        job = self.in_background(self.receive_all)
        done = subprocess.run(self.command(path), capture_output=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assert_same(job.join(), data)

    def test_standard_input_goes_out_and_the_answer_comes_back(self):
        data = case.random_bytes(3 * case.MIB)
        answer = case.random_bytes(2 * case.MIB)
        job = self.in_background(self.receive_all, answer)
        done = subprocess.run(self.command(), input=data, capture_output=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assert_same(done.stdout, answer)
        self.assert_same(job.join(), data)

    def test_nothing_at_all_may_be_sent(self):
        job = self.in_background(self.receive_all, b"good bye")
        done = subprocess.run(self.command(os.devnull), capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b"good bye"))
        self.assertEqual(job.join(), b"")

    def test_nc_listens(self):
        data = case.random_bytes(8 * case.MIB)
        with open(self.directory.file("got"), "wb") as out:
            listener = subprocess.Popen(["nc", "-l", "-p", "9001"], stdin=subprocess.DEVNULL, stdout=out)
        self.addCleanup(self.end_process, listener)
        lab.wait_for(lambda: b":9001" in subprocess.run(["ss", "-tln"], capture_output=True, check=True).stdout, 10,
                     lambda: "nc does not listen")
        done = subprocess.run(self.command(port=9001), input=data, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(listener.wait(20), 0)
        with open(self.directory.file("got"), "rb") as file:
            self.assert_same(file.read(), data)

    def test_a_peer_is_told_of_an_error_of_ours(self):
        with open("/dev/full", "wb") as full:
            sender = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE)
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        peer.sendall(b"an answer that finds no room")
        self.assertEqual(sender.wait(20), 1)
        with self.assertRaises(ConnectionResetError):
            while peer.recv(1000):
                pass
        sender.stdin.close()
        sender.stderr.close()
        peer.close()

    def test_a_file_that_shrinks_is_an_error(self):
        path = self.directory.file("shrinks")
        with open(path, "wb") as file:
            file.truncate(64 * case.MIB)
        sender = subprocess.Popen(self.command(path), stderr=subprocess.PIPE)
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        peer.recv(1000)
        os.truncate(path, case.MIB)
        with self.assertRaises(ConnectionResetError):
            while peer.recv(1 << 20):
                pass
        self.assertEqual(sender.wait(20), 1)
        self.assertIn(b"became shorter", sender.stderr.read())
        sender.stderr.close()
        peer.close()

    def test_a_file_that_was_read_in_part_goes_out_from_there(self):
        data = case.random_bytes(3 * case.MIB)
        path = self.directory.file("rest")
        with open(path, "wb") as file:
            file.write(data)
        job = self.in_background(self.receive_all)
        with open(path, "rb", buffering=0) as rest:
            rest.seek(case.MIB)
            done = subprocess.run(self.command(), stdin=rest, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assert_same(job.join(), data[case.MIB:])

    def test_a_file_may_hold_less_than_it_says(self):
        path = "/sys/class/net/lo/mtu"  # 4096 bytes, says stat(2)
        job = self.in_background(self.receive_all)
        done = subprocess.run(self.command(path), capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with open(path, "rb") as file:
            self.assert_same(job.join(), file.read())

    def test_a_closed_standard_input_is_an_error(self):
        done = subprocess.run(["sh", "-c", 'exec "$0" "$@" <&-', *self.command()], capture_output=True, text=True, timeout=30,
                              check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("standard input", done.stderr)

    def test_a_closed_port_is_an_error_in_one_line(self):
        done = subprocess.run(self.command(port=9999), input=b"x", capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"holdfast: connection refused: {PEER}:9999: nothing listens there, or a service that requires more ways (--ways)\n".encode())

    def test_who_waits_for_an_absent_host_is_told(self):
        command = [f"{PEER[:-1]}77:9000" if word == f"{PEER}:9000" else word for word in self.command()]
        sender = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end_process, sender)
        self.assertIn(b"no answer from", sender.stderr.readline())
        sender.send_signal(signal.SIGINT)
        self.assertEqual(sender.wait(20), 1)
        self.assertIn(b"there was no connection yet", sender.stderr.read())

    def test_a_reset_is_an_error_in_one_line(self):
        def reset():
            connection, _ = self.listener.accept()
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        job = self.in_background(reset)
        done = subprocess.run(self.command(), input=case.random_bytes(32 * case.MIB), capture_output=True, timeout=60, check=False)
        job.join()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), rf"^holdfast: connection reset: {PEER}:9000: .*\n$")


if __name__ == "__main__":
    case.main()
