"""The benchmarks of docs/benchmarks.md, (a) to (h). Each function runs one of them and returns its rows.

A section starts both servers once, gives each a run to warm up, and then lets them take turns: peer, Holdfast, peer, …
The server whose turn it is not is idle.
"""

import json
import os
import shutil
import signal
import time

from harness import meter
from harness.report import Row
from harness.world import BenchError, Holdfast, Peer, read_line, sources


class Sides:
    """The two servers of a section, started together and stopped whatever happens. Without a Holdfast binary: one."""

    def __init__(self, options, peer, holdfast):
        self.options = options
        self.factories = [peer] if options.holdfast is None else [peer, holdfast]
        self.servers = []

    def __enter__(self):
        try:
            for factory in self.factories:
                self.servers.append(factory())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()

    def turns(self, world, warm_up):
        """Yields the servers in turn, `pairs` times, each on a quiet disk."""
        for server in self.servers:
            world.progress(f"warming up: {server.side}")
            warm_up(server)
        for pair in range(self.options.pairs):
            for server in self.servers:
                meter.settle(world.data, self.options.settle)
                world.progress(f"pair {pair + 1} of {self.options.pairs}: {server.side}")
                yield server


MOST_SEGMENTS = 64  # that holdfast keeps prepared


def room_for(size):
    """Flags for a log whose room is all prepared before the run, as the peer's file is written before it: what is compared is storing,
    not making room. One segment in four is left for headers, epochs and what is kept in hand."""
    for mebibytes in (256, 512, 1024):
        segment = mebibytes << 20
        count = size * 5 // (segment * 4) + 8
        if count <= MOST_SEGMENTS:
            return ["--segment-size", f"{mebibytes}MiB", "--prepared-segments", str(count), "--max-bytes",
                    str(count * segment)]
    raise BenchError(f"{size / 1e9:.0f} GB are more than holdfast can prepare room for: fewer --pairs, --seconds or --bytes")


def store(world, options, size=0):
    return Holdfast(world, options.holdfast, "store", *(room_for(size) if size else []), *options.holdfast_flags)


def echo_back(world, options, volatile):
    # Each echo is a block of its own.
    room = [] if volatile else room_for(4096 * 2 * options.echoes * (options.pairs + 1))
    return Holdfast(world, options.holdfast, "echo", *room, *options.holdfast_flags, volatile=volatile)


# ---- (a), (b), (e) ----

