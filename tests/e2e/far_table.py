#!/usr/bin/env python3
"""Measures uploads to a node whose pool is 50 ms away, and writes the table into docs/far-store.md.

    tests/e2e/far_table.py [--runs 3] [--mib 384] [--write]

In turn: the kernel's own TCP to a sink as far away (nobody stores anything), a node whose pool is near, the same with the pool far
away, and that with no more than four writes under way. Every stream is compared with what was sent. cubic is added to
net.ipv4.tcp_allowed_congestion_control while it runs, where it is not there."""

import argparse
import atexit
import hashlib
import os
import shutil
import statistics
import subprocess
import sys

import case
import far
import lab
import rados_cluster
import takeover_table

PAGE = os.path.join(lab.ROOT, "docs", "far-store.md")
BEGIN, END = "<!-- measured by tests/e2e/far_table.py -->", "<!-- end -->"
ONE_WAY = 0.025
ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"


def allow(*names):
    """In the first namespace: what is not allowed there cannot be a namespace's own."""
    with open(ALLOWED, encoding="ascii") as file:
        before = file.read()
    missing = [name for name in names if name not in before.split()]
    if missing:
        far.write(ALLOWED, " ".join([*before.split(), *missing]))
        atexit.register(far.write, ALLOWED, before)


class Bench:
    """One congestion control, for the clients and on the way to the store."""

    def __init__(self, congestion, directory, options):
        self.congestion, self.directory, self.options = congestion, directory, options
        self.number = 0

    def __enter__(self):
        self.site = far.FarSite(self.congestion)
        try:
            self.site.start_cluster()
            with self.site.namespace:  # an OSD's connection is idle while another has the segment (docs/far-store.md)
                far.write("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0")
        except BaseException:
            self.site.close()
            raise
        return self

    def __exit__(self, *_):
        self.site.close()

    def sink(self, connections, one_way):
        sink = far.Sink()
        try:
            with self.site.wire(one_way):
                return self.upload(far.ZONES[0], far.SINK_PORT, connections)
        finally:
            sink.close()

    def node(self, connections, one_way, *extra):
        self.number += 1
        data = f"rados:{rados_cluster.POOL}/far{self.number}?conf={self.site.cluster.conf}"
        node = lab.Node(self.directory, data=[data], name=f"{self.congestion}-{self.number}", extra=extra)
        with self.site.wire(one_way):
            with self.site.namespace:
                node.start()
            process = node.node_pid()
            before = far.cpu_of(process)
            found = self.upload(lab.NODE, 7000, connections)
            found["cpu"] = (far.cpu_of(process) - before) / found["bytes"] * 1e9
            if node.stop() != 0:
                raise RuntimeError(node.log())
        self.check(node, found)
        found.update(written(node.events("writes")))
        return found

    def upload(self, address, port, connections):
        upload = far.Upload(self.site.namespace, address, port, connections, self.options.mib << 20, self.congestion)
        whole, second = upload.run()
        rate, later = upload.total / whole / 1e6, upload.total / 2 / second / 1e6
        return {"bytes": upload.total, "rate": rate, "later": later, "upload": upload}

    @staticmethod
    def check(node, found):
        upload = found.pop("upload")
        streams, wanted = node.streams(), upload.digest()
        if len(streams) != len(upload.threads):
            raise AssertionError(f"{len(streams)} streams, {len(upload.threads)} connections")
        for stream in streams:
            digest = hashlib.sha256()
            with subprocess.Popen([lab.BINARY, "streams", "cat", str(stream["id"]), *node.data_flags()],
                                  stdout=subprocess.PIPE) as reader:
                while piece := reader.stdout.read(1 << 20):
                    digest.update(piece)
            if reader.returncode != 0 or digest.hexdigest() != wanted:
                raise AssertionError(f"stream {stream['id']} is not what was sent")


def written(events):
    """The one that says most of them: that of the most batches."""
    event = max(events, key=lambda event: event["bytes"])
    return {key: max(found[key] for found in events) if key.startswith(("most", "largest", "widest")) else event[key]
            for key in event if key not in ("time", "event", "unix_ns", "pid")}


def medians(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0] if key != "upload"}


def row(congestion, connections, sink, near, few, far_away):
    def kib(count):
        return f"{count / 1024:.0f}"
    rates = [f"{found['rate']:.0f}, {found['later']:.0f}" for found in (sink, near, few, far_away)]
    cells = [congestion, str(connections), *rates, f"{far_away['later'] / near['later']:.2f}",
             f"{kib(far_away['median_batch'])}, {kib(far_away['largest_batch'])}",
             f"{far_away['most_at_once']:.0f}, {far_away['most_bytes_at_once'] / (1 << 20):.1f}",
             f"{far_away['least_ms']:.0f}, {far_away['median_ms']:.0f}", f"{far_away['widest_window'] / (1 << 20):.0f}",
             f"{near['cpu']:.1f}, {far_away['cpu']:.1f}"]
    return "| " + " | ".join(cells) + " |"


def table(rows):
    head = ["| client | connections | kernel's sink, 50 ms | pool near | pool far, 4 writes | **pool far** | far / near "
            "| batch: median, largest | at once: batches, MiB | write, ms: least, median | window, MiB | CPU: near, far |"]
    return "\n".join([BEGIN, "", *head, "| --- " * 12 + "|", *rows, "", END])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=384, help="of an upload, over all of its connections")
    parser.add_argument("--connections", default="1,4,16")
    parser.add_argument("--congestion", default="cubic,bbr")
    parser.add_argument("--write", action="store_true", help="into docs/far-store.md")
    options = parser.parse_args()
    names = options.congestion.split(",")
    if os.environ.get("HOLDFAST_LAB") != "inside":
        allow(*names)
    lab.enter()
    directory = lab.Directory(case.directory_of("far_table"))
    rows = []
    for congestion in names:
        for connections in map(int, options.connections.split(",")):
            rows.append(measure(congestion, connections, directory, options))
            takeover_table.progress("")
            print(rows[-1], flush=True)
    shutil.rmtree(directory.path, ignore_errors=True)
    if options.write:
        write(table(rows))


def measure(congestion, connections, directory, options):
    """On a cluster of its own, so that the rows have the same beginning."""
    found = {"sink": [], "near": [], "few": [], "far": []}
    with Bench(congestion, directory, options) as bench:
        for run in range(options.runs):
            for name, result in found.items():
                takeover_table.progress(f"{congestion} {connections} {name} {run + 1}/{options.runs}")
                result.append({"sink": lambda: bench.sink(connections, ONE_WAY),
                               "near": lambda: bench.node(connections, 0),
                               "few": lambda: bench.node(connections, ONE_WAY, "--writes-in-flight", "4"),
                               "far": lambda: bench.node(connections, ONE_WAY)}[name]())
    return row(congestion, connections, *map(medians, found.values()))


def write(text):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    before, rest = page.split(BEGIN)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(before + text + rest.split(END, 1)[1])


if __name__ == "__main__":
    sys.exit(main())
