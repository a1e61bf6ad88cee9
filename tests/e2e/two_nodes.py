"""Two nodes of ours: `holdfast serve` on one TAP device, `holdfast send` on another, with a wire or bridges between them."""

import contextlib
import json
import os
import struct
import subprocess

import case
import lab
import network
from wire import Wire

RESPONDER, INITIATOR = "hf0", "hf1"  # devices: frames come from there
SENDER = "10.77.0.3"
SMALL = ["--segment-size", "1MiB"]


class TwoNodes(case.Case):
    """`self.wire` joins the two devices, in one namespace. With `bridged = True` each device is on a bridge in a namespace of its own,
    the bridges are joined by a veth, and `self.bridge.recorder` sees what passes."""

    bridged = False

    def setUp(self):
        network.make_tap(RESPONDER)
        self.addCleanup(network.ip, "link", "del", RESPONDER)
        self.far = None
        if self.bridged:
            self.far = network.Namespace()
            self.addCleanup(self.far.close)
            network.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
            self.addCleanup(network.ip, "link", "del", "veth0")
            self.far.take("veth1")
            network.no_ipv6("veth0")
            network.ip("link", "set", "veth0", "up")
            with self.far:
                network.make_tap(INITIATOR)
                network.no_ipv6("veth1")
                network.ip("link", "set", "veth1", "up")
                far_bridge = network.Bridge(INITIATOR, "veth1", name="br1")
                self.addCleanup(far_bridge.recorder.stop)
            self.bridge = network.Bridge(RESPONDER, "veth0")
            self.addCleanup(self.bridge.remove)
            self.recorder = self.bridge.recorder
        else:
            network.make_tap(INITIATOR)
            self.addCleanup(self.remove_initiator)
            self.wire = Wire(RESPONDER, INITIATOR).start()
            self.addCleanup(self.wire.stop)
            self.recorder = self.wire
        super().setUp()

    @staticmethod
    def remove_initiator():
        subprocess.run(["ip", "link", "del", INITIATOR], check=False, stderr=subprocess.DEVNULL)

    def serve(self, ways="3..74", kind="echo", data=1, options="", **more):
        extra = [*SMALL, *more.pop("extra", [])]
        return self.node(data=data, services=[f"{kind}:7000,ways={ways}{options}"], link=RESPONDER, host_address=None, extra=extra,
                         **more)

    def start_send(self, *more, data=(), source=None, stdin=subprocess.DEVNULL, port=7000, linger="0s"):
        """`source`: a file; with `stdin` what comes from there; else nothing is sent."""
        source = source or ("-" if stdin != subprocess.DEVNULL else os.devnull)
        with self.far or contextlib.nullcontext():
            process = subprocess.Popen([*send_command(*more, data=data, port=port, linger=linger), source], stdin=stdin,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end_process, process)
        return process

    def finish(self, process, status=0, timeout=60):
        """Waits; returns (standard output, standard error)."""
        out, err = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, status, err.decode())
        return out, err.decode()

    def file(self, content, name="source"):
        path = self.directory.file(name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def steps(self, port=None):
        """Segments of handshakes that were seen, in order: those with the option and nothing else to say."""
        return [frame for frame in self.recorder.tcp(port) if frame.ways and not frame.payload_length and frame.kind != "FIN"]


def send_command(*more, data=(), port=7000, link=INITIATOR, address=SENDER, linger="0s"):
    """To the node; what is to be sent comes behind it. `linger`: what it does by default costs a test more than a second."""
    command = [lab.BINARY, "send", "--link", f"tap:{link}", "--address", f"{address}/24", "--quiet", "--to", f"{lab.NODE}:{port}",
               "--linger", linger, *map(str, more)]
    for path in data:
        command += ["--data", path]
    return command + (SMALL if data else [])


def streams_of(directories):
    flags = [word for path in directories for word in ("--data", path)]
    return json.loads(lab.holdfast("streams", "list", "--json", *flags))


def stored_bytes(directories, stream, direction):
    flags = [word for path in directories for word in ("--data", path)]
    command = [lab.BINARY, "streams", "cat", str(stream), "--direction", direction, *flags]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def copies_on_disk(directories, own_isn, peer_isn, received=0):
    """In how many directories a connection record with these initial sequence numbers lies (docs/log-format.md, "Connection record"),
    found by reading the files, without the program. `received`: one that knows of this step of the peer's."""
    wanted = struct.pack("<II", own_isn, peer_isn)

    def lies_in(path):
        with open(path, "rb") as file:
            content = file.read()
        at = content.find(wanted)
        while at >= 0:
            if content[at - 20 + 7] >= received:  # where in the record the numbers and the step are
                return True
            at = content.find(wanted, at + 1)
        return False
    return sum(any(lies_in(os.path.join(path, name)) for name in os.listdir(path) if name.startswith("segment-"))
               for path in directories)


def copies_asked(step):
    """Rule 9."""
    if step < 4:
        return 0
    return step // 2 - 1 if step % 2 == 0 else (step - 3) // 2