def bulk(world, options, section, congestion):
    """Bulk upload to a server that stores it; one client, until the server's FIN. With what it costs in CPU."""
    world.set_congestion(congestion)
    speed = Row(section, f"bulk upload, {congestion}", "Gbit/s", "higher", goal=1.0, floor=0.8)
    cpu = {who: Row("e", f"CPU, bulk upload, {congestion}: {who}", "s/GB", "lower")
           for who in ("client", "server", "whole machine")}

    def upload(server, size):
        return world.load("upload", "--to", server.to, "--bytes", size, "--wait", 10000)

    def peer():
        return Peer(world, "receiver", "--file", world.data / "receiver.log")

    details = []
    total = options.bytes * options.pairs + options.bytes // 4
    with Sides(options, peer, lambda: store(world, options, total)) as sides:
        for server in sides.turns(world, lambda s: upload(s, options.bytes // 4)):
            with meter.CpuMeter(server.pids()) as used:
                result = upload(server, options.bytes)
            gigabytes = result["bytes"] / 1e9
            speed.add(server.side, result["gbit_per_s"])
            cpu["client"].add(server.side, result["cpu_seconds"] / gigabytes)
            cpu["server"].add(server.side, used.server / gigabytes)
            cpu["whole machine"].add(server.side, used.machine / gigabytes)
            details.append({"side": server.side, **result, "server_cpu_seconds": used.server,
                            "machine_cpu_seconds": used.machine})
    return [speed, *cpu.values()], details


def section_a(world, options):
    return bulk(world, options, "a", "cubic")


def section_b(world, options):
    return bulk(world, options, "b", "bbr")


# ---- (c) ----

def section_c(world, options):
    """Round trip of one byte, volatile and durable, with both ends on one core and on two."""
    world.set_congestion("cubic")
    rows, details = [], []
    for kind, volatile in (("volatile", True), ("durable", False)):
        def peer():
            return Peer(world, "echo", *([] if volatile else ["--sync", world.data / "echo.log"]))

        placements = {"one core": world.server_core, "two cores": world.client_core}
        figures = {(where, q): Row("c", f"1-byte echo, {kind}, {where}: {q}", "us", "lower",
                                   goal=1.0 if q == "p50" else None)
                   for where in placements for q in ("p50", "p99")}

        def ping(server, core, count):
            return world.load("echo", "--to", server.to, "--count", count, "--wait", 10000, core=core)

        with Sides(options, peer, lambda: echo_back(world, options, volatile)) as sides:
            for server in sides.turns(world, lambda s: ping(s, world.client_core, 200)):
                for where, core in placements.items():
                    result = ping(server, core, options.echoes)
                    for q in ("p50", "p99"):
                        figures[where, q].add(server.side, result["latency"][f"{q}_us"])
                    details.append({"side": server.side, "kind": kind, "placement": where, **result})
        rows += figures.values()
    return rows, details


# ---- (d) ----

WARM_UP = 0.5  # seconds


def section_d(world, options):
    """1 KiB messages known to be stored, per second."""
    world.set_congestion("cubic")
    rows, details = [], []
    # Clients that keep several messages under way set TCP_NODELAY; those with one have no use for it. The last figure is
    # the rate that there is room for.
    for connections, outstanding, flags, ceiling in ((64, 1, [], 400_000), (1000, 1, [], 400_000),
                                                     (64, 16, ["--nodelay"], 1_200_000)):
        name = f"1 KiB messages stored, {connections} connections" + (f" x {outstanding}" if outstanding > 1 else "")
        rate = Row("d", name, "1/s", "higher", goal=1.0 if outstanding == 1 else None)
        latency = Row("d", f"{name}: p99", "us", "lower")

        def send(server, seconds):
            # Holdfast's ACK is the word that a message is stored; the peer's application has to say it.
            ack = "reply" if server.side == "peer" else "tcp"
            return world.load("messages", "--to", server.to, "--ack", ack, "--connections", connections,
                              "--outstanding", outstanding, "--seconds", seconds, "--warm-up", WARM_UP, "--wait", 10000,
                              *flags)

        def peer():
            return Peer(world, "messages", "--file", world.data / "messages.log")

        seconds = options.pairs * (options.seconds + WARM_UP) + 2 * WARM_UP
        room = int(seconds * ceiling * 1024)
        with Sides(options, peer, lambda: store(world, options, room)) as sides:
            for server in sides.turns(world, lambda s: send(s, WARM_UP)):
                with meter.CpuMeter(server.pids()) as used:
                    result = send(server, options.seconds)
                if server.side == "holdfast" and result["messages_per_s"] > ceiling:
                    raise BenchError(f"{name}: {result['messages_per_s']:,.0f} a second are more than the room that was prepared")
                rate.add(server.side, result["messages_per_s"])
                latency.add(server.side, result["latency"]["p99_us"])
                details.append({"side": server.side, "case": name, **result, "server_cpu_seconds": used.server,
                                "machine_cpu_seconds": used.machine})
        rows += [rate, latency]
    return rows, details


# ---- (f) ----

def zero_file(world, path, size):
    """A file that is written whole, as both sides use it: unwritten extents would cost a journal commit a write."""
    world.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={size >> 20}", "oflag=direct", "conv=fsync",
               "status=none"], world.server_core)


def fio(world, path, size, block, depth, seconds):
    # --thread: one process, so that ending it ends all of it.
    out = world.run(["fio", "--thread", "--name=append", f"--filename={path}", "--rw=write", f"--bs={block}",
                     f"--iodepth={depth}", "--ioengine=io_uring", "--direct=1", "--sync=dsync", f"--size={size}",
                     "--overwrite=1", "--time_based", f"--runtime={max(1, round(seconds * 1000))}ms",
                     "--output-format=json"], world.server_core)
    write = json.loads(out[out.index("{"):])["jobs"][0]["write"]
    percentiles = write["clat_ns"]["percentile"]
    return {"mb_per_s": write["bw_bytes"] / 1e6, "p50_us": percentiles["50.000000"] / 1e3,
            "p99_us": percentiles["99.000000"] / 1e3}


