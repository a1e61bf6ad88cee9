"""A network of one's own for the demonstration and the end-to-end tests: python3's standard library only.

Everything runs in fresh network, process and mount namespaces that nobody else sees: when the script ends, however it ends, the
kernel removes its processes, devices and mounts with them.
"""

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("HOLDFAST", os.path.join(ROOT, "build", "release", "holdfast"))
SKIPPED = 77  # exit status that ctest reads as "skipped"

HOST = "10.77.0.1"  # the kernel's end
NODE = "10.77.0.2"
LINK = "hf0"


def enter(why_not_status=1, may_ask_for_root=False):
    """Starts this script again inside fresh namespaces, unless it is there already. Without root in a user namespace; where that is
    not allowed, with sudo if `may_ask_for_root`."""
    if os.environ.get("HOLDFAST_LAB") == "inside":
        # This process is the first of its namespace: when it ends, so does all that it started. It must ask for its signals.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        flags += ["--user", "--map-root-user"]
    command = ["unshare", *flags]
    problem = why_no_namespaces(command)
    if problem and may_ask_for_root and os.geteuid() != 0 and shutil.which("sudo"):
        print(f"{os.path.basename(sys.argv[0])}: not allowed without root ({problem}): asking sudo", file=sys.stderr)
        os.execvp("sudo", ["sudo", f"HOLDFAST={BINARY}", sys.executable, *sys.argv])
    if problem:
        print(problem, file=sys.stderr)
        sys.exit(why_not_status)
    environment = dict(os.environ, HOLDFAST_LAB="inside")
    child = subprocess.Popen([*command, sys.executable, *sys.argv], env=environment, preexec_fn=die_with_parent)
    # The child cleans up and ends, and we with it. A terminal tells it of SIGINT itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: [os.kill(pid, n) for pid in children(child.pid)])
    sys.exit(exit_status(child.wait()))


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def die_with_parent():
    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def children(pid):
    """Process ids."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def exit_status(returncode):
    return returncode if returncode >= 0 else 128 - returncode


def why_no_namespaces(command):
    """None where namespaces and TAP devices can be made, else what to do about it."""
    probe = "ip tuntap add probe0 mode tap"
    done = subprocess.run([*command, "sh", "-c", probe], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return (f"can't make a TAP device in a namespace ({done.stderr.strip() or 'no reason given'}): run as root, or with sudo, "
            "or allow user namespaces and make /dev/net/tun readable and writable")


class Directory:
    """A directory that is emptied at first and removed at the end."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        shutil.rmtree(self.path, ignore_errors=True)
        os.makedirs(self.path)

    def make(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def file(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Node:
    """`holdfast serve` with its keeper (or without)."""

    def __init__(self, directory, data=1, services=("store:7000",), keeper=True, extra=(), name="node", address=NODE, link=LINK,
                 host_address=HOST):
        self.directory = directory
        self.data = [directory.make(f"{name}-data-{i}") for i in range(data)] if isinstance(data, int) else list(data)
        self.events_path = directory.file(f"{name}-events.jsonl")
        self.log_path = directory.file(f"{name}.log")
        self.keeper = keeper
        self.process = None
        self.arguments = ["serve", "--link", f"tap:{link}", "--address", f"{address}/24", "--events", self.events_path]
        if host_address is not None:  # else something other than the kernel's own stack is at the device's end
            self.arguments += ["--host-address", f"{host_address}/24"]
        for path in self.data:
            self.arguments += ["--data", path]
        for service in services:
            self.arguments += ["--service", service]
        if not keeper:
            self.arguments.append("--no-keeper")
        self.arguments += list(extra)

    def start(self, wait=True, timeout=30):
        ready_before = len(self.events("ready"))
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            self.wait_ready(ready_before + 1, timeout)
        return self

    def wait_ready(self, count=1, timeout=30):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the node ended with status {self.process.returncode}: {self.log()[-2000:]}")
            return len(self.events("ready")) >= count
        wait_for(ready, timeout, lambda: f"the node is not ready: {self.log()[-2000:]}")

    def events(self, kind=None):
        try:
            with open(self.events_path, encoding="utf-8") as file:
                lines = file.read().split("\n")[:-1]
        except FileNotFoundError:
            return []
        parsed = [json.loads(line) for line in lines]
        return [event for event in parsed if kind is None or event["event"] == kind]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def node_pid(self):
        """The process that talks: the keeper's child. None between two of them."""
        if not self.keeper:
            return self.process.pid
        return next(iter(children(self.process.pid)), None)

    def kill_node(self):
        """SIGKILL; returns its process id, or None when there was none just then."""
        pid = self.node_pid()
        if pid is None:
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return pid

    def kill_keeper(self):
        """SIGKILL for the keeper: its node dies with it."""
        node = self.node_pid()
        self.process.kill()
        self.process.wait()
        wait_for(lambda: node is None or not alive(node), 5, lambda: "the node outlived its keeper")

    def kill(self):
        """SIGKILL for the process that was started."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(timeout)

    def streams(self):
        return json.loads(holdfast("streams", "list", "--json", *self.data_flags()))

    def cat(self, stream, into, direction="in"):
        command = [BINARY, "streams", "cat", str(stream), "--direction", direction, *self.data_flags()]
        with open(into, "wb") as file:
            subprocess.run(command, stdout=file, check=True)

    def data_flags(self):
        return [word for path in self.data for word in ("--data", path)]


def bridge(name, *links):
    """TAP devices joined by a bridge, so that the stacks behind them are hosts of one network."""
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    for link in links:
        subprocess.run(["ip", "tuntap", "add", link, "mode", "tap"], check=True)
        subprocess.run(["ip", "link", "set", link, "master", name, "up"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)


def links():
    """Names of the network devices."""
    return {link["ifname"] for link in json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)}


def holdfast(*arguments, check=True):
    """Runs the program and returns its standard output."""
    return subprocess.run([BINARY, *arguments], check=check, capture_output=True, text=True).stdout


def alive(pid):
    """Runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):  # gone; or reaped between opening and reading
        return False


def wait_for(condition, timeout, failure, every=0.002):
    """Polls until `condition()` is true, and returns what it was."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(failure())
        time.sleep(every)


class ClientView:
    """What the kernel knows of its TCP connections to a peer: sock_diag(7), the source of `ss -tin`."""

    NETLINK_SOCK_DIAG = 4
    SOCK_DIAG_BY_FAMILY = 20
    NLM_F_REQUEST_DUMP = 0x301
    NLMSG_ERROR, NLMSG_DONE = 2, 3
    INET_DIAG_INFO = 2
    TIMERS = {1: "retransmission", 2: "keepalive", 3: "TIME-WAIT", 4: "window probe"}

    def __init__(self, peer_port, port=None):
        self.peer_port = peer_port
        self.port = port  # the client's; None: any
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, self.NETLINK_SOCK_DIAG)

    def close(self):
        self.socket.close()

    def connections(self):
        """A list of dictionaries: port, state, timer (that runs), bytes_acked, total_retrans, retransmits (in a row), rto_ms. Without
        those that are no sockets any more (TIME-WAIT) or not yet (of a listener's)."""
        return [found for found in map(self.parse, self.messages()) if found]

    def states(self):
        """The states of all connections, by their numbers in include/net/tcp_states.h."""
        return [message[1] for message in self.messages()]

    def messages(self):
        """struct inet_diag_msg and its attributes, of each connection."""
        request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (self.INET_DIAG_INFO - 1), 0, 0xFFFFFFFF)
        request += bytes(40) + struct.pack("=II", 0xFFFFFFFF, 0xFFFFFFFF)
        header = struct.pack("=IHHII", 16 + len(request), self.SOCK_DIAG_BY_FAMILY, self.NLM_F_REQUEST_DUMP, 1, 0)
        self.socket.send(header + request)
        found = []
        while True:
            answer = self.socket.recv(1 << 18)
            at = 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == self.NLMSG_DONE:
                    return found
                if kind == self.NLMSG_ERROR:
                    raise OSError("sock_diag: " + os.strerror(-struct.unpack_from("=i", answer, at + 16)[0]))
                message = answer[at + 16:at + length]
                port, peer_port = struct.unpack_from("!HH", message, 4)
                if peer_port == self.peer_port and self.port in (None, port):
                    found.append(message)
                at += (length + 3) & ~3

    def parse(self, message):
        state, = struct.unpack_from("=B", message, 1)
        port, = struct.unpack_from("!H", message, 4)
        at = 72
        while at + 4 <= len(message):
            length, kind = struct.unpack_from("=HH", message, at)
            if kind == self.INET_DIAG_INFO and length >= 4 + 136:
                info = message[at + 4:at + length]
                timer = self.TIMERS.get(message[2], "none")
                return {"port": port, "state": state, "timer": timer, "retransmits": info[2],
                        "rto_ms": struct.unpack_from("=I", info, 8)[0] / 1000,
                        "total_retrans": struct.unpack_from("=I", info, 100)[0],
                        "bytes_acked": struct.unpack_from("=Q", info, 120)[0]}
            at += max(4, (length + 3) & ~3)
        return None
