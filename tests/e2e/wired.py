"""A test case with a wire: the program's TAP device, the wire (or a bridge), and the kernel's TCP in a second namespace."""

import subprocess

import case
import lab
import network
from wire import Wire

OURS = "hf0"       # frames that the program sent
THEIRS = "peer0"   # frames that the kernel sent


class WiredCase(case.Case):
    """`self.wire` joins the two; with `bridged = True`, `self.bridge` does."""

    bridged = False

    def setUp(self):
        # Before the parent's own: so it is undone after the nodes are gone.
        network.make_tap(OURS)
        self.addCleanup(network.ip, "link", "del", OURS)
        self.peer = network.Peer(interface=THEIRS)
        self.addCleanup(self.peer.remove)
        if self.bridged:
            self.bridge = network.Bridge(OURS, THEIRS)
            self.addCleanup(self.bridge.remove)
            self.wire = None
        else:
            self.wire = Wire(OURS, THEIRS).start()
            self.addCleanup(self.wire.stop)
        super().setUp()

    def node(self, start=True, **options):
        return super().node(start, link=OURS, host_address=None, **options)

    def connect(self, port=7000, address=lab.NODE, timeout=30, own_port=None):
        connection = self.peer.connect(address, port, own_port, timeout)
        self.addCleanup(connection.close)
        return connection

    def listen(self, port=9000):
        listener = self.peer.listen(port)
        self.addCleanup(listener.close)
        return listener

    def accept(self, listener):
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        connection.settimeout(30)
        return connection

    def start_send(self, *more, port=9000, link=OURS, address=lab.NODE):
        """`holdfast send` to the peer; its standard input is a pipe."""
        sender = subprocess.Popen([lab.BINARY, "send", "--link", f"tap:{link}", "--address", f"{address}/24", "--quiet",
                                   "--to", f"{self.peer.address}:{port}", *map(str, more)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end_process, sender)
        return sender

    def assert_sent(self, sender):
        """It ended well: everything that it sent is acknowledged."""
        status = sender.wait(30)
        self.assertEqual((status, sender.stderr.read()), (0, b""))
