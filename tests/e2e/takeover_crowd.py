#!/usr/bin/env python3
"""Many connections at once through a takeover, on a real Ceph cluster.

    tests/e2e/takeover_crowd.py [--connections 1000,10000] [--runs 5] [--nudge] [--kinds kill,hand_over] [--write]

Each connection asks right after the owner was struck, so that every question is lost or has nobody to answer it, and what
is measured is when its answer comes. Every answer must be that of its question, once. --write puts the table into
docs/takeover.md."""

import argparse
import resource
import select
import socket
import statistics
import time

import case
import lab
import takeover
import takeover_table

BEGIN = "<!-- measured by tests/e2e/takeover_crowd.py -->"
QUESTION = 16  # bytes


class Crowd:
    """Connections of the kernel's TCP to the echo service, all in one process."""

    def __init__(self, count, congestion="cubic"):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + 200
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        self.congestion = congestion
        self.poll = select.epoll()
        self.connections = {}
        self.asked = 0
        for number in range(count):
            self.open(number)
        self.ask_all(time.monotonic(), 60)

    def open(self, number):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.congestion.encode())
        connection.settimeout(30)
        connection.connect((lab.NODE, 7001))
        connection.setblocking(False)
        self.connections[connection.fileno()] = (number, connection)
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def ask_all(self, since, timeout):
        """A question on each, then all answers. Returns seconds from `since` to each connection's answer, ascending."""
        self.asked += 1
        waiting = {}
        for descriptor, (number, connection) in self.connections.items():
            question = b"%08d%08d" % (number, self.asked)
            if connection.send(question) != QUESTION:
                raise AssertionError("a question did not fit into an empty send buffer")
            waiting[descriptor] = question
        took = []
        while waiting:
            events = self.poll.poll(max(0, since + timeout - time.monotonic()))
            if not events and time.monotonic() > since + timeout:
                raise TimeoutError(f"{len(waiting)} of {len(self.connections)} connections have no answer after {timeout} s")
            now = time.monotonic()
            for descriptor, _ in events:
                self.take(descriptor, waiting)
                if not waiting.get(descriptor, b"?"):
                    del waiting[descriptor]
                    took.append(now - since)
        self.none_more()
        return took

    def take(self, descriptor, waiting):
        answer = self.connections[descriptor][1].recv(2 * QUESTION)
        rest = waiting.get(descriptor, b"")
        if not answer or not rest.startswith(answer):
            raise AssertionError(f"waited for {rest}, answered {answer}")
        waiting[descriptor] = rest[len(answer):]

    def none_more(self):
        """No second answer."""
        for descriptor, _ in self.poll.poll(0):
            raise AssertionError(f"a second answer: {self.connections[descriptor][1].recv(QUESTION)}")

    def close(self):
        for _, connection in self.connections.values():
            connection.close()
        self.poll.close()


def strike(group, crowd, kind, timeout=60):
    """One failure. Milliseconds: until the new owner spoke, and until each connection had its answer."""
    successors = group.others()
    ready = {machine: len(machine.node.events("ready")) for machine in successors}
    begun, begun_ns = time.monotonic(), time.time_ns()
    mend = getattr(group, kind)()
    took = crowd.ask_all(begun, timeout)
    successor, = (machine for machine in successors if len(machine.node.events("ready")) > ready[machine])
    event = successor.node.events("ready")[-1]
    if event["connections"] < len(crowd.connections):
        raise AssertionError(f"{event['connections']} of {len(crowd.connections)} connections were recovered")
    group.owner = successor
    mend()
    crowd.ask_all(time.monotonic(), timeout)
    return {"ready_ms": (event["unix_ns"] - begun_ns) / 1e6, "recovery_ms": event["ms"], "took_ms": [1000 * seconds for seconds in took]}


def measure(count, kind, runs, nudge, directory):
    results = []
    with takeover.Group(directory, extra=["--nudge"] if nudge else []) as group:
        crowd = Crowd(count)
        for number in range(runs):
            takeover_table.progress(f"{count} {kind} {number + 1}/{runs}")
            results.append(strike(group, crowd, kind))
        crowd.close()
    return results


def row(count, kind, nudge, results):
    ready = statistics.median(result["ready_ms"] for result in results)
    cells = [str(count), takeover_table.NAMES[kind], "yes" if nudge else "no", str(len(results)), f"{ready:.0f}"]
    for part in (0.5, 0.99, 1):
        cells.append(f"{statistics.median(takeover_table.percentile(result['took_ms'], part) for result in results):.0f}")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", default="1000,10000")
    parser.add_argument("--kinds", default="hand_over,kill")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nudge", action="store_true")
    parser.add_argument("--write", action="store_true", help="into docs/takeover.md")
    options = parser.parse_args()
    lab.enter()
    directory = lab.Directory(case.directory_of("takeover_crowd"))
    rows = []
    for count in map(int, options.connections.split(",")):
        for kind in options.kinds.split(","):
            rows.append(row(count, kind, options.nudge, measure(count, kind, options.runs, options.nudge, directory)))
            takeover_table.progress("")
            print(rows[-1], flush=True)
    directory.remove()
    if options.write:
        head = ["| connections | what happens | nudged | runs | ready | half have an answer | 99 % | all |", "| ---: " * 8 + "|"]
        takeover_table.write("\n".join([BEGIN, "", *head, *rows, "", takeover_table.END]), BEGIN)


if __name__ == "__main__":
    main()
