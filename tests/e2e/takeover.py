"""A service group as its operator has it: a real three-zone cluster, two nodes, each a host of its own (a namespace) on the clients'
network and on the storage's, and the kernel's TCP as client. What is done to the owner, and what the client sees of it."""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

import lab
import network
import rados_cluster

GROUP = "store"
ZONES = tuple(f"10.99.0.{n}" for n in (1, 2, 3))
MON = "10.99.0.10"
TAP = "hf0"
FILL = "store:7000"
ECHO = "echo:7001"


class Host:
    """A machine: a namespace of its own, with a TAP device on the clients' network `br0` and an address on the storage's, `st0`."""

    def __init__(self, name, number):
        self.name = name
        self.client_link, self.storage_link = f"cl-{name}", f"st-{name}"
        self.namespace = network.Namespace()
        for link, bridge in ((self.client_link, "br0"), (self.storage_link, "st0")):
            network.ip("link", "add", link, "type", "veth", "peer", "name", f"{link}-in")
            self.namespace.take(f"{link}-in")
            network.no_ipv6(link)
            network.ip("link", "set", link, "master", bridge, "up")
        with self.namespace:
            network.make_tap(TAP)
            network.no_ipv6(f"{self.client_link}-in")
            network.ip("link", "set", f"{self.client_link}-in", "up")
            network.make_bridge("br1", TAP, f"{self.client_link}-in")
            network.ip("address", "add", f"10.99.0.{100 + number}/24", "dev", f"{self.storage_link}-in")
            network.ip("link", "set", f"{self.storage_link}-in", "up")

    def cut(self, link, up=False):
        network.ip("link", "set", link, "up" if up else "down")

    def leave(self):
        """Its links are gone, and so are its namespace and what is in there once its processes are."""
        for link in (self.client_link, self.storage_link):
            network.ip("link", "del", link)
        self.namespace.close()


class Machine(Host):
    """One node's host, and the node."""

    def __init__(self, name, number, directory, data, lease, extra=()):
        super().__init__(name, number)
        self.node = lab.Node(directory, data=[data], services=[FILL, ECHO], name=name, link=TAP, host_address=None,
                             extra=["--segment-size", "8MiB", "--service-group", GROUP, "--lease", lease, *extra])

    def start(self, wait="standing-by"):
        seen = len(self.node.events(wait))
        self.begin()
        self.wait_for(wait, seen + 1)
        return self

    def begin(self):
        """Started, and not waited for."""
        with self.namespace:
            self.node.start(wait=False)
        return self

    def wait_for(self, event, count, timeout=30):
        def there():
            if self.node.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.node.process.returncode}: {self.node.log()[-2000:]}")
            return len(self.node.events(event)) >= count
        lab.wait_for(there, timeout, lambda: f"{self.name}: no {event}: {self.node.log()[-3000:]}")
        return self.node.events(event)[count - 1]

    def processes(self):
        return [self.node.process.pid, *filter(None, [self.node.node_pid()])]

    def signal(self, number):
        for pid in self.processes():
            os.kill(pid, number)


def answer_to(connection, question):
    """What an echo service sends back, as many bytes as were asked."""
    connection.sendall(question)
    answer = b""
    while len(answer) < len(question):
        piece = connection.recv(len(question) - len(answer))
        if not piece:
            raise EOFError("the node has closed the echo connection")
        answer += piece
    return answer


