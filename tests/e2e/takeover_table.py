#!/usr/bin/env python3
"""Measures takeovers on a real Ceph cluster, and writes the table into docs/takeover.md.

    tests/e2e/takeover_table.py [--runs 20] [--write] [--kinds kill,hand_over]

About four seconds a run: half an hour for twenty of each kind with cubic and BBR, without and with --nudge. Each run is checked: the
stream whole, its SHA-256 that of what was sent, one connection, every answer once. A run that is not is an error, and the
table is not written."""

import argparse
import itertools
import os
import shutil
import statistics
import sys

import case
import lab
import takeover

PAGE = os.path.join(lab.ROOT, "docs", "takeover.md")
BEGIN, END = "<!-- measured by tests/e2e/takeover_table.py -->", "<!-- end -->"
NAMES = {
    "hand_over": "planned: `holdfast handover`",
    "kill": "SIGKILL of the owner and its keeper",
    "freeze": "SIGSTOP of the owner, which wakes up later",
    "cut_network": "the owner's network cut",
    "cut_storage": "the owner's way to storage cut",
    "lose_zone": "the owner and the OSD of its zone killed",
}


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def row(kind, congestion, results):
    cells = [NAMES[kind], congestion, str(len(results))]
    for key in ("ready_ms", "stall_ms"):
        values = [result[key] for result in results]
        cells += [f"{statistics.median(values):.0f}", f"{percentile(values, 0.99):.0f}"]
    return "| " + " | ".join(cells) + " |"


def table(rows):
    head = ["| what happens | client | runs | ready p50 | ready p99 | stall p50 | stall p99 |", "| --- | --- | --- | --- | --- | --- | --- |"]
    return "\n".join([BEGIN, "", *head, *rows, "", END])


def write(text, begin=BEGIN):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    before, rest = page.split(begin)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(before + text + rest.split(END, 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(NAMES))
    parser.add_argument("--congestion", default="cubic,bbr")
    parser.add_argument("--nudge", choices=("off", "on", "both"), default="both", help="nodes with --nudge")
    parser.add_argument("--write", action="store_true", help="into docs/takeover.md")
    options = parser.parse_args()
    lab.enter()
    directory = lab.Directory(case.directory_of("takeover_table"))
    rows = []
    nudges = {"off": [False], "on": [True], "both": [False, True]}[options.nudge]
    for nudge, congestion, kind in itertools.product(nudges, options.congestion.split(","), options.kinds.split(",")):
        if nudge and kind == "hand_over" and options.nudge == "both":
            continue  # too short for a time-out
        results = measure(kind, congestion, options.runs, directory, nudge)
        rows.append(row(kind, congestion + (", nudged" if nudge else ""), results))
        progress("")
        print(rows[-1], flush=True)
    shutil.rmtree(directory.path, ignore_errors=True)
    if options.write:
        write(table(rows))


def measure(kind, congestion, runs, directory, nudge=False):
    """On a cluster and a log of their own, so that the rows have the same beginning."""
    results = []
    with takeover.Group(directory, extra=["--nudge"] if nudge else []) as group:
        for number in range(runs):
            progress(f"{congestion} {kind}{' nudged' if nudge else ''} {number + 1}/{runs}")
            try:
                results.append(group.run(kind, congestion))
            except BaseException:
                print(group.logs(), file=sys.stderr)
                raise
    return results


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
