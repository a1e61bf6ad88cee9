#!/usr/bin/env python3
"""Handshakes of every N ways between two programs of ours, counted (WAYS=6,20 in the environment: these)."""

import case
import ways


class EveryNTest(ways.Handshakes):
    def test_exactly_n_segments(self):
        node = self.serve(data=36)
        self.finish(self.start_send())  # until then it may still write its first segments, and timers run out
        for n in ways.chosen():
            row = self.handshake(n, node)
            self.assertEqual((row["segments"], row["close"]), (n, ["FIN", "ACK", "FIN", "ACK"]), row)


if __name__ == "__main__":
    case.main()