class Client:
    """The kernel's TCP: one connection that asks and is answered, and one that uploads, at a rate, until it is told to end."""

    RATE = 16 << 20  # bytes a second

    def __init__(self, congestion="cubic"):
        self.congestion = congestion
        self.gaps = []  # (seconds between two answers, when the second came)
        self.ending = threading.Event()
        self.errors = []
        self.sent = hashlib.sha256()
        self.sent_bytes = 0
        self.echo = self.connect(7001)
        self.upload = self.connect(7000)
        self.upload_port = self.upload.getsockname()[1]
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True) for work in (self.ask, self.fill)]
        for thread in self.threads:
            thread.start()

    def connect(self, port):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.congestion.encode())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(60)
        connection.connect((lab.NODE, port))
        return connection

    def guard(self, work):
        try:
            work()
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def ask(self):
        """Every answer is that of its question, once, in order."""
        number, last = 0, time.monotonic()
        while not self.ending.is_set():
            question = b"%015d\n" % number
            answer = answer_to(self.echo, question)
            if answer != question:
                raise AssertionError(f"asked {question}, answered {answer}")
            if select.select([self.echo], [], [], 0)[0]:
                raise AssertionError("a second answer")
            now = time.monotonic()
            self.gaps.append((now - last, now))
            number, last = number + 1, now
            time.sleep(0.002)

    def fill(self):
        number, begun = 0, time.monotonic()
        while not self.ending.is_set():
            piece = hashlib.sha256(b"%d" % number).digest() * 2048  # 64 KiB
            self.upload.sendall(piece)
            self.sent.update(piece)
            self.sent_bytes += len(piece)
            number += 1
            ahead = begun + self.sent_bytes / self.RATE - time.monotonic()
            time.sleep(max(0, ahead))
        self.upload.shutdown(socket.SHUT_WR)
        if self.upload.recv(1) != b"":
            raise AssertionError("something was sent on the upload's connection")

    def end(self):
        """Ends both; whatever went wrong is raised."""
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                raise TimeoutError("a client's connection hangs")
        for connection in (self.echo, self.upload):
            connection.close()
        if self.errors:
            raise self.errors[0]

    def stall(self, since):
        """The longest time without an answer, of those that ended after `since` (time.monotonic())."""
        return max(gap for gap, at in self.gaps if at >= since)


class Site:
    """Two networks, the clients' and the storage's, and the three-zone cluster. Ready when it is made; close() ends it."""

    def __init__(self, zones=ZONES):
        self.stack = contextlib.ExitStack()
        self.hosts = 0
        try:
            for bridge, addresses in (("st0", (*zones, MON)), ("br0", (lab.HOST,))):
                network.make_bridge(bridge)
                self.stack.callback(network.ip, "link", "del", bridge)
                for address in addresses:
                    network.ip("address", "add", f"{address}/24", "dev", bridge)
            self.cluster = rados_cluster.Cluster(zones=zones, mons=(MON,))
            self.stack.callback(self.cluster.destroy)
            self.cluster.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.stack.close()

    def host(self, name):
        """A machine without a node."""
        host = Host(name, self.hosts)
        self.hosts += 1
        self.stack.callback(host.leave)
        return host


