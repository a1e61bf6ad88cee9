"""Tests of a log in a RADOS pool: a cluster for all of a class, with keys, and a namespace of the pool for each test."""

import contextlib
import shutil
import sys
import time

import case
import lab
import rados_cluster

POOL = rados_cluster.POOL
# The least that a node needs (docs/operating.md): reads and writes in its pool, and shutting out an owner that it takes over from.
MON_CAPS = 'allow r, allow command "osd blocklist"'
OSD_CAPS = f"allow rw pool={POOL}"


def main():
    if not shutil.which("ceph-osd"):
        print("ceph-osd is not installed: scripts/install-deps", file=sys.stderr)
        sys.exit(lab.SKIPPED)
    case.main()


def start_cluster(test_class, **options):
    """One for all of a class, `cluster` there."""
    test_class.cluster = rados_cluster.Cluster(**options)
    test_class.addClassCleanup(test_class.cluster.destroy)
    test_class.cluster.start()


class PoolCase(case.Case):
    @classmethod
    def setUpClass(cls):
        start_cluster(cls, auth="cephx")
        cls.cluster.add_user("holdfast", mon=MON_CAPS, osd=OSD_CAPS)
        cls.admin = cls.cluster.connect(pool=POOL)
        cls.addClassCleanup(cls.admin.close)

    def conf(self, **settings):
        """Path of the cluster's configuration with these settings for clients."""
        with open(self.cluster.conf, encoding="ascii") as file:
            text = file.read()
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        path = self.directory.file("-".join(["ceph", *settings]) + ".conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace("[client]\n", f"[client]\n{lines}"))
        return path

    def namespace(self):
        """Each test has its own."""
        return self._testMethodName.removeprefix("test_")[:60]

    def place(self, *words, pool=POOL, conf=None, user="holdfast"):
        """For --data."""
        return f"rados:{pool}/{self.namespace()}?" + "&".join([f"conf={conf or self.cluster.conf}", f"id={user}", *words])

    def pool_node(self, *more, start=True, place=None, extra=(), **options):
        """A node whose log is in the pool, and in directories `more`."""
        extra = ["--segment-size", "4MiB", *extra]
        return self.node(start, data=[place or self.place(), *more], services=["store:7000", "echo:7001"], extra=extra, **options)

    @contextlib.contextmanager
    def paused(self, *numbers):
        """OSDs that hang."""
        for number in numbers:
            self.cluster.pause_osd(number)
        try:
            yield
        finally:
            for number in numbers:
                self.cluster.resume_osd(number)

    def blink(self, connection, count=1):
        """Seconds that an echo takes, the longest of `count`."""
        longest = 0
        for number in range(count):
            word = b"%08d" % number
            begun = time.monotonic()
            connection.sendall(word)
            back = b""
            while len(back) < len(word):
                back += connection.recv(len(word) - len(back))
            self.assertEqual(back, word)
            longest = max(longest, time.monotonic() - begun)
        return longest

    def send_all(self, connection, data):
        """In the background: everything, our FIN, the node's."""
        def send():
            connection.sendall(data)
            connection.shutdown(1)
            return connection.recv(1)
        return self.in_background(send)

    def sending(self, data, timeout=90):
        connection = self.connect(timeout=timeout)
        return self.send_all(connection, data)

    def acked(self, view):
        return max((found["bytes_acked"] - 1 for found in view.connections()), default=0)

    def some_way(self, view, count):
        lab.wait_for(lambda: self.acked(view) >= count, 30, lambda: f"{self.acked(view)} of {count} bytes acknowledged")
