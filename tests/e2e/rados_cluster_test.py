#!/usr/bin/env python3
"""The cluster that tests of RADOS locations run on: its faults must be the faults that they are called."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import unittest

import case
import lab
import network
import pool_case
import rados_cluster

POOL = rados_cluster.POOL


def daemons_of(directory):
    """Process ids of the ceph daemons that live there."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.path.basename(words[0]).startswith(b"ceph-") and os.fsencode(f"{directory}/ceph.conf") in words:
            found.append(int(pid))
    return found


class FaultsTest(unittest.TestCase):
    """One cluster for all."""

    @classmethod
    def setUpClass(cls):
        pool_case.start_cluster(cls)

    def setUp(self):
        self.client = self.cluster.connect(pool=POOL)
        self.addCleanup(self.client.close)

    def test_each_object_has_a_copy_in_each_zone(self):
        self.client.write_full("copied", b"three times")
        self.assertEqual(self.client.read("copied"), b"three times")
        self.assertEqual(sorted(self.client.mon("osd map", pool=POOL, object="copied")["acting"]), [0, 1, 2])
        addresses = [osd["public_addrs"]["addrvec"][0]["addr"] for osd in self.client.mon("osd dump")["osds"]]
        self.assertEqual([address.split(":")[0] for address in addresses], list(rados_cluster.ZONES))

    def test_two_zones_go_on_and_one_does_not(self):
        self.cluster.kill_osd(2)
        self.cluster.wait(without=[2])
        self.client.write_full("in-two", b"first")
        self.cluster.pause_osd(1)
        with self.cluster.connect(pool=POOL, rados_osd_op_timeout=1) as impatient:
            with self.assertRaises(rados_cluster.Error) as raised:
                impatient.write_full("in-two", b"second")
        self.assertEqual(raised.exception.errno, errno.ETIMEDOUT)
        self.cluster.resume_osd(1)
        self.cluster.start_osd(2)
        self.cluster.wait()
        # Timed out: nobody has promised that it was not done.
        self.assertIn(self.client.read("in-two"), (b"first", b"second"))
        self.client.write_full("in-two", b"third")
        self.assertEqual(self.client.read("in-two"), b"third")

    def test_what_was_acknowledged_survives_the_death_of_everything(self):
        self.client.write_full("acknowledged", b"kept")
        self.cluster.kill_mon()
        for zone in range(3):
            self.cluster.kill_osd(zone)
        self.assertEqual(daemons_of(self.cluster.directory), [])
        self.cluster.start()
        self.assertEqual(self.client.read("acknowledged"), b"kept")

    def test_writes_go_on_without_the_monitor(self):
        self.client.write_full("before", b"")  # it knows the map, and where to
        self.cluster.kill_mon()
        self.client.write_full("meanwhile", b"written")
        self.cluster.start_mon()
        self.assertEqual(self.client.read("meanwhile"), b"written")

    def test_the_command_line_knows_it(self):
        command = [os.path.join(lab.ROOT, "scripts", "rados-cluster"), "--directory", str(self.cluster.directory)]
        done = subprocess.run([*command, "status"], capture_output=True, text=True, check=True)
        self.assertIn("3 of 3 OSDs up; placement groups: 16 active+clean", done.stdout)
        done = subprocess.run([*command, "kill-osd", "3"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "rados-cluster: there is no number 3: 0 to 2\n"))


class KeysTest(unittest.TestCase):
    def test_only_who_has_the_key_is_let_in(self):
        with rados_cluster.Cluster(auth="cephx", store="memstore") as cluster:
            keyring = cluster.add_user("writer", mon="allow r", osd=f"allow rw pool={POOL}")
            with cluster.connect("client.writer", POOL) as writer:
                writer.write_full("mine", b"bytes")
                with self.assertRaises(rados_cluster.Error) as raised:
                    writer.mon("osd pool delete", pool=POOL)
                self.assertEqual(raised.exception.errno, errno.EACCES)
            rados_cluster.configuration.write_keyring(keyring, **{"client.writer": (rados_cluster.configuration.new_key(), {})})
            with self.assertRaises(rados_cluster.Error) as raised:
                cluster.connect("client.writer", POOL)
            self.assertEqual(raised.exception.errno, errno.EACCES)


class OwnerTest(unittest.TestCase):
    """Of the daemons: the process that started them."""

    OWNER = """if True:
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import rados_cluster
        cluster = rados_cluster.Cluster(store="memstore")
        cluster.start()
        print(cluster.directory, flush=True)
        time.sleep(1000)
    """

    def test_they_die_with_it_and_the_next_one_removes_what_it_left(self):
        owner = subprocess.Popen([sys.executable, "-c", self.OWNER, os.path.join(lab.ROOT, "scripts")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(case.Case.end_process, owner)
        directory = owner.stdout.readline().strip()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.assertEqual(len(daemons_of(directory)), 4)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        lab.wait_for(lambda: not [pid for pid in daemons_of(directory) if lab.alive(pid)], 5, lambda: "they live on")
        self.assertTrue(os.path.exists(directory))
        rados_cluster.Cluster().destroy()
        self.assertFalse(os.path.exists(directory))


class NetworksTest(unittest.TestCase):
    """Each zone in a network namespace of its own, all of them joined by a bridge to the monitor's and ours."""

    ZONES = ("10.78.1.1", "10.78.2.1", "10.78.3.1")
    OURS = "10.78.0.1"

    def setUp(self):
        network.ip("link", "add", "zones", "type", "bridge")
        network.ip("address", "add", f"{self.OURS}/16", "dev", "zones")
        network.ip("link", "set", "zones", "up")
        self.addCleanup(network.ip, "link", "delete", "zones")
        self.namespaces = []
        for number, address in enumerate(self.ZONES):
            namespace = network.Namespace()
            self.addCleanup(namespace.close)
            self.namespaces.append(namespace)
            network.ip("link", "add", f"zone{number}", "type", "veth", "peer", "name", "eth0")
            namespace.take("eth0")
            network.ip("link", "set", f"zone{number}", "master", "zones", "up")
            with namespace:
                network.ip("address", "add", f"{address}/16", "dev", "eth0")
                network.ip("link", "set", "eth0", "up")

    def test_a_zone_that_is_cut_off_is_down_and_comes_back(self):
        networks = {f"osd.{number}": namespace.path for number, namespace in enumerate(self.namespaces)}
        with rados_cluster.Cluster(zones=self.ZONES, mons=[self.OURS], networks=networks, store="memstore") as cluster:
            with cluster.connect(pool=POOL) as client:
                client.write_full("name", b"whole")
                network.ip("link", "set", "zone1", "down")
                client.write_full("name", b"in two zones")  # as soon as the third is known to be away
                self.assertEqual([osd["up"] for osd in client.mon("osd dump")["osds"]], [1, 0, 1])
                self.assertIsNotNone(cluster.osds[1].pid())
                network.ip("link", "set", "zone1", "up")
                cluster.wait()
                self.assertEqual(client.read("name"), b"in two zones")


if __name__ == "__main__":
    if not shutil.which("ceph-osd"):
        print("ceph-osd is not installed: scripts/install-deps", file=sys.stderr)
        sys.exit(lab.SKIPPED)
    case.main()
