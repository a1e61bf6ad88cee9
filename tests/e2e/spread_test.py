#!/usr/bin/env python3
"""Two service groups spread over two machines: each machine serves one and stands by for the other; when one is gone, the other serves both."""

import contextlib
import socket

import case
import lab
import network
import rados_cluster
import takeover

ADDRESSES = (lab.NODE, "10.77.0.3")


class Host(takeover.Machine):
    """A machine with a node of each group."""

    def __init__(self, name, number, directory, data):
        super().__init__(name, number, directory, data, "1s")
        with self.namespace:
            network.make_tap("hf1")
            network.ip("link", "set", "hf1", "master", "br1")
        second = lab.Node(directory, data=[data], services=[takeover.FILL, takeover.ECHO], name=f"{name}-second", link="hf1",
                          host_address=None, address=ADDRESSES[1],
                          extra=["--segment-size", "8MiB", "--service-group", "second", "--lease", "1s"])
        self.nodes = [self.node, second]

    def start_group(self, number, wait):
        seen = len(self.nodes[number].events(wait))
        with self.namespace:
            self.nodes[number].start(wait=False)
        self.wait_for_group(number, wait, seen + 1)

    def wait_for_group(self, number, event, count=1):
        node = self.nodes[number]
        lab.wait_for(lambda: len(node.events(event)) >= count, 30, lambda: f"no {event}: {node.log()[-3000:]}")

    def kill(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill_keeper()


class SpreadTest(case.Case):
    def setUp(self):
        super().setUp()
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        for bridge, addresses in (("st0", (*takeover.ZONES, takeover.MON)), ("br0", (lab.HOST,))):
            network.make_bridge(bridge)
            stack.callback(network.ip, "link", "del", bridge)
            for address in addresses:
                network.ip("address", "add", f"{address}/24", "dev", bridge)
        cluster = rados_cluster.Cluster(zones=takeover.ZONES, mons=(takeover.MON,))
        stack.callback(cluster.destroy)
        cluster.start()
        data = f"rados:{rados_cluster.POOL}/spread?conf={cluster.conf}"
        self.hosts = [Host("ab"[n], n, self.directory, data) for n in range(2)]
        for host in self.hosts:
            stack.callback(host.leave)
            stack.callback(host.kill)

    def test_each_machine_serves_one_and_takes_over_the_other(self):
        a, b = self.hosts
        for group, first, second in ((0, a, b), (1, b, a)):
            first.start_group(group, "ready")
            second.start_group(group, "standing-by")
        connections = []
        for address in ADDRESSES:
            connection = socket.create_connection((address, 7001), timeout=30)
            self.addCleanup(connection.close)
            connections.append(connection)
            self.assertEqual(takeover.answer_to(connection, b"before"), b"before")
        a.kill()
        self.assertEqual(takeover.answer_to(connections[1], b"undisturbed"), b"undisturbed")
        self.assertEqual(len(b.nodes[1].events("standing-by")), 0)
        self.assertEqual(takeover.answer_to(connections[0], b"taken over"), b"taken over")
        b.wait_for_group(0, "ready")
        # It comes back, stands by for both, and is given its own again.
        for group in range(2):
            a.start_group(group, "standing-by")
        lab.holdfast("handover", "--data", a.nodes[0].data[0], "--service-group", takeover.GROUP)
        a.wait_for_group(0, "ready", 2)
        for number, connection in enumerate(connections):
            self.assertEqual(takeover.answer_to(connection, b"after %d" % number), b"after %d" % number)


if __name__ == "__main__":
    case.main()
