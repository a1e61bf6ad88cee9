#!/usr/bin/env python3
"""One address over three nodes behind a router with ECMP: nodes join, leave and die under many connections, none of which is lost."""

import json
import os
import signal
import subprocess
import time

import case  # puts the scripts on the path
import buckets
import lab

CONNECTIONS = int(os.environ.get("HOLDFAST_BUCKETS_CONNECTIONS", "200"))
UPLOADS = CONNECTIONS // 10


class BucketsTest(case.Case):
    def step(self, what, crowd, begun):
        asked = time.monotonic()
        lab.wait_for(lambda: not crowd.waiting_since(asked), 30, lambda: f"{what}: {crowd.waiting()} wait\n{self.service.logs()}")
        crowd.check()
        longest, at = crowd.longest
        crowd.longest = (0, 0)
        most, moves = self.service.moves_at_once(self.since)
        print(f"{what}: {time.monotonic() - begun:.1f} s, {self.service.share()}, {moves} moves, at most {most} at once; "
              f"longest wait for an answer {longest * 1000:.0f} ms; {crowd.answers} answers", flush=True)
        self.assertLessEqual(most, 2, "each node that takes does so one at a time")
        self.since = time.time_ns()
        return longest, at

    def joins(self, what, crowd, machine):
        """The last of them: now all machines have a node."""
        begun = time.monotonic()
        machine.start()
        self.service.wait_balanced(*self.service.machines)
        self.service.route_to(*self.service.machines)
        self.step(what, crowd, begun)

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

            self.joins("a third joins", crowd, c)

            begun = time.monotonic()
            service.route_to(b, c)
            buckets.terminate(a)
            service.wait_balanced(b, c)
            self.step("one leaves", crowd, begun)

            self.joins("it comes back", crowd, a)

            begun = time.monotonic()
            buckets.kill(b)
            service.route_to(a, c)
            service.wait_balanced(a, c)
            self.step("one is killed", crowd, begun)

            self.joins("it comes back", crowd, b)
            print(f"memory of a node with {len(a.buckets())} buckets: {buckets.resident(a.node.process.pid):.0f} MiB", flush=True)

            crowd.end()
            service.check_uploads(crowd)

    def test_without_a_router_one_node_speaks_for_the_address(self):
        with buckets.Service(self.directory, machines=2, buckets=4, lease="1s", router=False) as service:
            self.service = service
            self.since = time.time_ns()
            a, b = service.machines
            a.start()
            service.wait_balanced(a)
            b.start()
            service.wait_balanced(a, b)
            self.check_refusals(service, b)
            crowd = buckets.Crowd(90, 10, pause=0.3).start()
            self.addCleanup(crowd.close)
            lab.wait_for(lambda: crowd.answers > 300, 60, service.logs)

            seen = json.loads(service.look("--json"))
            self.assertEqual((seen["buckets"], seen["nobodys"]), (4, []))
            self.assertEqual([len(node["buckets"]) for node in seen["nodes"] if node["lives"]], [2, 2])
            self.assertIn("4 buckets, 2 nodes", service.look())

            first = next(machine for machine in (a, b) if 0 in machine.buckets())
            other = b if first is a else a
            begun = time.monotonic()
            ready = len(other.node.events("ready"))
            os.kill(other.worker(min(other.buckets())), signal.SIGKILL)
            other.wait_for("ready", ready + 1)
            self.step("a worker is killed", crowd, begun)

            begun = time.monotonic()
            joined = len(other.node.events("joined"))
            self.assertIsNotNone(other.node.kill_node())
            other.wait_for("joined", joined + 1)
            service.wait_balanced(a, b)
            self.step("the process that directs is killed", crowd, begun)

            begun = time.monotonic()
            buckets.terminate(first)
            service.wait_balanced(other)
            self.step("the one that speaks for the address leaves", crowd, begun)
            directed = first.node.events("directed")[-1]
            self.assertGreater(directed["passed_on"], 0, "the other's frames came through it")
            crowd.end()
            service.check_uploads(crowd)

    def check_refusals(self, service, machine):
        arguments = [*machine.node.arguments, "--no-keeper"]
        arguments[arguments.index("--buckets") + 1] = "5"
        arguments[arguments.index("--link") + 1] = "tap:hf9"
        arguments[arguments.index("--events") + 1] = self.directory.file("refused.jsonl")
        with machine.namespace:
            refused = subprocess.run([lab.BINARY, *arguments], capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--buckets 5: the service store has 4", refused.stderr)
        none = subprocess.run([lab.BINARY, "buckets", "--data", service.data, "--service-group", "other"], capture_output=True, text=True,
                              check=False, timeout=30)
        self.assertEqual(none.returncode, 1)
        self.assertIn("no service other with buckets", none.stderr)


if __name__ == "__main__":
    case.main()
