#!/usr/bin/env python3
"""Every N from 3 to 74 on real devices, and the table of it in docs/handshake.md, which is never written by hand.

    tests/e2e/ways_table.py                    goes on where it was interrupted; --fresh: from the beginning
    tests/e2e/ways_table.py --ways 8,20        these only: the table is written once there is a result for each N

A result is kept in a file for each N, with the checksum of the program that it was got with: those of another program count for nothing.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import unittest

from case import lab
import ways
from steps import EVERY_N, last_steps
from two_nodes import INITIATOR, RESPONDER, copies_asked

PAGE = os.path.join(lab.ROOT, "docs", "handshake.md")
BEGIN, END = "<!-- ways-table: begin -->", "<!-- ways-table: end -->"
HEAD = ["N", "segments", "repeated", "established", "stored on", "closed by", "copies: responder", "copies: initiator",
        "node killed", "initiator killed"]


# ---- One N, in namespaces ----

ROW = {}


class HandshakeRow(ways.Handshakes):
    def test_handshake(self):
        n = ROW["n"]
        node = self.serve(data=max(1, copies_asked(last_steps(n)[0])))
        self.finish(self.start_send())  # until then it may still write its first segments, and timers run out
        ROW.update(self.handshake(n, node))


class KillRow(ways.Kills):
    def kill(self, who, side, lost):
        ROW.setdefault("kills", {}).setdefault(who, []).append(self.kill_after_every_step(ROW["n"], side, lost))

    def test_node_dies_and_the_step_arrives(self):
        self.kill("node", RESPONDER, lost=False)

    def test_node_dies_and_the_step_is_lost(self):
        self.kill("node", RESPONDER, lost=True)

    def test_sender_dies_and_the_step_arrives(self):
        self.kill("initiator", INITIATOR, lost=False)

    def test_sender_dies_and_the_step_is_lost(self):
        self.kill("initiator", INITIATOR, lost=True)


def one(n, path, binary):
    lab.enter()
    ROW.update(n=n, binary=binary)
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(each) for each in (HandshakeRow, KillRow))
    held = unittest.TextTestRunner(verbosity=0).run(suite)
    if not held.wasSuccessful() or held.skipped:
        sys.exit(1)
    with open(path + ".part", "w", encoding="ascii") as file:
        json.dump(ROW, file, indent=1)
    os.replace(path + ".part", path)


# ---- All ----

class Table:
    def __init__(self, options):
        self.options = options
        with open(lab.BINARY, "rb") as file:
            self.binary = hashlib.sha256(file.read()).hexdigest()
        os.makedirs(options.results, exist_ok=True)

    def path(self, n):
        return os.path.join(self.options.results, f"{n}.json")

    def result(self, n):
        try:
            with open(self.path(n), encoding="ascii") as file:
                row = json.load(file)
        except FileNotFoundError:
            return None
        return row if row["binary"] == self.binary else None

    def run(self, n):
        """Returns (n, what went wrong or None, seconds)."""
        begun = time.monotonic()
        words = [sys.executable, os.path.abspath(__file__), "--one", str(n), "--results", self.options.results, "--binary", self.binary]
        done = subprocess.run(words, env={**os.environ, "HOLDFAST_LAB_ID": f"ways-{n}"}, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, preexec_fn=lab.die_with_parent)
        return n, done.stdout if done.returncode else None, time.monotonic() - begun

    def run_all(self):
        """The longest first; returns how many failed."""
        todo = [n for n in sorted(self.options.ways, reverse=True) if self.options.fresh or self.result(n) is None]
        steps, steps_done, failed, begun = sum(todo), 0, 0, time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for done in concurrent.futures.as_completed([pool.submit(self.run, n) for n in todo]):
                n, error, seconds = done.result()
                steps_done += n
                so_far = time.monotonic() - begun
                print(f"{n} ways: {'FAILED' if error else 'held'} in {seconds:.0f} s; {100 * steps_done // steps}% after {so_far:.0f} s, "
                      f"about {so_far * (steps - steps_done) / steps_done:.0f} s to go", flush=True)
                if error:
                    failed += 1
                    print(error, flush=True)
        return failed

    def write(self):
        rows = [self.result(n) for n in EVERY_N]
        missing = [n for n, row in zip(EVERY_N, rows) if row is None]
        if missing:
            print(f"{PAGE} stays as it is: no result for {', '.join(map(str, missing))} ways")
            return False
        with open(PAGE, encoding="utf-8") as file:
            before, rest = file.read().split(BEGIN)
        after = rest.split(END)[1]
        lines = [" | ".join(["", *cells, ""]).strip() for cells in (HEAD, ["---:"] * 3 + ["---"] * 3 + ["---:"] * 4, *map(cells_of, rows))]
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write("\n".join([before + BEGIN, "", *lines, "", summary(rows), "", END + after]))
        print(f"{PAGE}: written")
        return True


def cells_of(row):
    n = row["n"]
    copies = row.get("copies")
    certified = [f"{copies[side]} of {copies_asked(step)}" if copies_asked(step) else "none asked"
                 for side, step in zip(("responder", "initiator"), last_steps(n))]
    both = {True: "both sides", False: "NOT BOTH"}
    return [str(cell) for cell in (n, row["segments"], row["repeated"], both[row["established"]], both[all(row["stored"].values())],
                                   ", ".join(row["close"]), *certified,
                                   *(" + ".join(map(str, row["kills"][who])) for who in ("node", "initiator")))]


def summary(rows):
    total = {who: sum(sum(row["kills"][who]) for row in rows) for who in ("node", "initiator")}
    version = lab.holdfast("--version").strip()
    return (f"{sum(row['segments'] for row in rows)} steps, {sum(row['repeated'] for row in rows)} repeated; "
            f"{total['node']} deaths of the node and {total['initiator']} of the initiator, each survived. "
            f"{version}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", type=lambda text: [int(n) for n in text.split(",")], default=list(EVERY_N))
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), help="of these, most wait for timers")
    parser.add_argument("--results", default=os.path.join(lab.ROOT, "build", "ways-table"))
    parser.add_argument("--fresh", action="store_true", help="what was found before is not used")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--binary", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(options.one, os.path.join(options.results, f"{options.one}.json"), options.binary)
    table = Table(options)
    failed = table.run_all()
    written = table.write()
    print(f"{failed} failed" if failed else "every N held")
    sys.exit(1 if failed or (not written and options.ways == list(EVERY_N)) else 0)


if __name__ == "__main__":
    main()
