#!/usr/bin/env python3
"""`holdfast send` with its log in a pool: another machine goes on with what one has begun to send."""

import os
import signal
import subprocess
import unittest

import case
import durable_send
import lab
import pool_case
import rados_cluster
import takeover
from case import MIB

OWN = "10.77.0.3"  # the sender's, on whichever machine


class PoolSendTest(durable_send.DurableSend):
    """The kernel listens; two machines, each a namespace, reach it and the cluster."""

    @classmethod
    def setUpClass(cls):
        cls.site = takeover.Site()
        cls.addClassCleanup(cls.site.close)
        cls.data_place = f"rados:{rados_cluster.POOL}/sender?conf={cls.site.cluster.conf}"
        cls.machines = [cls.site.host(name) for name in "ab"]

    def setUp(self):
        super().setUp()
        self.data = [f"{self.data_place}&log={self._testMethodName[-40:]}"]

    def remove_links(self):
        """The machines keep theirs."""

    def on(self, machine, file, wait=False):
        """Sends `file` from there."""
        command = self.command(file, to=f"{lab.HOST}:9000", link=takeover.TAP, own=OWN, host=None)
        with machine.namespace:
            return self.finish(command) if wait else self.start(command)

    def begin(self, size=24 * MIB, answer=b"thank you"):
        """A file of which machine a has sent a third; returns the listener, the file, its path and the process."""
        listener = self.listen(answer=answer)
        data = case.random_bytes(size)
        path = self.file(data)
        listener.limit = size // 3
        sender = self.on(self.machines[0], path)
        self.wait_for(lambda: listener.received() >= size // 3, sender)
        return listener, data, path, sender

    def test_another_machine_goes_on_in_mid_file(self):
        listener, data, path, sender = self.begin()
        self.assertTrue(self.kill(sender))
        listener.limit = None
        here, there = self.machines
        self.assertIn("going on with the connection", self.on(there, path, wait=True))
        self.assert_delivered_once(listener, data)
        self.assertEqual(self.output(), b"thank you")
        self.assertIn("delivered already", self.on(here, path, wait=True))
        self.assert_delivered_once(listener, data)

    def test_back_and_forth(self):
        listener, data, path, sender = self.begin(32 * MIB)
        for turn in range(4):
            self.assertTrue(self.kill(sender))
            before = listener.limit = listener.received() + 4 * MIB
            sender = self.on(self.machines[1 - turn % 2], path)
            self.wait_for(lambda before=before: listener.received() >= before, sender)
        listener.limit = None
        self.assertEqual(sender.wait(60), 0, self.output("stderr"))
        self.assert_delivered_once(listener, data)
        self.assertEqual(self.output(), b"thank you")

    def test_one_that_was_stopped_and_wakes_up_has_nothing_more_to_say(self):
        listener, data, path, sender = self.begin()
        sender.send_signal(signal.SIGSTOP)
        self.addCleanup(self.wake, sender)
        listener.limit = None
        os.rename(self.directory.file("stderr"), self.directory.file("first-stderr"))
        self.on(self.machines[1], path, wait=True)
        self.assert_delivered_once(listener, data)
        sender.send_signal(signal.SIGCONT)
        self.assertEqual(sender.wait(30), 1)
        said = self.output("first-stderr").decode()
        self.assertIn("another node has taken", said)
        self.assert_delivered_once(listener, data)
        self.assertIn("delivered already", self.on(self.machines[0], path, wait=True))

    @staticmethod
    def wake(sender):
        if sender.poll() is None:
            sender.send_signal(signal.SIGCONT)

    def test_two_machines_at_once_are_a_mistake(self):
        listener, data, path, sender = self.begin()
        with self.machines[1].namespace:
            second = subprocess.run(self.command(path, to=f"{lab.HOST}:9000", link=takeover.TAP, own=OWN, host=None),
                                    stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"in use by another node ({os.uname().nodename}, process {sender.pid})", second.stderr.decode())
        listener.limit = None
        self.assertEqual(sender.wait(60), 0, self.output("stderr"))
        self.assert_delivered_once(listener, data)


class PoolHandshakeTest(unittest.TestCase):
    """A pool counts in a handshake as the copies that it guarantees, its min_size; a directory as one."""

    @classmethod
    def setUpClass(cls):
        cls.directory = lab.Directory(case.directory_of("pool_handshake_test"))
        cls.addClassCleanup(cls.directory.remove)
        cls.site = takeover.Site()
        cls.addClassCleanup(cls.site.close)
        cls.machines = [cls.site.host(name) for name in "ab"]

    def serve(self, *more):
        place = f"rados:{rados_cluster.POOL}/{self._testMethodName}?conf={self.site.cluster.conf}"
        node = lab.Node(self.directory, data=[place, *more], services=["echo:7000,ways=3..74"], name=self._testMethodName,
                        link=takeover.TAP, host_address=None, extra=["--segment-size", "4MiB", "--stored-on", str(len(more) + 1)])
        with self.machines[0].namespace:
            node.start()
        self.addCleanup(node.stop)
        return node

    def send(self, ways):
        """(status, the last line that it said) of a sender that insists on its copies."""
        command = [lab.BINARY, "send", "--link", f"tap:{takeover.TAP}", "--address", f"{OWN}/24", "--to", f"{lab.NODE}:7000",
                   "--linger", "0s", "--ways", str(ways), "--policy", "strict", os.devnull]
        with self.machines[1].namespace:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr.decode()

    def test_a_pool_alone_certifies_its_min_size(self):
        self.serve()
        status, said = self.send(6)
        self.assertEqual(status, 0, said)
        self.assertIn("the peer 2 copies", said)
        status, said = self.send(8)
        self.assertEqual(status, 1, said)
        self.assertIn("the peer holds 2 copies of the connection's record where step 8 of 8 asks for 3", said)

    def test_a_pool_and_a_directory_are_three_copies(self):
        self.serve(self.directory.make("beside"))
        status, said = self.send(8)
        self.assertEqual(status, 0, said)
        self.assertIn("the peer 3 copies", said)


if __name__ == "__main__":
    pool_case.main()
