#!/usr/bin/env python3
"""Storage that fails or fills up while clients are at work."""

import json
import os
import socket
import struct
import subprocess
import time

import case
import disks
import lab


class StorageTest(disks.Disks):
    def test_a_failed_location_is_taken_out_and_the_others_carry_on(self):
        failing = self.mount_ext4("failing", 512)
        node = self.node(data=[self.directory.make("a"), self.directory.make("b"), failing])
        data = case.random_bytes(32 * case.MIB)
        connection = self.connect()
        connection.sendall(data[:len(data) // 2])
        disks.fail(failing)
        connection.sendall(data[len(data) // 2:])
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        # On a busy machine it may be behind already, is sent nothing more, and has nothing to fail with.
        out = lab.wait_for(lambda: node.events("location-failed") + node.events("location-behind"), 10, node.log)
        self.assertEqual(out[0]["location"], failing)
        node.data.remove(failing)
        self.assert_same(self.stored(node, 1), data)

    def test_a_node_whose_disk_is_lost_can_be_restarted_without_it(self):
        lost = self.directory.make("lost")
        node = self.node(data=[self.directory.make("a"), lost, self.directory.make("c")])
        data = case.random_bytes(32 * case.MIB)
        connection = self.connect()
        connection.sendall(data[:len(data) // 2])
        os.rename(lost, self.directory.file("elsewhere"))
        for mark in (b"first there is nothing", b"then the mount point of something else"):
            starts = len(node.events("recovered"))
            lab.wait_for(node.kill_node, 10, lambda: "no node")
            lab.wait_for(lambda: len(node.events("recovered")) > starts, 10, lambda: node.log()[-2000:])
            connection.sendall(mark)
            os.makedirs(lost, exist_ok=True)
            with open(os.path.join(lost, "thesis.tex"), "w", encoding="ascii") as file:
                file.write("my life")
        connection.sendall(data[len(data) // 2:])
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertTrue(any(event["location"] == lost for event in node.events("location-failed")))
        self.assertEqual(os.listdir(lost), ["thesis.tex"])
        node.data.remove(lost)
        marks = b"first there is nothing" + b"then the mount point of something else"
        self.assert_same(self.stored(node, 1), data[:len(data) // 2] + marks + data[len(data) // 2:])

    def test_what_is_stored_is_its_owners_alone(self):
        data = self.directory.make("a")
        node = self.node(data=[data])
        self.upload(b"secret")
        self.assertEqual(node.stop(), 0)
        modes = {name: oct(os.stat(os.path.join(data, name)).st_mode & 0o777) for name in os.listdir(data)}
        self.assertEqual(set(modes.values()), {"0o600"}, modes)

    def test_an_empty_directory_in_a_lost_ones_place_is_told_of(self):
        kept, lost, new = (self.directory.make(name) for name in ("kept", "lost", "new"))
        node = self.node(data=[kept, lost])
        self.upload(b"something")
        self.assertEqual(node.stop(), 0)
        node.arguments = [new if word == lost else word for word in node.arguments]
        node.start()
        self.assertEqual([event["location"] for event in node.events("location-replaced")], [new])
        self.assertIn(f"location {new} is empty", node.log())

    def test_a_read_only_file_system_of_three_stops_no_restart(self):
        broken = self.mount_ext4("broken", 512)
        node = self.node(data=[self.directory.make("a"), self.directory.make("b"), broken])
        connection = self.connect()
        connection.sendall(b"before ")
        subprocess.run(["mount", "-o", "remount,abort", broken], check=False, capture_output=True)
        starts = len(node.events("recovered"))
        lab.wait_for(node.kill_node, 10, lambda: "no node")
        lab.wait_for(lambda: len(node.events("recovered")) > starts, 10, lambda: node.log()[-2000:])
        connection.sendall(b"and after")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        failed = lab.wait_for(lambda: node.events("location-failed"), 10, lambda: "no location has failed")
        self.assertEqual(failed[0]["location"], broken)
        node.data.remove(broken)
        self.assertEqual(self.stored(node, 1), b"before and after")

    def test_a_directory_that_hangs_holds_up_nobody(self):
        hanging = self.mount_ext4("hanging", 1024)
        node = self.node(data=[self.directory.make("a"), self.directory.make("b"), hanging])
        data = case.random_bytes(512 * case.MIB)
        connection = self.connect(timeout=60)
        connection.sendall(data[:case.MIB])
        with disks.hanging(hanging):
            connection.sendall(data[case.MIB:])
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.recv(1), b"")
            self.assertTrue(node.events("location-behind"))
        node.data.remove(hanging)
        self.assert_same(self.stored(node, 1), data)

    def a_log_of_segments(self, directories):
        """So many segments of 1 MiB that a progress record covers the first; what they hold."""
        data = case.random_bytes(40 * case.MIB)
        node = self.node(data=directories, extra=["--segment-size", "1MiB"])
        self.upload(data)
        self.assertEqual(node.stop(), 0)
        return node, data

    def streams(self, *words, data):
        arguments = [lab.BINARY, "streams", *words, *(word for path in data for word in ("--data", path))]
        return subprocess.run(arguments, capture_output=True, check=False)

    def test_a_segment_that_is_lost_is_told_of_and_the_rest_is_read(self):
        path = self.directory.make("a")
        _, data = self.a_log_of_segments([path])
        os.unlink(os.path.join(path, "segment-0000000000000004"))
        listed = self.streams("list", "--json", data=[path])
        self.assertEqual(listed.returncode, 1)
        self.assertIn(b"segment 4 ", listed.stderr)
        self.assertEqual(json.loads(listed.stdout)[0]["in_bytes"], len(data))
        whole = self.streams("cat", "1", data=[path])
        self.assertEqual(whole.returncode, 1)
        self.assertIn(b"segment 4 ", whole.stderr)
        self.assertGreater(len(whole.stdout), case.MIB)
        self.assert_same(whole.stdout, data[:len(whole.stdout)])
        end = self.streams("cat", "1", "--from", str(6 * case.MIB), data=[path])
        self.assertEqual(end.returncode, 0, end.stderr)
        self.assert_same(end.stdout, data[6 * case.MIB:])

    def test_segments_that_vanished_from_one_directory_are_copied_anew(self):
        paths = [self.directory.make("a"), self.directory.make("b")]
        node, data = self.a_log_of_segments(paths)
        for number in (3, 4):
            os.unlink(os.path.join(paths[0], f"segment-{number:016x}"))
        node.start()
        self.assertEqual([event["restored"] for event in node.events("segments-vanished")], [2])
        self.assertEqual(node.stop(), 0)
        alone = self.streams("cat", "1", data=paths[:1])
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assert_same(alone.stdout, data)

    def test_a_segment_that_vanished_everywhere_is_told_at_the_start(self):
        paths = [self.directory.make("a"), self.directory.make("b")]
        node, _ = self.a_log_of_segments(paths)
        for path in paths:
            os.unlink(os.path.join(path, "segment-0000000000000003"))
        node.start()
        self.assertEqual([event["lost"] for event in node.events("segments-vanished")], [1, 1])
        self.assertIn("no location has segment 3", node.log())
        self.assertEqual(node.stop(), 0)

    def test_a_connection_that_cannot_be_read_back_is_told_of_and_ends_with_its_client(self):
        node = self.node(services=["echo:7001", "store:7000"])
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((lab.NODE, 7001))
        port = client.getsockname()[1]
        client.settimeout(2)
        with self.assertRaises(TimeoutError):  # its echo has nowhere to go
            for i in range(2000):
                client.send(b"MARKER-%04d" % i + os.urandom(8192 - 11))
        self.upload(case.random_bytes(80 * case.MIB))
        node.kill_keeper()
        for name in os.listdir(node.data[0]):
            with open(os.path.join(node.data[0], name), "r+b") as file:
                at = file.read().find(b"MARKER-0100")
                if at >= 0:
                    file.seek(at)
                    file.write(b"X")
        node.start()
        self.assertEqual([event["stream"] for event in node.events("connection-muted")], [1])
        self.assertIn("stream 1 from ", node.log())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # a reset
        again = socket.socket()
        self.addCleanup(again.close)
        again.settimeout(20)
        again.bind(("", port))
        again.connect((lab.NODE, 7001))
        again.sendall(b"new")
        self.assertEqual(again.recv(10), b"new")
        self.assertEqual(node.stop(), 0)
        node.start()
        self.assertEqual(len(node.events("connection-muted")), 1, "it is gone from the log too")

    def test_a_full_disk_makes_the_client_wait(self):
        self.upload_to_a_full_disk(lambda node: None)

    def test_a_node_that_dies_on_a_full_disk_comes_back_on_it(self):
        def die(node):
            for _ in range(3):
                starts = len(node.events("recovered"))
                lab.wait_for(node.kill_node, 10, lambda: "no node")
                lab.wait_for(lambda: len(node.events("recovered")) > starts, 10, lambda: node.log()[-2000:])
        self.upload_to_a_full_disk(die)

    def test_a_node_that_is_stopped_on_a_full_disk_can_be_started_on_it(self):
        def stop_and_start(node):
            self.assertEqual(node.stop(), 0)
            node.start(wait=False)
            lab.wait_for(lambda: len(node.events("recovered")) > 1, 10, lambda: node.log()[-2000:])
        self.upload_to_a_full_disk(stop_and_start)

    def upload_to_a_full_disk(self, strike):
        full = self.mount_ext4("full", 96)
        ballast = os.path.join(full, "ballast")
        node = self.node(data=[full], extra=["--segment-size", "4MiB"])
        disks.fill(ballast)
        data = case.random_bytes(40 * case.MIB)
        client = self.start_nc(data)
        view = self.client_view()

        def acked():
            return max((c["bytes_acked"] - 1 for c in view.connections()), default=0)

        def stands_still():
            before = acked()
            time.sleep(1)
            return before > 0 and acked() == before
        lab.wait_for(stands_still, 30, lambda: "the disk does not fill up")
        self.assertIsNone(client.poll())
        # Everything taken is acknowledged, and stored.
        self.assertLess(acked(), len(data))
        lab.wait_for(lambda: node.streams()[0]["in_bytes"] == acked(), 10, lambda: f"{node.streams()}, {acked()} acknowledged")
        disks.fill(ballast + "-of-what-was-left")
        strike(node)
        self.assertIsNone(client.poll())
        self.assertGreaterEqual(node.streams()[0]["in_bytes"], acked())
        os.unlink(ballast)
        self.assertEqual(client.wait(60), 0)
        self.assert_same(self.stored(node, 1), data)


if __name__ == "__main__":
    case.main()
