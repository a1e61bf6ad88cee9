#!/usr/bin/env python3
"""The N-way handshake between two nodes, over real TAP devices: docs/handshake.md."""

import os
import shutil

import case
import frame as frames
from two_nodes import INITIATOR, RESPONDER, TwoNodes, copies_asked, copies_on_disk, streams_of, stored_bytes

HELLO = b"one file, both ways\n" * 200


class EveryNTest(TwoNodes):
    """Each on a bridge of its own, in a namespace of its own."""

    bridged = True

    def one(self, n, node):
        """A handshake of n ways, data both ways, the close. Returns a row of the table."""
        mine = [self.directory.make(f"initiator-{i}") for i in range(max(1, copies_asked(n if n % 2 else n - 1)))]
        begin = len(self.recorder.tcp())
        out, _ = self.finish(self.start_send("--ways", n, data=mine, source=self.file(HELLO)))
        self.assertEqual(out, HELLO)
        seen = self.recorder.tcp()[begin:]
        # Up to the first byte of data all is handshake.
        first_data = next(i for i, frame in enumerate(seen) if frame.payload_length)
        handshake, rest = seen[:first_data], seen[first_data:]
        self.assertEqual(len(handshake), n, "\n".join(map(str, seen)))
        last_nonce = 0
        for k, frame in enumerate(handshake, 1):
            self.assertEqual(frame.kind, {1: "SYN", 2: "SYN-ACK"}.get(k, "ACK"))
            if n == 3:
                self.assertIsNone(frame.ways)
                continue
            self.assertEqual((frame.ways.ways, frame.ways.step, frame.ways.flags, frame.ways.echo), (n, k, 0, last_nonce))
            self.assertGreaterEqual(frame.ways.copies, copies_asked(k))
            last_nonce = frame.ways.nonce
        fins = [frame for frame in rest if frame.flags & frames.FIN]
        self.assertEqual(len(fins), 2)
        fin_acks = [frame for frame in rest if any(frame.came_from != fin.came_from or frame.source_port != fin.source_port
                                                   for fin in fins) and frame.flags & frames.ACK and
                    any(frame.ack == fin.end_seq and frame.source_port != fin.source_port for fin in fins)]
        self.assertGreaterEqual(len(fin_acks), 2)
        port = handshake[0].source_port
        theirs = next(s for s in node.streams() if s["peer"].endswith(f":{port}"))
        ours = streams_of(mine)[-1]
        for directories, stream in ((node.data, theirs["id"]), (mine, ours["id"])):
            for direction in ("in", "out"):
                self.assertEqual(stored_bytes(directories, stream, direction), HELLO)
        for path in mine:
            shutil.rmtree(path)
        return {"n": n, "segments": len(handshake),
                "responder": max(f.ways.copies for f in handshake if not f.ways.step % 2) if n > 3 else 0,
                "initiator": max([f.ways.copies for f in handshake[2:] if f.ways.step % 2]) if n > 3 else 0}

    @staticmethod
    def numbers():
        return [int(n) for n in os.environ["WAYS"].split(",")] if "WAYS" in os.environ else range(3, 75)

    def test_exactly_n_segments(self):
        node = self.serve(data=36)
        for n in self.numbers():
            with self.subTest(n=n):
                print(self.one(n, node), flush=True)


if __name__ == "__main__":
    case.main()
