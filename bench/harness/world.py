"""Where a benchmark runs: two network namespaces, servers in them, and the clean-up of all of it.

    client namespace                          server namespace
      veth 10.78.0.1/24  -------------------  veth 10.78.0.2/24    kernel TCP peers
      TAP  10.77.0.1/24  -- holdfast 10.77.0.2                     (a process in the client namespace holds the TAP)

Everything made here carries this process's id in its name and is removed on every way out; children die with us.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PEER_ADDRESS = "10.78.0.2"
HOLDFAST_ADDRESS = "10.77.0.2"
ALLOWED_CONGESTION = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
PORT = 7000


class BenchError(Exception):
    """One line for a person: what failed, and what to do."""


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the script, which ends its children itself


def ip(*arguments, check=True):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise BenchError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class World:
    def __init__(self, build, data_root, client_core, server_core, verbose=False):
        self.build = Path(build)
        self.client_core = client_core
        self.server_core = server_core
        self.verbose = verbose
        self.tag = f"hfb{os.getpid()}"
        self.client_ns = self.tag + "c"
        self.server_ns = self.tag + "s"
        self.tap = f"hft{os.getpid()}"
        self.data = Path(data_root) / self.tag
        self._children = []
        self._allowed_before = None
        self.notes = []

    # ---- Set-up and clean-up ----

    def open(self):
        remove_leftovers(self.data.parent)
        self.data.mkdir(parents=True)
        for namespace in (self.client_ns, self.server_ns):
            ip("netns", "add", namespace)
            # Neighbour discovery would only be noise on the links.
            for scope in ("all", "default"):
                self._sysctl(namespace, f"net.ipv6.conf.{scope}.disable_ipv6", "1", check=False)
            ip("-n", namespace, "link", "set", "lo", "up")
        client_link, server_link = self.tag + "v0", self.tag + "v1"
        ip("-n", self.client_ns, "link", "add", client_link, "type", "veth", "peer", "name", server_link, "netns",
           self.server_ns)
        ip("-n", self.client_ns, "addr", "add", "10.78.0.1/24", "dev", client_link)
        for source in sources("10.78.0"):
            ip("-n", self.client_ns, "addr", "add", f"{source}/24", "dev", client_link)
        ip("-n", self.server_ns, "addr", "add", f"{PEER_ADDRESS}/24", "dev", server_link)
        ip("-n", self.client_ns, "link", "set", client_link, "up")
        ip("-n", self.server_ns, "link", "set", server_link, "up")

    def close(self):
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self._children.clear()
        for namespace in (self.client_ns, self.server_ns):
            ip("netns", "del", namespace, check=False)
        shutil.rmtree(self.data, ignore_errors=True)
        if self._allowed_before is not None:
            ALLOWED_CONGESTION.write_text(self._allowed_before)
            self._allowed_before = None

    def _sysctl(self, namespace, name, value, check=True):
        done = subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", f"{name}={value}"],
                              capture_output=True, text=True)
        if check and done.returncode != 0:
            raise BenchError(f"sysctl {name}={value}: {done.stderr.strip()}")

    def set_congestion(self, name):
        """The congestion control that new sockets of both namespaces use, as an operator sets it."""
        allowed = ALLOWED_CONGESTION.read_text()
        if name not in allowed.split():
            # A namespace may only choose what the first namespace allows to everyone.
            try:
                ALLOWED_CONGESTION.write_text(f"{allowed.strip()} {name}")
            except OSError as error:
                raise BenchError(f"{name} is not available here ({error.strerror}): modprobe tcp_{name}") from error
            self._allowed_before = self._allowed_before or allowed
            self.notes.append(f"added {name} to net.ipv4.tcp_allowed_congestion_control for this run")
        for namespace in (self.client_ns, self.server_ns):
            self._sysctl(namespace, "net.ipv4.tcp_congestion_control", name)

    # ---- What a person sees while it runs ----

    def progress(self, text):
        """What is being measured now: one line that is overwritten, on a terminal; a line each elsewhere."""
        if sys.stderr.isatty():
            print(f"\r\033[K  {text} …", end="", file=sys.stderr, flush=True)
        else:
            print(f"  {text}", file=sys.stderr, flush=True)

    def clear_progress(self):
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    # ---- Processes ----

    def program(self, name):
        path = self.build / name
        if not path.exists():
            raise BenchError(f"{path} is missing: build first (cmake --preset release && cmake --build --preset release)")
        return str(path)

    def start(self, command, core, namespace=None, **options):
        if self.verbose:
            print(f"+ [{namespace or 'no namespace'}, core {core}] {' '.join(map(str, command))}", flush=True)
        enter = ["ip", "netns", "exec", namespace] if namespace else []
        # ip and taskset replace themselves by the command: its pid is the child's.
        child = subprocess.Popen([*enter, "taskset", "-c", str(core), *map(str, command)], text=True,
                                 preexec_fn=_die_with_parent, **options)
        self._children.append(child)
        return child

    def run(self, command, core, namespace=None, timeout=300):
        """Runs a command to its end and returns its output."""
        child = self.start(command, core, namespace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        name = Path(command[0]).name
        try:
            out, error = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{name} took longer than {timeout} s") from None
        finally:
            self.end(child)
        if child.returncode != 0:
            raise BenchError(f"{name} failed: {error.strip() or out.strip()[-300:]}")
        return out

    def load(self, name, *arguments, core=None, timeout=300):
        """Runs a load generator in the client namespace; returns what it reports."""
        return json.loads(self.run([self.program(f"bench_load_{name}"), *arguments],
                                   self.client_core if core is None else core, self.client_ns, timeout))

    def load_interactive(self, name, *arguments):
        """Starts a load generator that takes commands on stdin; the caller ends it with end()."""
        return self.start([self.program(f"bench_load_{name}"), *arguments], self.client_core, self.client_ns,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end(self, child, gently=False):
        if child.poll() is None:
            child.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()
        if child in self._children:
            self._children.remove(child)


def sources(prefix):
    """Further client addresses: each has about 28,000 ports towards one server port, and those of connections that have
    ended may not be free yet."""
    return [f"{prefix}.{host}" for host in range(11, 23)]


def remove_leftovers(data_root):
    """What a killed run could not remove itself."""
    def is_dead(name):
        digits = "".join(filter(str.isdigit, name))
        return name.startswith("hfb") and digits and not Path(f"/proc/{digits}").exists()

    for line in ip("netns", "list").splitlines():
        if line and is_dead(line.split()[0]):
            ip("netns", "del", line.split()[0], check=False)
    if data_root.exists():
        for entry in data_root.iterdir():
            if is_dead(entry.name):
                shutil.rmtree(entry, ignore_errors=True)


def read_line(stream, timeout):
    """A line of a child's output, or '' at its end or after `timeout` seconds."""
    ready, _, _ = select.select([stream], [], [], timeout)
    return stream.readline() if ready else ""


