#!/usr/bin/env python3
"""The last segment of a close, `holdfast send`'s ACK of the node's FIN: nobody acknowledges that one. Where it is lost, or the node
dies before it has stored that it came, the FIN comes again, and `send` is there for a while to acknowledge it (--linger)."""

import signal

import case
import lab
from two_nodes import INITIATOR, RESPONDER, TwoNodes, stored_bytes, streams_of
from ways import HELLO
from wire import DROP, PASS

LONG = 60  # s: what --linger may be at most


class LastAckTest(TwoNodes):
    def setUp(self):
        super().setUp()
        self.mine = [self.directory.make("initiator")]
        self.fin = None
        self.lost = []

    def lose_last_ack(self, then=lambda: None, times=1):
        """The wire drops it, so many times; after the first `then` is called."""
        def note_fin(frame):
            if frame.kind == "FIN":
                self.fin = frame
            return PASS

        def hook(frame):
            if self.fin is None or frame.kind != "ACK" or frame.ack != self.fin.end_seq or len(self.lost) >= times:
                return PASS
            self.lost.append(frame)
            if len(self.lost) == 1:
                then()
            return DROP
        self.wire.hook(RESPONDER, note_fin)
        self.wire.hook(INITIATOR, hook)

    def start(self, linger, data=True):
        return self.start_send(data=self.mine if data else (), source=self.file(HELLO), linger=linger)

    def stream(self, directories):
        """The only one; empty before there is one."""
        found = streams_of(directories)
        self.assertLessEqual(len(found), 1)
        return found[0] if found else {}

    def check_closed(self, directories, *directions):
        def closed():
            return self.stream(directories).get("closed_because")
        why = lab.wait_for(closed, 20, lambda: f"not closed: {self.stream(directories)}", every=0.05)
        stream = self.stream(directories)
        self.assertEqual((why, stream["in_finished"], stream["out_finished"]), ("both ends finished", True, True))
        for direction in directions:
            self.assertEqual(stored_bytes(directories, stream["id"], direction), HELLO)

    def answered(self, node, process):
        """The node has been told after all. Whoever lingers may be interrupted: everything was acknowledged long ago."""
        self.check_closed(node.data, "in", "out")
        process.send_signal(signal.SIGINT)
        out, error = self.finish(process, timeout=LONG / 2)
        self.assertEqual((out, error), (HELLO, ""))

    def test_the_last_ack_is_lost(self):
        node = self.serve()
        self.lose_last_ack()
        self.answered(node, self.start(f"{LONG}s"))
        self.assertEqual(len(self.lost), 1)
        self.check_closed(self.mine, "in", "out")

    def test_the_last_ack_is_lost_twice_and_send_has_no_log(self):
        node = self.serve()
        self.lose_last_ack(times=2)
        self.answered(node, self.start(f"{LONG}s", data=False))
        self.assertEqual(len(self.lost), 2)

    def test_the_node_dies_before_it_has_stored_that_the_last_ack_came(self):
        node = self.serve()
        self.lose_last_ack(then=node.kill_node)
        self.answered(node, self.start(f"{LONG}s"))
        self.assertEqual((len(self.lost), len(node.events("node-died"))), (1, 1))
        self.check_closed(self.mine, "in", "out")

    def test_who_does_not_linger_leaves_the_node_in_last_ack(self):
        node = self.serve()
        self.lose_last_ack()
        out, _ = self.finish(self.start("0s"))
        self.assertEqual((out, len(self.lost)), (HELLO, 1))
        self.check_closed(self.mine, "in", "out")
        # It says the end again, with the FIN, to nobody; what is shown is the truth, and all is there.
        before = len(self.wire.tcp())
        self.wire.wait(lambda: [frame for frame in self.wire.tcp()[before:] if frame.came_from == RESPONDER])
        stream = self.stream(node.data)
        self.assertEqual((stream["state"], stream["closed_because"], stream["in_finished"], stream["out_finished"]),
                         ("LAST-ACK", None, True, True))
        self.assertEqual(stored_bytes(node.data, stream["id"], "in"), HELLO)

    def test_killed_while_it_lingers(self):
        node = self.serve()
        process = self.start(f"{LONG}s")
        self.check_closed(node.data, "in", "out")
        lab.wait_for(lambda: self.stream(self.mine).get("state") == "TIME-WAIT", 20, lambda: str(streams_of(self.mine)), every=0.05)
        process.kill()
        process.wait()
        before = len(self.wire.tcp())
        out, _ = self.finish(self.start("0s"))
        self.assertEqual(out, HELLO)
        self.check_closed(self.mine, "in", "out")
        self.assertEqual([frame for frame in self.wire.tcp()[before:] if frame.payload_length or frame.kind in ("SYN", "FIN")], [])


if __name__ == "__main__":
    case.main()