class Group:
    """The whole of it; `with Group(...) as group`."""

    def __init__(self, directory, lease="500ms", machines=2, extra=(), zones=ZONES):
        self.directory = directory
        self.lease = lease
        self.extra = extra
        self.count = machines
        self.zones = zones
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            site = Site(self.zones)
            self.stack.callback(site.close)
            self.cluster = site.cluster
            self.data = f"rados:{rados_cluster.POOL}/takeover?conf={self.cluster.conf}"
            self.machines = [Machine("abcdefgh"[n], n, self.directory, self.data, self.lease, self.extra) for n in range(self.count)]
            for machine in self.machines:
                self.stack.callback(self.end_machine, machine)
            self.owner = self.machines[0].start("ready")
            for machine in self.machines[1:]:
                machine.start()
            return self
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stack.close()

    @staticmethod
    def end_machine(machine):
        machine.leave()
        if machine.node.process is not None and machine.node.process.poll() is None:
            machine.signal(signal.SIGCONT)
            machine.node.kill_keeper()

    def find_owner(self):
        """Where it is not known who was first: one of them serves, the others stand by."""
        def serving():
            last = {machine: machine.node.events()[-1]["event"] for machine in self.machines}
            owners = [machine for machine, event in last.items() if event == "ready"]
            return owners if len(owners) == 1 and set(last.values()) == {"ready", "standing-by"} else None
        self.owner, = lab.wait_for(serving, 30, self.logs)

    def owner_record(self):
        """As the head has it."""
        return dict(line.split("=", 1) for line in self.rados("getxattr", f"{GROUP}.head", "owner").splitlines())

    def rados(self, *words):
        command = ["rados", "--conf", self.cluster.conf, "--pool", rados_cluster.POOL, "--namespace", "takeover", *words]
        return subprocess.run(command, capture_output=True, check=True, env=dict(os.environ, CEPH_ARGS="")).stdout.decode()

    def others(self):
        return [machine for machine in self.machines if machine is not self.owner]

    # ---- What is done to the owner; each leaves the group whole again when what it returns is called ----

    def kill(self):
        """SIGKILL of the owner, keeper and all: its machine is gone."""
        owner = self.owner
        owner.node.kill_keeper()
        return owner.start

    def freeze(self):
        """SIGSTOP of the owner; it wakes up when another has taken over."""
        owner = self.owner
        woken = len(owner.node.events("standing-by"))
        owner.signal(signal.SIGSTOP)

        def wake():
            owner.signal(signal.SIGCONT)
            owner.wait_for("standing-by", woken + 1)
        return wake

    def cut_network(self):
        """The owner's link to clients, and with it to storage: its network card."""
        owner = self.owner
        return self.cut(owner, owner.client_link, owner.storage_link)

    def cut_storage(self):
        """The owner's link to storage alone."""
        return self.cut(self.owner, self.owner.storage_link)

    @staticmethod
    def cut(owner, *links):
        stood_by = len(owner.node.events("standing-by"))
        for link in links:
            owner.cut(link)

        def mend():
            for link in links:
                owner.cut(link, up=True)
            owner.wait_for("standing-by", stood_by + 1, timeout=60)
        return mend

    def lose_zone(self):
        """The owner and the OSD beside it, both killed."""
        owner = self.owner
        zone = self.machines.index(owner)
        owner.node.kill_keeper()
        self.cluster.kill_osd(zone)

        def mend():
            self.cluster.start_osd(zone)
            self.cluster.wait()  # until what it missed is there
            owner.start()
        return mend

    def hand_over(self):
        """Planned."""
        owner = self.owner
        stood_by = len(owner.node.events("standing-by"))
        lab.holdfast("handover", "--data", self.data, "--service-group", GROUP)
        return lambda: owner.wait_for("standing-by", stood_by + 1)

    def terminate(self):
        """SIGTERM: the same, and the owner ends."""
        owner = self.owner
        owner.node.process.terminate()

        def again():
            status = owner.node.process.wait(20)
            if status != 0:
                raise AssertionError(f"after SIGTERM it ended with status {status}")
            owner.start()
        return again

    # ---- One run ----

    def run(self, kind, congestion="cubic", before=0.6):
        """A client through one failure. Returns what was measured: milliseconds."""
        client = Client(congestion)
        time.sleep(before)
        measured = self.strike(kind, client)
        client.end()
        self.check_upload(client)
        return {**measured, "congestion": congestion, "bytes": client.sent_bytes}

    def strike(self, kind, client, after=0.6):
        """One failure, until the client has its answers again and the group is whole again."""
        successors = self.others()
        ready = {machine: len(machine.node.events("ready")) for machine in successors}
        begun, begun_ns = time.monotonic(), time.time_ns()
        mend = getattr(self, kind)()

        def taken():
            return [machine for machine in successors if len(machine.node.events("ready")) > ready[machine]]

        def answered():
            if client.errors:
                return True
            now = time.monotonic()
            return now > begun + after and client.gaps and client.gaps[-1][1] > max(begun, now - 0.2)
        successor, = lab.wait_for(taken, 60, self.logs)
        event = successor.node.events("ready")[-1]
        lab.wait_for(answered, 60, self.logs)
        self.owner = successor
        mend()
        time.sleep(0.1)
        return {"kind": kind, "ready_ms": (event["unix_ns"] - begun_ns) / 1e6, "stall_ms": client.stall(begun) * 1000,
                "recovery_ms": event["ms"]}

    def logs(self):
        return "\n".join(f"--- {machine.name}:\n{machine.node.log()[-2000:]}" for machine in self.machines)

    def check_upload(self, client):
        """Every byte of the upload is in the log, once, in one stream of the client's one port."""
        where = ["--data", f"{self.data}&log={GROUP}"]
        streams = json.loads(lab.holdfast("streams", "list", "--json", *where))
        mine = [s for s in streams if s["peer"].endswith(f":{client.upload_port}") and s["local"].endswith(":7000")]
        stream = max(mine, key=lambda s: s["id"])
        if stream["in_bytes"] != client.sent_bytes or not stream["in_finished"]:
            raise AssertionError(f"sent {client.sent_bytes} bytes, stored {stream['in_bytes']}, finished {stream['in_finished']}")
        found = hashlib.sha256()
        with subprocess.Popen([lab.BINARY, "streams", "cat", str(stream["id"]), *where], stdout=subprocess.PIPE) as reader:
            while piece := reader.stdout.read(1 << 20):
                found.update(piece)
        if reader.returncode != 0 or found.digest() != client.sent.digest():
            raise AssertionError("what is stored is not what was sent")
