"""One address over several nodes: a real cluster, nodes that are hosts of their own (namespaces), and the kernel's TCP as client: on the
nodes' link, or behind a router that spreads the address over the nodes (ECMP)."""

import contextlib
import hashlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time

import lab
import network
import rados_cluster
import takeover

SERVICE = "store"
ECHO, STORE = 7001, 7000
ROUTER, OUTSIDE, CLIENT = "10.77.0.254", "10.88.0.254", "10.88.0.1"


class Machine(takeover.Machine):
    """A node of the service, and what it says."""

    def __init__(self, name, number, directory, data, lease, buckets, router):
        extra = ["--buckets", str(buckets), "--max-connections", "4096"]
        self.address = f"10.77.0.{101 + number}"
        if router:
            extra += ["--node-address", f"{self.address}/24", "--gateway", ROUTER]
        super().__init__(name, number, directory, data, lease, extra)

    def start(self, wait="joined"):
        return super().start(wait)

    def buckets(self):
        """Those that it serves, as its events have it."""
        have = set()
        for event in self.node.events():
            if event["event"] in ("started", "keeper-stopping") and "bucket" not in event:
                have = set()
            if event["event"] == "bucket-taken":
                have.add(event["bucket"])
            if event["event"] == "bucket-given":
                have.discard(event["bucket"])
        return have

    def worker(self, bucket):
        """Process id of the bucket's worker, from the last that it said."""
        return [event["pid"] for event in self.node.events("ready") if event.get("bucket") == bucket][-1]

    def running(self):
        return self.node.process is not None and self.node.process.poll() is None


class Crowd:
    """Connections of the kernel's, in one thread: each asks, and asks again some time after it was answered; or uploads, piece by piece.
    Whatever goes wrong with one is an error."""

    def __init__(self, echoes, uploads=0, pause=1.0):
        self.pause = pause
        self.selector = selectors.DefaultSelector()
        self.connections = []
        self.errors = []
        self.answers = 0
        self.longest = (0, 0)  # seconds without an answer, and when that ended
        self.ending = False
        self.done = threading.Event()
        for number in range(echoes + uploads):
            self.open(number, number >= echoes)
        self.thread = threading.Thread(target=self.run, daemon=True)

    class Connection:
        def __init__(self, number, made, upload):
            self.number, self.socket, self.upload = number, made, upload
            self.port = made.getsockname()[1]
            self.count, self.sent, self.asked = 0, b"", 0.0
            self.got = b""
            self.next = 0.0
            self.hash, self.bytes = hashlib.sha256(), 0
            self.closed = False

    def open(self, number, upload):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect((lab.NODE, STORE if upload else ECHO))
        made.setblocking(False)
        connection = self.Connection(number, made, upload)
        self.connections.append(connection)
        self.selector.register(made, selectors.EVENT_READ, connection)

    def start(self):
        begin = time.monotonic()
        for index, connection in enumerate(self.connections):
            connection.next = begin + self.pause * index / len(self.connections)
        self.thread.start()
        return self

    def run(self):
        try:
            while True:
                now = time.monotonic()
                for connection in self.connections:
                    if not connection.sent and now >= connection.next and not connection.closed:
                        self.say(connection, now)
                if self.ending and all(c.closed or (not c.upload and not c.sent) for c in self.connections):
                    return
                for key, _ in self.selector.select(0.02):
                    self.hear(key.data)
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            self.done.set()

    def fail(self, connection, what):
        self.errors.append(AssertionError(f"connection {connection.number} (port {connection.port}): {what}"))
        connection.closed = True
        self.selector.unregister(connection.socket)

    def say(self, connection, now):
        if self.ending:
            if connection.upload and not connection.closed:
                connection.closed = True
                connection.socket.shutdown(socket.SHUT_WR)
            return
        piece = struct.pack("!IQ", connection.number, connection.count) * (256 if connection.upload else 2)
        connection.count += 1
        try:
            sent = connection.socket.send(piece)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self.fail(connection, error)
        connection.hash.update(piece[:sent])
        connection.bytes += sent
        if connection.upload:
            connection.next = now + self.pause
        elif sent == len(piece):
            connection.sent, connection.asked = piece, now
        else:
            self.fail(connection, "a question did not fit into an empty send buffer")
        return None

    def hear(self, connection):
        try:
            piece = connection.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(connection, error)
            return
        if not piece or connection.upload:
            if connection.closed:
                self.selector.unregister(connection.socket)
                return
            self.fail(connection, f"ended with {piece!r}")
            return
        connection.got += piece
        if connection.got == connection.sent:
            now = time.monotonic()
            self.longest = max(self.longest, (now - connection.asked, now))
            connection.sent = connection.got = b""
            connection.next = now + self.pause
            self.answers += 1
        elif not connection.sent.startswith(connection.got):
            self.fail(connection, f"asked {connection.sent!r}, answered {connection.got!r}")

    def waiting(self):
        return sum(1 for c in self.connections if c.sent)

    def waiting_since(self, when):
        """Those whose question is older than that: the rest has been answered since."""
        return sum(1 for c in self.connections if c.sent and c.asked <= when)

    def end(self):
        self.ending = True
        if not self.done.wait(60):
            raise TimeoutError(f"{self.waiting()} connections wait for an answer")
        self.check()

    def check(self):
        if self.errors:
            raise AssertionError(f"{len(self.errors)} of {len(self.connections)} connections failed, as in: {self.errors[0]}")

    def close(self):
        self.ending = True
        self.done.wait(5)
        for connection in self.connections:
            connection.socket.close()