def log_append(world, block, depth, seconds, room):
    """A new log with `room` bytes prepared before its clock starts: it cannot recycle its file as fio does."""
    directory = world.data / "append"
    directory.mkdir()
    try:
        return json.loads(world.run([world.program("bench_log_append"), "--data", directory, "--size", block, "--depth",
                                     depth, "--seconds", seconds, "--room", room], world.server_core))
    finally:
        shutil.rmtree(directory)


def section_f(world, options):
    """Log append alone against fio's direct synchronous writes of the same size, as many in flight."""
    if shutil.which("fio") is None:
        raise BenchError("fio is missing: apt-get install fio")
    rows, details = [], []
    path, size = world.data / "fio.dat", 1 << 30
    zero_file(world, path, size)
    # One small append at a time is what a lone connection sees; full batches, four in flight, are bulk.
    for block, depth in ((4096, 1), (65536, 4), (524288, 4)):
        name = f"log append, {block >> 10} KiB, {depth} in flight"
        speed = Row("f", name, "MB/s", "higher", goal=0.9)
        for pair in range(options.pairs):
            meter.settle(world.data, options.settle)
            world.progress(f"{name}, pair {pair + 1} of {options.pairs}: fio")
            result = fio(world, path, size, block, depth, options.seconds)
            speed.add("peer", result["mb_per_s"])
            details.append({"side": "peer", "case": name, **result})
            if options.holdfast is None:
                continue
            meter.settle(world.data, options.settle)
            world.progress(f"{name}, pair {pair + 1} of {options.pairs}: log")
            room = max(256 << 20, int(result["mb_per_s"] * 1e6 * options.seconds * 1.5))
            result = log_append(world, block, depth, options.seconds, room)
            speed.add("holdfast", result["mb_per_s"])
            details.append({"side": "holdfast", "case": name, **result})
        rows.append(speed)
    path.unlink()
    return rows, details


# ---- (g), (h) ----

class Holder:
    """Connections held open by bench_load_connect: several processes, each with a source address of its own, because
    ports of one address (28,000) and open files of one process (often 20,000) are limited."""

    MOST = 15000
    used = 0  # addresses, so that the next holder begins with others

    def __init__(self, world, server, connections, until):
        self.world = world
        self.timeout = 120
        addresses = sources(server.prefix)
        if connections > self.MOST * len(addresses):
            raise BenchError(f"at most {self.MOST * len(addresses):,} connections can be held")
        self.children = []
        self.opened = []
        while connections > 0:
            share = min(connections, self.MOST)
            self.children.append(world.load_interactive(
                "connect", "--to", server.to, "--connections", share, "--from", addresses[Holder.used % len(addresses)],
                "--until", until, "--timeout", self.timeout))
            Holder.used += 1
            self.opened.append(self._answer(self.children[-1]))
            connections -= share

    def _answer(self, child):
        line = read_line(child.stdout, self.timeout + 10)
        if not line:
            self.close()
            raise BenchError("bench_load_connect gave no answer")
        return json.loads(line)

    def poke(self, which):
        """One byte on "one" connection or on "all"."""
        children = self.children[:1] if which == "one" else self.children
        for child in children:
            child.stdin.write(f"poke {which}\n")
            child.stdin.flush()
        answers = [self._answer(child) for child in children]
        total = {key: sum(answer[key] for answer in answers) for key in ("answered", "lost", "unanswered")}
        return {**total, "first_ns": min(answer["first_ns"] for answer in answers),
                "last_ns": max(answer["last_ns"] for answer in answers),
                "latency": [answer["latency"] for answer in answers]}

    def close(self):
        for child in self.children:
            self.world.end(child)


