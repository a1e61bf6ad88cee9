#!/usr/bin/env python3
"""A connection outlives its server: SIGKILL of the node, of its keeper; SIGTERM and a later start."""

import os
import signal
import socket
import subprocess

import case
import lab


class KillTest(case.Case):
    def acked(self, view):
        connections = view.connections()
        return max((c["bytes_acked"] - 1 for c in connections), default=0)

    def upload_with(self, node, size, fractions, strike):
        """An upload by nc; `strike(i)` is called when so much of it is acknowledged."""
        data = case.random_bytes(size)
        client = self.start_nc(data)
        view = self.client_view()
        ports = set()
        fell = 0
        for i, fraction in enumerate(fractions):
            def reached():
                ports.update(c["port"] for c in view.connections())
                return client.poll() is not None or self.acked(view) >= fraction * size
            lab.wait_for(reached, 60, lambda: f"the upload stands still at {self.acked(view)} bytes; {node.events()}",
                         every=0.0005)
            if client.poll() is None:
                strike(i)
                fell += 1
        self.assertEqual(client.wait(120), 0)
        self.assertEqual(fell, len(fractions), "the upload was over too soon")
        self.assertEqual(len(ports), 1, "the client's connection is not the one that it began with")
        streams = node.streams()
        self.assertEqual(len(streams), 1)
        self.assert_same(self.stored(node, streams[0]["id"]), data)

    def test_an_upload_survives_the_death_of_the_node(self):
        node = self.node(data=2)
        self.upload_with(node, 192 * case.MIB, (0.1, 0.4, 0.7),
                         lambda i: lab.wait_for(node.kill_node, 10, lambda: "no node"))
        self.assertEqual(len(node.events("node-died")), 3)

    def test_an_upload_survives_the_death_of_the_keeper(self):
        node = self.node()

        def strike(_):
            node.kill_keeper()
            node.start(wait=False)
        self.upload_with(node, 128 * case.MIB, (0.3,), strike)

    def test_an_upload_survives_a_node_without_keeper(self):
        node = self.node(keeper=False)

        def strike(_):
            node.kill()
            node.start(wait=False)
        self.upload_with(node, 128 * case.MIB, (0.3,), strike)

    def test_an_upload_goes_on_after_a_stop_and_a_start(self):
        node = self.node()

        def strike(_):
            self.assertEqual(node.stop(), 0)
            node.start(wait=False)
        self.upload_with(node, 128 * case.MIB, (0.3,), strike)

    def test_an_echo_survives_ten_kills(self):
        node = self.node(services=["echo:7001"])
        connection = self.connect(7001)
        connection.settimeout(30)
        for i in range(10):
            for part in (b"before ", b"after "):
                message = part + str(i).encode()
                connection.sendall(message)
                received = b""
                while len(received) < len(message):
                    piece = connection.recv(4096)
                    self.assertNotEqual(piece, b"")
                    received += piece
                self.assertEqual(received, message)
                if part == b"before ":
                    lab.wait_for(node.kill_node, 10, lambda: "no node")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")

    def test_half_open_and_closing_connections_go_on(self):
        node = self.node(services=["echo:7001", "store:7000"])
        half_closed = self.connect(7001)
        half_closed.sendall(b"half")
        self.assertEqual(half_closed.recv(4), b"half")
        idle = self.connect(7000)
        node.kill_node()
        half_closed.shutdown(socket.SHUT_WR)
        self.assertEqual(half_closed.recv(1), b"")
        idle.sendall(b"woken")
        idle.shutdown(socket.SHUT_WR)
        self.assertEqual(idle.recv(1), b"")
        stored = {s["in_bytes"]: s["in_finished"] for s in node.streams()}
        self.assertEqual(stored, {4: True, 5: True})


