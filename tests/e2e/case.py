"""What every end-to-end test has: namespaces, a directory of its own, nodes that are stopped at the end."""

import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
import lab  # noqa: E402

MIB = 1 << 20


def main():
    """Runs the tests of the calling script, in namespaces."""
    lab.enter(why_not_status=lab.SKIPPED)
    unittest.main(testRunner=TimedRunner)


class TimedResult(unittest.TextTestResult):
    """With -v it says how long each test took."""

    def startTest(self, test):  # noqa: N802, unittest's name
        self.begun = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):  # noqa: N802
        super().stopTest(test)
        if self.showAll:
            self.stream.writeln(f"    {time.monotonic() - self.begun:.1f} s")
            self.stream.flush()


class TimedRunner(unittest.TextTestRunner):
    resultclass = TimedResult


def random_bytes(size, seed=None):
    if seed is None:
        return os.urandom(size)
    pieces, block = [], hashlib.sha256(str(seed).encode()).digest()
    while len(pieces) * 32 < size:
        pieces.append(block)
        block = hashlib.sha256(block).digest()
    return b"".join(pieces)[:size]


def crc32c(content):
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def directory_of(name):
    """Where a test of this name has its files: its own, also beside another run."""
    base = os.environ.get("HOLDFAST_E2E_DIR", os.path.join(lab.ROOT, "build", "e2e"))
    return os.path.join(base, f"{name}-{os.environ.get('HOLDFAST_LAB_ID', os.getpid())}")


def ping(payload):
    """What the node answers to an ICMP echo request with this payload."""
    words = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + payload
    padded = words + b"\0" * (len(words) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    request = words[:2] + struct.pack("!H", ~total & 0xFFFF) + words[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(3)
        raw.sendto(request, (lab.NODE, 0))
        while True:
            answer, (source, _) = raw.recvfrom(1 << 16)
            icmp = answer[(answer[0] & 15) * 4:]
            if source == lab.NODE and icmp[0] == 0:
                return icmp[8:]


class Case(unittest.TestCase):
    def setUp(self):
        script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        self.directory = lab.Directory(directory_of(f"{script}-{self._testMethodName}"))
        self.addCleanup(self.remove_directory)
        self.nodes = []
        self.addCleanup(self.end_nodes)

    def remove_directory(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or not getattr(self._outcome, "success", True)
        if failed:
            for node in self.nodes:
                print(f"--- log of {node.log_path}:\n{node.log()[-4000:]}", file=sys.stderr)
        if not (failed and os.environ.get("HOLDFAST_E2E_KEEP")):
            self.directory.remove()

    def end_nodes(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill_keeper() if node.keeper else node.kill()

    def node(self, start=True, **options):
        node = lab.Node(self.directory, name=f"node{len(self.nodes)}", **options)
        self.nodes.append(node)
        if start:
            node.start()
        return node

    def client_view(self, port=7000, client_port=None):
        view = lab.ClientView(port, client_port)
        self.addCleanup(view.close)
        return view

    def connect(self, port=7000, address=lab.NODE, timeout=30):
        connection = socket.create_connection((address, port), timeout=timeout)
        self.addCleanup(connection.close)
        return connection

    def upload(self, data, port=7000):
        """Sends everything, half-closes, and waits for the node's FIN, which says that all of it is stored."""
        connection = self.connect(port)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")
        return connection.getsockname()[1]

    def start_nc(self, data, port=7000):
        """`nc -N` in the background, fed from a file."""
        path = self.directory.file(f"source-{len(os.listdir(self.directory.path))}")
        with open(path, "wb") as file:
            file.write(data)
        with open(path, "rb") as file:
            client = subprocess.Popen(["nc", "-N", lab.NODE, str(port)], stdin=file, stdout=subprocess.PIPE)
        self.addCleanup(self.end_process, client)
        return client

    @staticmethod
    def end_process(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def stored(self, node, stream, direction="in"):
        path = self.directory.file("read-back")
        node.cat(stream, path, direction)
        with open(path, "rb") as file:
            return file.read()

    def assert_same(self, found, wanted):
        """Without printing megabytes when they differ."""
        self.assertEqual(len(found), len(wanted))
        if found != wanted:
            at = next(i for i in range(len(wanted)) if found[i] != wanted[i])
            self.fail(f"bytes differ from offset {at} on")

    def in_background(self, function, *arguments):
        """Starts a thread; `join()` it for its result (its exception is raised there)."""
        return Background(function, arguments)


class Background:
    def __init__(self, function, arguments):
        self.result, self.error = None, None
        self.thread = threading.Thread(target=self.run, args=(function, arguments), daemon=True)
        self.thread.start()

    def run(self, function, arguments):
        try:
            self.result = function(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def join(self, timeout=120):
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise TimeoutError("still running")
        if self.error is not None:
            raise self.error
        return self.result
