"""Networks that consist of more than one device: the kernel's TCP in a second namespace, TAP devices, a bridge."""

import ctypes
import os
import socket
import subprocess
import threading

import lab
import wire

CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def ip(*words, **options):
    subprocess.run(["ip", *words], check=True, **options)


def call(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


class Namespace:
    """A network namespace of its own. `with namespace:` puts the calling thread into it, and what it starts; sockets stay in the
    namespace that they were made in. It goes when the last of these does, and its descriptor."""

    def __init__(self):
        self._before = threading.local()
        maker = threading.Thread(target=self._make)
        maker.start()
        maker.join()
        with self:
            ip("link", "set", "lo", "up")

    def _make(self):
        call(libc.unshare(CLONE_NEWNET), "unshare")
        self._descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        call(libc.setns(self._descriptor, CLONE_NEWNET), "setns")
        self._stack().append(before)
        return self

    def __exit__(self, *_):
        before = self._stack().pop()
        call(libc.setns(before, CLONE_NEWNET), "setns")
        os.close(before)

    def _stack(self):
        if not hasattr(self._before, "stack"):
            self._before.stack = []
        return self._before.stack

    def take(self, interface):
        """Moves an interface of the caller's namespace here."""
        ip("link", "set", interface, "netns", f"/proc/self/fd/{self._descriptor}", pass_fds=[self._descriptor])

    @property
    def path(self):
        """For nsenter and the like, as long as this process holds it."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self):
        os.close(self._descriptor)


class Peer:
    """The kernel's own TCP in a namespace of its own, at the far end of a veth whose near end is `interface`."""

    def __init__(self, address=f"{lab.HOST}/24", interface="peer0"):
        self.interface = interface
        self.address = address.split("/")[0]
        self.namespace = Namespace()
        inside = "eth0"
        ip("link", "add", interface, "type", "veth", "peer", "name", inside)
        self.namespace.take(inside)
        no_ipv6(interface)
        ip("link", "set", interface, "up")
        with self.namespace:
            no_ipv6(inside)
            ip("address", "add", address, "dev", inside)
            ip("link", "set", inside, "up")

    def remove(self):
        """Its sockets are gone with the veth, whatever state they are in: nothing reaches them any more."""
        ip("link", "del", self.interface)
        self.namespace.close()

    def socket(self, port=None):
        with self.namespace:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if port is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self.address, port))
        return made

    def listen(self, port, timeout=30):
        listener = self.socket(port)
        listener.listen()
        listener.settimeout(timeout)
        return listener

    def connect(self, address, port, own_port=None, timeout=30):
        connection = self.socket(own_port)
        connection.settimeout(timeout)
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def states(self, peer_port, port=None):
        """The states of the kernel's connections to that port, as its sock_diag has them: "ESTABLISHED" and so on."""
        with self.namespace:
            view = lab.ClientView(peer_port, port)
        try:
            return sorted(STATES[state] for state in view.states())
        finally:
            view.close()


# include/net/tcp_states.h
STATES = {1: "ESTABLISHED", 2: "SYN-SENT", 3: "SYN-RECEIVED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2", 6: "TIME-WAIT", 7: "CLOSED",
          8: "CLOSE-WAIT", 9: "LAST-ACK", 10: "LISTEN", 11: "CLOSING", 12: "SYN-RECEIVED"}


def no_ipv6(interface):
    """No frames but those that the test makes."""
    ip("link", "set", interface, "addrgenmode", "none")


def make_tap(name):
    """A TAP device that is there before the program that takes it, so that a wire can be at its end from the first frame on."""
    ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
    no_ipv6(name)
    ip("link", "set", name, "up")


def make_bridge(name, *interfaces):
    """Without faults."""
    ip("link", "add", name, "type", "bridge", "mcast_snooping", "0")
    no_ipv6(name)
    for interface in interfaces:
        ip("link", "set", interface, "master", name)
    ip("link", "set", name, "up")


class Bridge:
    """Joins interfaces without faults; `recorder` (on the bridge, in promiscuous mode) sees what passes."""

    def __init__(self, *interfaces, name="br0"):
        self.name = name
        make_bridge(name, *interfaces)
        self.recorder = wire.Recorder(name).start()

    def remove(self):
        self.recorder.stop()
        ip("link", "del", self.name)
