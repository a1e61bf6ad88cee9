"""A store far away: a real cluster in this namespace, the node and its clients in another, and between the two a wire of some
length (long_wire_main.cc)."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import threading
import time

import lab
import network
import rados_cluster

WIRE = os.environ.get("HOLDFAST_LONG_WIRE", os.path.join(os.path.dirname(lab.BINARY), "holdfast-long-wire"))
NODE_SIDE, STORE_SIDE = "long0", "long1"
NODE_ADDRESS = "10.99.0.100"
ZONES = tuple(f"10.99.0.{n}" for n in (1, 2, 3))
MON = "10.99.0.10"
SINK_PORT = 9000
QUEUE = "20000"  # frames: what comes in a burst is the wire's to carry


class LongWire:
    """Joins a device in this namespace and one in `namespace`. `one_way`: seconds."""

    def __init__(self, namespace, one_way):
        self.process = subprocess.Popen([WIRE, namespace.path, NODE_SIDE, f"/proc/{os.getpid()}/ns/net", STORE_SIDE,
                                         str(round(one_way * 1e6))], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the wire does not start")

    def cpu(self):
        return cpu_of(self.process.pid)

    def stop(self):
        """What went through: {"there": {...}, "back": {...}}."""
        self.process.terminate()
        text = self.process.communicate(timeout=10)[0]
        return json.loads(text)


class FarSite:
    """The network and the cluster. `wire(one_way)` joins them, as often as one likes. close() ends it all."""

    def __init__(self, congestion=None):
        self.stack = contextlib.ExitStack()
        try:
            self.namespace = network.Namespace()
            self.stack.callback(self.namespace.close)
            network.make_tap(STORE_SIDE)
            self.stack.callback(network.ip, "link", "del", STORE_SIDE)
            with self.namespace:
                network.make_tap(NODE_SIDE)
                network.ip("address", "add", f"{NODE_ADDRESS}/24", "dev", NODE_SIDE)
                network.ip("link", "set", NODE_SIDE, "txqueuelen", QUEUE)
                self.set_congestion(congestion)
            network.ip("link", "set", STORE_SIDE, "txqueuelen", QUEUE)
            for address in (*ZONES, MON):
                network.ip("address", "add", f"{address}/24", "dev", STORE_SIDE)
            self.set_congestion(congestion)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def set_congestion(name):
        """Of what is sent from the calling thread's namespace."""
        if name is not None:
            write("/proc/sys/net/ipv4/tcp_congestion_control", name)

    def start_cluster(self, **options):
        self.cluster = rados_cluster.Cluster(zones=ZONES, mons=(MON,), **options)
        self.stack.callback(self.cluster.destroy)
        self.cluster.start()
        return self.cluster

    @contextlib.contextmanager
    def wire(self, one_way):
        wire = LongWire(self.namespace, one_way)
        try:
            yield wire
        finally:
            wire.process.kill()
            wire.process.wait()
            wire.process.stdout.close()

    def round_trip(self, count=5):
        """Milliseconds through the wire and back, the median of so many: how long a connect to the sink takes."""
        times = []
        for _ in range(count):
            begun = time.monotonic()
            with self.namespace:
                socket.create_connection((ZONES[0], SINK_PORT), timeout=5).close()
            times.append(time.monotonic() - begun)
        return sorted(times)[count // 2] * 1000

    def close(self):
        self.stack.close()


class Sink:
    """The kernel's TCP, which throws away what comes: what a path gives when nobody stores anything."""

    def __init__(self, address=ZONES[0], port=SINK_PORT):
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.swallow, args=(self.listener.accept()[0],), daemon=True).start()

    @staticmethod
    def swallow(connection):
        buffer = bytearray(1 << 20)
        with connection:
            while connection.recv_into(buffer):
                pass

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Upload:
    """The kernel's TCP in `namespace`, several connections at once: each sends its part of `size`, ends, and waits for the other
    side's end, which says that all is stored."""

    def __init__(self, namespace, address, port, connections, size, congestion=None):
        self.namespace, self.address, self.port, self.congestion = namespace, address, port, congestion
        self.piece = os.urandom(1 << 20)
        self.size = size // connections // len(self.piece) * len(self.piece)
        self.total = self.size * connections
        self.errors = []
        self.lock = threading.Lock()
        self.sent, self.half_sent_at = 0, None
        self.threads = [threading.Thread(target=self.guard, daemon=True) for _ in range(connections)]

    def run(self, limit=300):
        """Seconds from the first SYN until the last end, and those after half of it was handed to the kernel, which is at most a
        socket's buffer ahead: senders have found their rate by then."""
        begun = time.monotonic()
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(max(0.1, begun + limit - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError(f"an upload takes more than {limit} s")
        if self.errors:
            raise self.errors[0]
        end = time.monotonic()
        return end - begun, end - self.half_sent_at

    def guard(self):
        try:
            with self.namespace:
                self.send()
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def send(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            if self.congestion is not None:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.congestion.encode())
            connection.settimeout(60)
            connection.connect((self.address, self.port))
            for _ in range(self.size // len(self.piece)):
                connection.sendall(self.piece)
                self.count()
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1) != b"":
                raise AssertionError("something was sent back")

    def count(self):
        with self.lock:
            self.sent += len(self.piece)
            if self.half_sent_at is None and self.sent >= self.total / 2:
                self.half_sent_at = time.monotonic()

    def digest(self):
        """Of what each of the connections has sent."""
        found = hashlib.sha256()
        for _ in range(self.size // len(self.piece)):
            found.update(self.piece)
        return found.hexdigest()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def cpu_of(pid):
    """Seconds that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