class Service:
    """The whole of it; `with Service(...) as service`."""

    def __init__(self, directory, machines=3, buckets=12, lease="2s", router=True):
        self.directory, self.count, self.buckets, self.lease, self.router = directory, machines, buckets, lease, router
        self.stack = contextlib.ExitStack()
        self.spread = ()

    def __enter__(self):
        try:
            for bridge, addresses in (("st0", (*takeover.ZONES, takeover.MON)), ("br0", () if self.router else (lab.HOST,))):
                network.make_bridge(bridge)
                self.stack.callback(network.ip, "link", "del", bridge)
                for address in addresses:
                    network.ip("address", "add", f"{address}/24", "dev", bridge)
            if self.router:
                self.make_router()
            self.cluster = rados_cluster.Cluster(zones=takeover.ZONES, mons=(takeover.MON,))
            self.stack.callback(self.cluster.destroy)
            self.cluster.start()
            self.data = f"rados:{rados_cluster.POOL}/buckets?conf={self.cluster.conf}"
            self.machines = [Machine("abcdefgh"[n], n, self.directory, self.data, self.lease, self.buckets, self.router)
                             for n in range(self.count)]
            for machine in self.machines:
                self.stack.callback(takeover.Group.end_machine, machine)
            return self
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        self.stack.close()

    def make_router(self):
        self.gateway = network.Namespace()
        self.stack.callback(self.gateway.close)
        for link, inside in (("rt0", "rt0-in"), ("cl0", "cl0-in")):
            network.ip("link", "add", link, "type", "veth", "peer", "name", inside)
            self.stack.callback(subprocess.run, ["ip", "link", "del", link], check=False)
            self.gateway.take(inside)
            network.no_ipv6(link)
        network.ip("link", "set", "rt0", "master", "br0", "up")
        network.ip("address", "add", f"{CLIENT}/24", "dev", "cl0")
        network.ip("link", "set", "cl0", "up")
        network.ip("route", "add", f"{lab.NODE}/32", "via", OUTSIDE)
        with self.gateway:
            for inside, address in (("rt0-in", ROUTER), ("cl0-in", OUTSIDE)):
                network.no_ipv6(inside)
                network.ip("address", "add", f"{address}/24", "dev", inside)
                network.ip("link", "set", inside, "up")
            for name, value in (("ip_forward", 1), ("fib_multipath_hash_policy", 1)):
                subprocess.run(["sysctl", "-qw", f"net.ipv4.{name}={value}"], check=True)

    def route_to(self, *machines):
        """As a router does that looks after its next hops."""
        if not self.router:
            return
        hops = [word for machine in machines for word in ("nexthop", "via", machine.address, "dev", "rt0-in")]
        with self.gateway:
            network.ip("route", "replace", f"{lab.NODE}/32", *hops)

    def share(self):
        return {machine.name: len(machine.buckets()) for machine in self.machines if machine.running()}

    def balanced(self, *machines):
        """All buckets are with these, as many with each, give or take one; nobody has one that another has."""
        have = [machine.buckets() for machine in machines]
        counts = [len(buckets) for buckets in have]
        return sum(counts) == self.buckets == len(set().union(*have)) and max(counts) - min(counts) <= 1

    def wait_balanced(self, *machines, timeout=60):
        lab.wait_for(lambda: self.balanced(*machines), timeout, lambda: f"{self.share()}\n{self.logs()}")

    def moves_at_once(self, since):
        """Most moves from a living node that were under way at any moment after `since` (nanoseconds since 1970)."""
        marks = []
        for machine in self.machines:
            begun = {}
            for event in machine.node.events():
                if event["unix_ns"] < since or "bucket" not in event:
                    continue
                if event["event"] == "bucket-moving":
                    begun[event["bucket"]] = event["unix_ns"]
                if event["event"] in ("bucket-taken", "stopped") and event["bucket"] in begun:
                    marks += [(begun.pop(event["bucket"]), 1), (event["unix_ns"], -1)]
        most = now = 0
        for _, step in sorted(marks):
            now += step
            most = max(most, now)
        return most, len(marks) // 2

    def look(self, *flags):
        return lab.holdfast("buckets", "--data", self.data, "--service-group", SERVICE, *flags)

    def logs(self):
        return "\n".join(f"--- {machine.name}:\n{machine.node.log()[-3000:]}" for machine in self.machines if machine.node.process)

    def check_uploads(self, crowd):
        """Every byte that was sent is in one stream, of one bucket's log."""
        uploads = {c.port: c for c in crowd.connections if c.upload}
        seen = set()
        for bucket in range(self.buckets):
            where = ["--data", f"{self.data}&log={SERVICE}.b{bucket:03}"]
            for stream in json.loads(lab.holdfast("streams", "list", "--json", *where)):
                port = int(stream["peer"].rsplit(":", 1)[1])
                if not stream["local"].endswith(f":{STORE}") or port not in uploads:
                    continue
                if port in seen:
                    raise AssertionError(f"port {port} has two streams")
                seen.add(port)
                found = subprocess.run([lab.BINARY, "streams", "cat", str(stream["id"]), *where], stdout=subprocess.PIPE, check=True)
                if len(found.stdout) != uploads[port].bytes or hashlib.sha256(found.stdout).digest() != uploads[port].hash.digest():
                    raise AssertionError(f"port {port}: {uploads[port].bytes} bytes sent, {len(found.stdout)} stored, or others")
        if len(seen) != len(uploads):
            raise AssertionError(f"{len(uploads) - len(seen)} uploads have no stream")


def resident(pid):
    """MiB, of a process and all below it."""
    total = 0
    for child in [pid, *descendants(pid)]:
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{child}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total / 1024


def descendants(pid):
    found = []
    for child in lab.children(pid):
        found += [child, *descendants(child)]
    return found


def terminate(machine, timeout=60):
    machine.node.process.send_signal(signal.SIGTERM)
    status = machine.node.process.wait(timeout)
    if status != 0:
        raise AssertionError(f"after SIGTERM {machine.name} ended with status {status}: {machine.node.log()[-3000:]}")


def kill(machine):
    """SIGKILL for all of it: the machine is gone."""
    pids = [machine.node.process.pid, *descendants(machine.node.process.pid)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    machine.node.process.wait()
