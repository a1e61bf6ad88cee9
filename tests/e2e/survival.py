"""What a connection must survive, in sizes that the caller chooses: short in survival_test.py, in full in soak.py."""

import os
import random
import resource
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time

import case
import lab


def bytes_acked(connection):
    """tcpi_bytes_acked of a connected socket, without the SYN, which counts as one."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return max(0, struct.unpack_from("=Q", info, 120)[0] - 1)


def no_more_files_than_allowed():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Wire:
    """What the node says on the device, seen by a packet socket: the highest ACK for each of our ports."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        self.socket.bind((lab.LINK, 0x0800))
        self.socket.setblocking(False)
        self.first, self.highest = {}, {}

    def close(self):
        self.socket.close()

    def look(self):
        """Takes in what has been captured."""
        while True:
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(100)
            except BlockingIOError:
                return
            if kind == socket.PACKET_OUTGOING or frame[23] != socket.IPPROTO_TCP:
                continue
            tcp = 14 + (frame[14] & 15) * 4
            port, _, ack = struct.unpack_from("!HII", frame, tcp + 2)
            if frame[tcp + 13] & 0x10 == 0:
                continue
            first = self.first.setdefault(port, ack)  # the SYN-ACK's: offset 0
            self.highest[port] = max(self.highest.get(port, 0), (ack - first) & 0xFFFFFFFF)


