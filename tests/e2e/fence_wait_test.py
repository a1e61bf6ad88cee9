#!/usr/bin/env python3
"""A log whose head answers and one of whose segments does not: its placement group is down. Whoever takes it waits for the fence, says for
what, ends when it is told to, gives up in time, and goes on once the OSDs are back."""

import itertools
import re
import socket
import subprocess
import time
import unittest

import case
import lab
import rados_cluster
import takeover

ZONES = (*takeover.ZONES, "10.99.0.4")  # one more than there are copies: not every placement group is on each OSD
MADE = "02"  # of a segment's entry in the head: in use and awake


class FenceWaitTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = lab.Directory(case.directory_of("fence_wait_test"))
        cls.addClassCleanup(cls.directory.remove)
        cls.group = takeover.Group(cls.directory, lease="1s", zones=ZONES)
        cls.group.__enter__()
        cls.addClassCleanup(cls.group.close)

    def awake(self):
        """Names of the objects of the segments that a new owner raises."""
        text = self.group.rados("listomapvals", f"{takeover.GROUP}.head")
        found = re.findall(r"^segment-([0-9a-f]{16})\n.*\n00000000  ([0-9a-f]{2})", text, re.MULTILINE)
        return [f"{takeover.GROUP}.segment-{number}" for number, state in found if state == MADE]

    def osds(self, client, name):
        return set(client.mon("osd map", pool=rados_cluster.POOL, object=name, nspace="takeover")["acting"])

    def strike(self):
        """Two OSDs die, so that the head has two copies left and some segments have one, which is too few. Returns both."""
        with self.group.cluster.connect() as client:
            head = self.osds(client, f"{takeover.GROUP}.head")
            segments = {name: self.osds(client, name) for name in self.awake()}
            for pair in itertools.combinations(range(len(ZONES)), 2):
                silent = [name for name, osds in segments.items() if osds >= set(pair)]
                if silent and not head >= set(pair):
                    break
            else:
                self.fail(f"no two OSDs will do: {head}, {segments}")
            for number in pair:
                self.group.cluster.kill_osd(number)

            def down():
                return {osd["osd"] for osd in client.mon("osd dump")["osds"] if not osd["up"]} == set(pair)
            lab.wait_for(down, 30, lambda: "the monitors miss nobody")
        print(f"osd.{pair[0]} and osd.{pair[1]} are dead, {silent} silent", flush=True)
        return pair, silent

    def wait_for(self, machine, event, count):
        return machine.wait_for(event, count, timeout=60)

    def test_a_segment_that_does_not_answer(self):
        upload, echo = (socket.create_connection((lab.NODE, port), timeout=60) for port in (7000, 7001))
        self.addCleanup(upload.close)
        self.addCleanup(echo.close)
        data = case.random_bytes(20 * case.MIB)
        upload.sendall(data[:-1000])
        self.assertEqual(takeover.answer_to(echo, b"before"), b"before")
        lab.wait_for(lambda: len(self.awake()) >= 3, 30, lambda: f"{self.awake()}")
        former, standby = self.group.owner, self.group.others()[0]
        pair, silent = self.strike()
        former.node.kill_keeper()

        # It is told to end while it waits.
        awaited = self.wait_for(standby, "storage-awaited", 1)
        self.assertTrue(any(name in awaited["reason"] for name in silent), f"{awaited}, {silent}")
        begun = time.monotonic()
        standby.node.process.terminate()
        self.assertEqual(standby.node.process.wait(20), 0)
        took = time.monotonic() - begun
        print(f"ended after {took * 1000:.0f} ms", flush=True)
        self.assertEqual(standby.node.events("node-died")[-1]["how"], "exit status 0", "it did not hear, and was killed")

        # A start for itself alone fails in time.
        with standby.namespace:
            command = [lab.BINARY, "serve", "--no-keeper", "--link", "tap:hf9", "--address", f"{lab.NODE}/24", "--service", takeover.FILL,
                       "--service", takeover.ECHO, "--data", f"{self.group.data}&log={takeover.GROUP}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^holdfast: .*cannot fence off the former owner from segment \d+: no answer from the cluster")

        # One that stands by gives up, says so, and tries again, all in one process.
        awaited = len(standby.node.events("storage-awaited"))
        standby.start("standing-by")
        self.wait_for(standby, "storage-awaited", awaited + 1)
        process = standby.node.node_pid()
        died = len(standby.node.events("node-died"))
        blind = self.wait_for(standby, "blind", len(standby.node.events("blind")) + 1)
        self.assertIn("cannot fence off the former owner from segment", blind["reason"])
        self.assertGreaterEqual(blind["again_ms"], 2000, "nobody else would see its lease end")
        self.wait_for(standby, "storage-awaited", len(standby.node.events("storage-awaited")) + 1)
        self.assertEqual(standby.node.events("ready"), [])

        # Until the OSDs are back.
        for number in pair:
            self.group.cluster.start_osd(number)
        self.wait_for(standby, "ready", 1)
        self.assertEqual((standby.node.node_pid(), len(standby.node.events("node-died"))), (process, died), standby.node.log()[-2000:])
        self.assertEqual(takeover.answer_to(echo, b"after"), b"after")
        upload.sendall(data[-1000:])
        port = upload.getsockname()[1]
        upload.shutdown(socket.SHUT_WR)
        self.assertEqual(upload.recv(1), b"")
        self.check_stored(port, data)

    def check_stored(self, port, data):
        where = ["--data", f"{self.group.data}&log={takeover.GROUP}"]
        row = next(line for line in lab.holdfast("streams", "list", *where).splitlines() if f":{port} " in line + " ")
        found = subprocess.run([lab.BINARY, "streams", "cat", row.split()[0], *where], capture_output=True, check=True).stdout
        self.assertEqual(len(found), len(data))
        self.assertTrue(found == data, "what is stored is not what was sent")


if __name__ == "__main__":
    case.main()