class KeeperTest(case.Case):
    def test_many_small_echoes_to_peers_out_of_reach_survive_checkpoints(self):
        """A recovery finds more of them than one record can list."""
        away = "10.77.0.5"
        node = self.node(services=["echo:7001", "store:7000"])
        subprocess.run(["ip", "addr", "add", f"{away}/24", "dev", lab.LINK], check=True)
        clients = [socket.create_connection((lab.NODE, 7001), timeout=30, source_address=(away, 0)) for _ in range(2)]
        for client in clients:
            self.addCleanup(client.close)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rounds = 80000

        def drain(client):
            left = rounds
            while left > 0:
                left -= len(client.recv(1 << 16))
        jobs = [self.in_background(drain, client) for client in clients]
        for _ in range(rounds):
            for client in clients:
                client.send(b"x")
        for job in jobs:
            job.join()
        subprocess.run(["ip", "addr", "del", f"{away}/24", "dev", lab.LINK], check=True)
        node.kill_node()
        node.wait_ready(2)
        self.upload(case.random_bytes(40 * case.MIB))  # checkpoints
        self.assertEqual(len(node.events("node-died")), 1)
        node.kill_node()
        node.wait_ready(3)
        subprocess.run(["ip", "addr", "add", f"{away}/24", "dev", lab.LINK], check=True)
        for client in clients:
            client.sendall(b"and on")
            self.assertEqual(client.recv(100), b"and on")

    def test_the_node_dies_with_its_keeper(self):
        node = self.node()
        child = node.node_pid()
        self.assertTrue(lab.alive(child))
        node.process.kill()
        node.process.wait()
        lab.wait_for(lambda: not lab.alive(child), 5, lambda: "the node outlived its keeper")

    def test_device_address_and_route_stay(self):
        node = self.node()
        self.assertEqual(node.stop(), 0)
        self.assertIn(lab.LINK, [name for _, name in socket.if_nameindex()])
        with open("/proc/net/route", encoding="ascii") as file:
            self.assertTrue(any(line.startswith(lab.LINK) for line in file))
        node.start()
        self.upload(b"again")

    def test_a_node_that_refuses_to_start_is_not_started_again(self):
        subprocess.run(["ip", "link", "delete", lab.LINK], check=False, capture_output=True)  # another test's
        node = self.node(start=False)
        node.arguments += ["--data", "/does/not/exist"]
        node.start(wait=False)
        self.assertEqual(node.process.wait(20), 1)
        self.assertEqual(len(node.events("node-started")), 1)
        self.assertNotIn(lab.LINK, [name for _, name in socket.if_nameindex()], "a start that failed left its device behind")

    def test_a_removed_device_ends_the_keeper_and_a_new_start_goes_on(self):
        node = self.node()
        connection = self.connect()
        connection.sendall(b"before")
        lab.wait_for(lambda: node.streams() and node.streams()[0]["in_bytes"] == 6, 10, lambda: str(node.streams()))
        subprocess.run(["ip", "link", "del", lab.LINK], check=True)
        self.assertEqual(node.process.wait(10), 1)
        self.assertIn("the device was removed", node.log())
        node.start()
        connection.sendall(b" and after")
        lab.wait_for(lambda: node.streams()[0]["in_bytes"] == 16, 30, lambda: str(node.streams()))

    def test_sigint_stops_it_too(self):
        node = self.node()
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.process.wait(20), 0)

    def manager(self):
        """What systemd is to a service: a socket that is told things."""
        # An abstract name (sd_notify(3): "@"): a path beside the test's files may be longer than the 108 bytes of a sockaddr_un.
        name = f"holdfast-notify-{os.getpid()}-{self.id().rpartition('.')[2]}"
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind("\0" + name)
        manager.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = "@" + name
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        return manager

    def test_readiness_is_told_to_a_service_manager(self):
        manager = self.manager()
        node = self.node()
        message, fds, _, _ = socket.recv_fds(manager, 256, 1)
        self.assertEqual(message, b"FDSTORE=1\nFDNAME=holdfast-link")
        self.assertEqual(len(fds), 1)
        os.close(fds[0])
        self.assertEqual(manager.recv(256), b"READY=1")
        self.assertEqual(node.stop(), 0)
        self.assertEqual(manager.recv(256), b"STOPPING=1")

    def start_with_descriptor(self, node, fd):
        """As a service manager hands back what it kept."""
        ready = len(node.events("ready"))
        passing = 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=holdfast-link exec "$0" "$@" 3<&"$KEPT"'
        with open(node.log_path, "ab") as log:
            node.process = subprocess.Popen(["bash", "-c", passing, lab.BINARY, *node.arguments], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, pass_fds=(fd,), env={**os.environ, "KEPT": str(fd)})
        node.wait_ready(ready + 1)

    def test_a_device_that_a_service_manager_kept_is_taken_back(self):
        manager = self.manager()
        node = self.node()
        connection = self.connect()
        connection.sendall(b"before ")
        kept = socket.recv_fds(manager, 256, 1)[1][0]
        self.assertEqual(node.stop(), 0)
        self.start_with_descriptor(node, kept)
        os.close(kept)
        self.assertIn(f"device {lab.LINK}: taken back from systemd", node.log())
        self.assertEqual(node.stop(), 0)
        manager.close()  # with the descriptor that it was given again
        with open(os.devnull, "rb") as nothing:  # and where what was kept is of no use, it is opened anew
            self.start_with_descriptor(node, nothing.fileno())
        self.assertIn("of what systemd kept a descriptor is of no use", node.log())
        connection.sendall(b"and after")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")

    def test_a_new_log_and_a_rival_device_are_told_of(self):
        node = self.node()
        self.assertEqual(len(node.events("log-made")), 1)
        self.assertIn("a new one is made", node.log())
        self.assertNotIn("has an address in the node's network too", node.log())
        self.assertEqual(node.stop(), 0)
        node.arguments[node.arguments.index(f"tap:{lab.LINK}")] = "tap:hfother"
        self.addCleanup(subprocess.run, ["ip", "link", "del", "hfother"], check=True)
        node.start()
        self.assertIn(f"interface {lab.LINK} has an address in the node's network too", node.log())
        self.assertEqual(len(node.events("log-made")), 1)
        self.assertEqual(node.stop(), 0)

    def test_connections_of_another_address_wait_for_it(self):
        node = self.node()
        connection = self.connect()
        connection.sendall(b"before ")
        self.assertEqual(node.stop(), 0)
        arguments = node.arguments
        node.arguments = [word.replace(lab.NODE, "10.77.0.77") for word in arguments]
        node.start()
        self.assertIn("1 connection of another --address than this one", node.log())
        self.upload_to("10.77.0.77", b"its own")
        self.assertEqual(node.stop(), 0)
        node.arguments = arguments
        node.start()
        connection.sendall(b"and after")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual(sorted(s["in_bytes"] for s in node.streams()), [7, 16])

    def upload_to(self, address, data):
        connection = self.connect(address=address)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")


if __name__ == "__main__":
    case.main()