class Survival(case.Case):
    def acked(self, view):
        return max((c["bytes_acked"] - 1 for c in view.connections()), default=0)

    # ---- An interactive echo ----

    def nc_echo(self, kills):
        """A person at nc types a line, the node dies, the person types on."""
        node = self.node(services=["echo:7001"])
        client = subprocess.Popen(["nc", "-N", lab.NODE, "7001"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end_process, client)
        self.addCleanup(client.stdin.close)
        view = self.client_view(7001)
        typed, ports = b"", set()

        def say(line):
            nonlocal typed
            typed += line
            client.stdin.write(line)
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), line)
            ports.update(c["port"] for c in view.connections())
        for i in range(kills):
            say(b"before kill %d\n" % i)
            lab.wait_for(node.kill_node, 10, lambda: "no node")
            say(b"after kill %d\n" % i)
        client.stdin.close()
        self.assertEqual(client.stdout.read(), b"")
        self.assertEqual(client.wait(20), 0)
        self.assertEqual(len(ports), 1)
        self.assertEqual(len([e for e in node.events("node-died")]), kills)
        self.assertEqual(len(node.streams()), 1)
        for direction in ("in", "out"):
            self.assertEqual(self.stored(node, 1, direction), typed)

    # ---- An upload, killed all along ----

    def upload_under_fire(self, size, every, least):
        """`nc -N` uploads `size` bytes; the node is killed every so many seconds, and `least` times before all is sent. Returns
        the number of kills."""
        node = self.node()
        source = self.directory.file("source")
        with open(source, "wb") as file:
            for _ in range(size // case.MIB):
                file.write(os.urandom(case.MIB))
        client = subprocess.Popen(["nc", "-N", lab.NODE, "7000"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(self.end_process, client)
        view = self.client_view()
        ports, kills, acked, progress = set(), 0, 0, time.monotonic()

        # However fast the machine: no more than its share of the bytes before each kill.
        def feed():
            with open(source, "rb") as file, client.stdin:
                while piece := file.read(case.MIB):
                    while kills < (file.tell() - case.MIB) * least // size and client.poll() is None:
                        time.sleep(0.01)
                    client.stdin.write(piece)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        while client.poll() is None:
            time.sleep(every)
            ports.update(c["port"] for c in view.connections())
            if self.acked(view) > acked:
                acked, progress = self.acked(view), time.monotonic()
            self.assertLess(time.monotonic() - progress, 30, f"stands still at {acked} bytes: {node.log()[-1000:]}")
            if client.poll() is None:
                kills += node.kill_node() is not None
        feeder.join()
        self.assertEqual(client.returncode, 0)
        self.assertGreaterEqual(kills, least, "the upload was over too soon")
        self.assertEqual(len(ports), 1, "the client's connection is not the one that it began with")
        self.assertEqual(len(node.streams()), 1)
        self.assertEqual(self.compare(node, 1, source), size)
        return kills

    def compare(self, node, stream, source, begin=0):
        """What is stored from `begin` on is what the source has there; returns where it ends."""
        command = [lab.BINARY, "streams", "cat", str(stream), "--from", str(begin), *node.data_flags()]
        end = begin
        with open(source, "rb") as wanted, subprocess.Popen(command, stdout=subprocess.PIPE) as cat:
            wanted.seek(begin)
            while piece := cat.stdout.read(case.MIB):
                self.assertTrue(piece == wanted.read(len(piece)), f"differs within 1 MiB of offset {end}")
                end += len(piece)
        self.assertEqual(cat.returncode, 0)
        return end

    # ---- Death at random moments ----

    def kills_at_random_moments(self, times, seed):
        """One connection, `times` deaths of the node, half of them together with its keeper. While nothing runs, what the kernel
        and the wire know to be acknowledged must be readable, byte for byte. Returns what happened."""
        chance = random.Random(seed)
        node = self.node(data=2)
        connection = self.connect()
        wire = Wire()
        self.addCleanup(wire.close)
        connection.setblocking(False)
        port = connection.getsockname()[1]
        source = self.directory.file("source")
        block = case.random_bytes(4 * case.MIB)
        happened = {"node": 0, "keeper": 0, "nobody": 0, "acked": 0, "sent": 0}
        readable = 0
        with open(source, "wb", buffering=0) as file:
            for _ in range(times):
                if chance.random() < 0.75:  # else it may be struck while it starts
                    acked = bytes_acked(connection)
                    lab.wait_for(lambda: self.send_for(connection, 0.005, block, file, happened, wire) or
                                 bytes_acked(connection) > acked, 60, lambda: f"nothing is acknowledged: {node.log()[-1000:]}")
                self.send_for(connection, chance.uniform(0.0, 0.2), block, file, happened, wire)
                before = bytes_acked(connection)
                happened[self.strike(node, chance.random() < 0.5)] += 1
                after = bytes_acked(connection)
                wire.look()
                if readable or node.streams():
                    readable = self.compare(node, 1, source, readable)
                self.assertLessEqual(before, after)
                self.assertLessEqual(after, readable, "acknowledged, and not stored")
                self.assertLessEqual(wire.highest.get(port, 0), readable, "an ACK above what is stored was on the wire")
                self.go_on(node)
        happened["acked"] = bytes_acked(connection)
        connection.setblocking(True)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        self.assertEqual(self.compare(node, 1, source), happened["sent"])
        self.assertGreater(happened["acked"], 0)
        self.assertGreater(wire.highest[port], 0)
        return happened

    def send_for(self, connection, duration, block, file, happened, wire):
        """As fast as may be, but no more than 12 MiB."""
        deadline = time.monotonic() + duration
        most = happened["sent"] + 12 * case.MIB
        while time.monotonic() < deadline:
            wire.look()
            try:
                at = happened["sent"] % len(block)
                if happened["sent"] >= most:
                    raise BlockingIOError
                count = connection.send(block[at:at + 65536])
                file.write(block[at:at + count])
                happened["sent"] += count
            except BlockingIOError:
                time.sleep(0.0005)

    def strike(self, node, keeper_too):
        """Afterwards nothing runs that could store anything: a keeper that lives is stopped in its tracks."""
        if keeper_too:
            node.kill_keeper()
            return "keeper"
        node.process.send_signal(signal.SIGSTOP)
        pid = node.kill_node()
        lab.wait_for(lambda: pid is None or not lab.alive(pid), 5, lambda: "it lives")
        return "node" if pid is not None else "nobody"

    def go_on(self, node):
        if node.process.poll() is not None:
            node.start(wait=False)
        else:
            node.process.send_signal(signal.SIGCONT)

    # ---- Many connections ----

    def many_connections(self, count, size, read_back):
        """`count` connections in mid-transfer when the node is killed, half of them stored and half echoed. `read_back`: of how many
        streams every byte is read back (the length of each is checked)."""
        no_more_files_than_allowed()
        node = self.node(services=["store:7000", "echo:7001"], extra=["--max-half-open", "4096"])
        clients = [Client(self.connect(7001 if i % 2 else 7000), case.random_bytes(size, seed=i), echo=bool(i % 2))
                   for i in range(count)]
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
            left, total, killed = count, count * size, False
            while left > 0:
                ready = selector.select(60)
                self.assertTrue(ready, f"{left} of {count} connections stand still")
                for key, events in ready:
                    if key.data.work(events):
                        selector.unregister(key.fileobj)
                        left -= 1
                    elif key.data.sent == size and key.events & selectors.EVENT_WRITE:
                        selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                if not killed and sum(bytes_acked(client.connection) for client in clients) >= total // 4:
                    lab.wait_for(node.kill_node, 10, lambda: "no node")
                    killed = True
                    self.assertGreater(left, count // 2, "the transfers were over too soon")
        self.assertTrue(killed)
        streams = {(s["peer"], s["local"]): s for s in node.streams()}
        self.assertEqual(len(streams), count)
        for i, client in enumerate(clients):
            stream = streams[client.ends]
            self.assertEqual((stream["in_bytes"], stream["in_finished"]), (size, True))
            if client.echo:
                self.assert_same(bytes(client.received), client.data)
            if i * read_back // count != (i - 1) * read_back // count:
                self.assert_same(self.stored(node, stream["id"]), client.data)


class Client:
    """One connection that sends its data, half-closes, and reads to the end."""

    def __init__(self, connection, data, echo):
        self.connection, self.data, self.echo = connection, data, echo
        self.ends = tuple("%s:%d" % end for end in (connection.getsockname(), connection.getpeername()))
        self.sent, self.received = 0, bytearray()
        connection.setblocking(False)

    def work(self, events):
        """True at the end of the node's stream. A reset raises."""
        if events & selectors.EVENT_WRITE and self.sent < len(self.data):
            self.sent += self.connection.send(self.data[self.sent:self.sent + 16384])
            if self.sent == len(self.data):
                self.connection.shutdown(socket.SHUT_WR)
        if events & selectors.EVENT_READ:
            piece = self.connection.recv(1 << 16)
            self.received += piece
            return not piece
        return False
