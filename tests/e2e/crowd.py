"""Many initiators of ours at once: each on a TAP device of its own, these on a bridge, a wire from there to the node's device."""

import case
import network
from two_nodes import RESPONDER
from wire import Wire

INITIATORS, BRIDGED = "veth0", "veth1"  # frames of the initiators come from the first


class Crowd(case.Case):
    def setUp(self):
        network.make_tap(RESPONDER)
        self.addCleanup(network.ip, "link", "del", RESPONDER)
        network.ip("link", "add", INITIATORS, "type", "veth", "peer", "name", BRIDGED)
        self.addCleanup(network.ip, "link", "del", INITIATORS)
        for end in (INITIATORS, BRIDGED):
            network.no_ipv6(end)
            network.ip("link", "set", end, "up")
        self.wire = Wire(RESPONDER, INITIATORS).start()
        self.addCleanup(self.wire.stop)
        super().setUp()

    def join(self, links):
        """Makes these devices, on the bridge."""
        for link in links:
            network.make_tap(link)
            self.addCleanup(network.ip, "link", "del", link)
        bridge = network.Bridge(BRIDGED, *links)
        self.addCleanup(bridge.remove)