def restart_holdfast(world, options, connections, first, every, details):
    """SIGKILL of the node with its connections open; a byte is sent at once, and waits for the restarted node."""
    server = store(world, options)
    try:
        holder = Holder(world, server, connections, "ack")
        try:
            for restart in range(options.pairs):
                world.progress(f"{connections:,} connections: restart {restart + 1} of {options.pairs}")
                time.sleep(options.restart_gap)  # the keeper's back-off is not what is measured
                meter.settle(world.data, options.settle)
                node = server.node_pid()
                killed = time.monotonic_ns()
                os.kill(node, signal.SIGKILL)
                one = holder.poke("one")
                everyone = holder.poke("all")
                if one["answered"] != 1 or everyone["answered"] != connections:
                    raise BenchError(f"after a restart {everyone['lost']} of {connections} connections were lost and "
                                     f"{everyone['unanswered']} gave no answer")
                first.add("holdfast", (one["first_ns"] - killed) / 1e6)
                every.add("holdfast", (everyone["last_ns"] - killed) / 1e6)
                details.append({"side": "holdfast", "connections": connections, "killed_ns": killed, "one": one,
                                "all": everyone})
        finally:
            holder.close()
    finally:
        server.stop()


def restart_peer(world, row, pairs):
    """For scale: a kernel TCP server killed and started again. Its connections are lost; a new one is served."""
    for _ in range(pairs):
        server = Peer(world, "echo")
        killed = time.monotonic_ns()
        server.stop()
        server = Peer(world, "echo")
        world.load("echo", "--to", server.to, "--count", 1, "--warm-up", 0, "--wait", 10000)
        row.add("peer", (time.monotonic_ns() - killed) / 1e6)
        server.stop()


def section_g(world, options):
    """From SIGKILL to the first ACK, and to that of every connection."""
    rows, details = [], []
    for connections in options.restart_connections:
        limit = 100 if connections <= 1000 else None
        first = Row("g", f"restart, {connections:,} connections: first ACK", "ms", "lower", limit=limit)
        every = Row("g", f"restart, {connections:,} connections: all ACKed", "ms", "lower")
        if connections == 1:
            restart_peer(world, first, options.pairs)
        if options.holdfast is not None:
            restart_holdfast(world, options, connections, first, every, details)
        rows += [first, every]
    return rows, details


def section_h(world, options):
    """Memory of an idle connection: the server's end, and both ends."""
    connections = options.idle_connections
    own = Row("h", f"memory of an idle connection ({connections:,} open): server's end", "KiB", "lower")
    both = Row("h", "memory of an idle connection: both ends", "KiB", "lower")
    details = []

    def peer():
        return Peer(world, "echo")

    with Sides(options, peer, lambda: store(world, options)) as sides:
        for server in sides.turns(world, lambda s: None):
            slab, resident = meter.slab_bytes(), meter.resident_bytes(server.pids())
            holder = Holder(world, server, connections, "echo" if server.side == "peer" else "ack")
            try:
                time.sleep(1)
                slab = meter.slab_bytes() - slab
                resident = meter.resident_bytes(server.pids()) - resident
            finally:
                holder.close()
            # The kernel holds both ends of a connection to the peer, and only the client's of one to Holdfast.
            ends = slab / 2 if server.side == "peer" else 0
            own.add(server.side, (ends + resident) / connections / 1024)
            both.add(server.side, (slab + resident) / connections / 1024)
            details.append({"side": server.side, "connections": connections, "slab_bytes": slab,
                            "resident_bytes": resident, "opened": holder.opened})
            time.sleep(1)
    return [own, both], details


# ---- The parts ----

def section_micro(world, _options):
    """Google Benchmark's programs for the parts, each as it is; their peers are in the same program."""
    details = []
    programs = sorted(p for p in world.build.glob("bench_micro_*") if p.is_file())
    for program in programs:
        world.progress(program.name)
        out = world.run([program, "--benchmark_format=json"], world.server_core, timeout=600)
        for result in json.loads(out)["benchmarks"]:
            details.append({"program": program.name, **result})
            rate = f"{result['bytes_per_second'] / 1e9:.2f} GB/s" if "bytes_per_second" in result else ""
            world.clear_progress()
            print(f"  {result['name']:<44} {result['cpu_time']:>12.1f} {result['time_unit']}  {rate}", flush=True)
    if not programs:
        print("(micro) no bench_micro_* programs were built")
    return [], details


SECTIONS = {
    "a": section_a, "b": section_b, "c": section_c, "d": section_d, "f": section_f, "g": section_g, "h": section_h,
    "micro": section_micro,
}