class Peer:
    """A kernel TCP peer in the server namespace."""

    side = "peer"
    prefix = "10.78.0"

    def __init__(self, world, name, *arguments):
        self.world = world
        self.to = f"{PEER_ADDRESS}:{PORT}"
        self.process = world.start([world.program(f"bench_peer_{name}"), "--listen", self.to, *arguments],
                                   world.server_core, world.server_ns, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if read_line(self.process.stdout, 60).strip() != "listening":
            self.process.kill()
            raise BenchError(f"bench_peer_{name} did not start: {self.process.stderr.read().strip()}")

    def pids(self):
        return [self.process.pid]

    def stop(self):
        self.world.end(self.process)


class Holdfast:
    """`holdfast serve` on a TAP device whose kernel end is in the client namespace."""

    side = "holdfast"
    prefix = "10.77.0"

    def __init__(self, world, binary, service, *flags, volatile=False):
        self.world = world
        self.to = f"{HOLDFAST_ADDRESS}:{PORT}"
        self.data = None
        command = [binary, "serve", "--link", f"tap:{world.tap}", "--address", f"{HOLDFAST_ADDRESS}/24", "--service",
                   f"{service}:{PORT}", *flags]
        if volatile:
            command.append("--volatile")
        else:
            self.data = world.data / f"holdfast-{service}"
            self.data.mkdir()
            command += ["--data", self.data]
        self.log = open(world.data / "holdfast.out", "w+", encoding="utf-8")
        self.process = world.start(command, world.server_core, world.client_ns, stdin=subprocess.DEVNULL,
                                   stdout=self.log, stderr=self.log)
        self._configure_link()
        self._await_service()

    def _output(self):
        self.log.seek(0)
        return " | ".join(self.log.read().strip().splitlines()[-3:])

    def _configure_link(self):
        """The kernel's end of the TAP device gets its addresses once the device is there."""
        namespace, tap = self.world.client_ns, self.world.tap
        deadline = time.monotonic() + 30
        while tap not in ip("-n", namespace, "-br", "link"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = self._output()
                self.stop()
                raise BenchError(f"holdfast serve did not start: {message or 'it made no device'}")
            time.sleep(0.02)
        for host in ("10.77.0.1", *sources("10.77.0")):
            ip("-n", namespace, "addr", "add", f"{host}/24", "dev", tap, check=False)
        ip("-n", namespace, "link", "set", tap, "up")

    def _await_service(self):
        try:
            self.world.load("connect", "--to", self.to, "--timeout", 30, "--wait", 30000, timeout=60)
        except BenchError as error:
            message = self._output()
            self.stop()
            raise BenchError(f"holdfast does not answer at {self.to}: {error}; it said: {message}") from error

    def pids(self):
        """The keeper and its node."""
        pids = [self.process.pid]
        for pid in pids:
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            pids += [int(child) for child in children]
        return pids

    def node_pid(self):
        return self.pids()[-1]

    def stop(self):
        self.world.end(self.process, gently=True)
        self.log.close()
        ip("-n", self.world.client_ns, "link", "del", self.world.tap, check=False)
        if self.data:
            shutil.rmtree(self.data, ignore_errors=True)
