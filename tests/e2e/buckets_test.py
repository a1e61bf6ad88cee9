#!/usr/bin/env python3
"""One address over three nodes behind a router with ECMP: nodes join, leave and die under many connections, none of which is lost."""

import os
import time

import case  # puts the scripts on the path
import buckets
import lab

CONNECTIONS = int(os.environ.get("HOLDFAST_BUCKETS_CONNECTIONS", "200"))
UPLOADS = CONNECTIONS // 10


class BucketsTest(case.Case):
    def step(self, what, crowd, begun):
        lab.wait_for(lambda: not crowd.waiting_since(begun), 30, lambda: f"{what}: {crowd.waiting()} wait\n{self.service.logs()}")
        crowd.check()
        longest, at = crowd.longest
        crowd.longest = (0, 0)
        most, moves = self.service.moves_at_once(self.since)
        print(f"{what}: {time.monotonic() - begun:.1f} s, {self.service.share()}, {moves} moves, at most {most} at once; "
              f"longest wait for an answer {longest * 1000:.0f} ms; {crowd.answers} answers", flush=True)
        self.assertLessEqual(most, 2, "each node that takes does so one at a time")
        self.since = time.time_ns()
        return longest, at

    def test_nodes_come_and_go_and_no_connection_is_lost(self):
        with buckets.Service(self.directory) as service:
            self.service = service
            self.since = time.time_ns()
            a, b, c = service.machines
            a.start()
            service.wait_balanced(a)
            b.start()
            service.wait_balanced(a, b)
            service.route_to(a, b)
            crowd = buckets.Crowd(CONNECTIONS - UPLOADS, UPLOADS, pause=max(0.5, CONNECTIONS / 500)).start()
            self.addCleanup(crowd.close)
            begun = time.monotonic()
            lab.wait_for(lambda: crowd.answers > CONNECTIONS, 60, service.logs)
            self.step("two nodes", crowd, begun)

            begun = time.monotonic()
            c.start()
            service.wait_balanced(a, b, c)
            service.route_to(a, b, c)
            self.step("a third joins", crowd, begun)

            begun = time.monotonic()
            service.route_to(b, c)
            buckets.terminate(a)
            service.wait_balanced(b, c)
            self.step("one leaves", crowd, begun)

            begun = time.monotonic()
            a.start()
            service.wait_balanced(a, b, c)
            service.route_to(a, b, c)
            self.step("it comes back", crowd, begun)

            begun = time.monotonic()
            buckets.kill(b)
            service.route_to(a, c)
            service.wait_balanced(a, c)
            self.step("one is killed", crowd, begun)

            begun = time.monotonic()
            b.start()
            service.wait_balanced(a, b, c)
            service.route_to(a, b, c)
            self.step("it comes back", crowd, begun)
            print(f"memory of a node with {len(a.buckets())} buckets: {buckets.resident(a.node.process.pid):.0f} MiB", flush=True)

            crowd.end()
            service.check_uploads(crowd)


if __name__ == "__main__":
    case.main()
