#!/usr/bin/env python3
"""Measures Holdfast against what users would pick instead, in the same run, in turns. See docs/benchmarks.md.

  bench/run.py                           everything
  bench/run.py --only a,b --pairs 3 --bytes 2G
  bench/run.py --peers-only              the kernel TCP halves alone

Sections: a bulk upload, cubic · b the same, bbr · c 1-byte echo · d 1 KiB messages · e CPU of a and b · f log append ·
g restart · h memory of an idle connection · micro the parts.
"""

import argparse
import atexit
import json
import os
import platform
import signal
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness.report import table  # noqa: E402
from harness.sections import SECTIONS  # noqa: E402
from harness.world import BenchError, World  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted([*SECTIONS, "e"])


def size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    return int(number) * unit


def sections(text):
    names = text.split(",")
    for name in names:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"no section '{name}': choose from {', '.join(NAMES)}")
    return names


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=sections, default=NAMES, help="sections, separated by commas (default: all)")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side, taking turns (default 3)")
    parser.add_argument("--bytes", type=size, default=2 << 30, help="of a bulk upload (default 2G)")
    parser.add_argument("--seconds", type=float, default=3, help="of a message or append run (default 3)")
    parser.add_argument("--echoes", type=int, default=10000, help="round trips of an echo run (default 10000)")
    parser.add_argument("--restart-connections", default="1,1000,50000", help="live connections of the restarts")
    parser.add_argument("--restart-gap", type=float, default=5, help="seconds between two kills (default 5)")
    parser.add_argument("--idle-connections", type=int, default=10000, help="connections for the memory figure")
    parser.add_argument("--settle", type=float, default=60,
                        help="seconds to wait, at the most, for the disk to come to rest before a run (default 60)")
    parser.add_argument("--client-core", type=int, default=0)
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="where the programs are")
    parser.add_argument("--holdfast", type=Path, help="the binary (default: BUILD/holdfast)")
    parser.add_argument("--holdfast-flags", default="", help="further flags of holdfast serve")
    parser.add_argument("--peers-only", action="store_true", help="leave Holdfast's half out")
    parser.add_argument("--data", type=Path, default=ROOT / "build/bench-data",
                        help="where both sides store: on a real file system, not tmpfs (default build/bench-data)")
    parser.add_argument("--json", type=Path, default=ROOT / "build/bench.json", help="where the results go")
    parser.add_argument("--verbose", action="store_true", help="print the commands")
    options = parser.parse_args()
    options.restart_connections = [int(n) for n in options.restart_connections.split(",")]
    options.holdfast_flags = options.holdfast_flags.split()
    options.holdfast = options.holdfast or options.build / "holdfast"
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    if max(options.client_core, options.server_core) >= (os.cpu_count() or 1):
        parser.error("there are not so many cores")
    return options


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"kernel": platform.release(), "cpu": model, "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}


def wanted(options):
    """The sections to run: (e) comes out of (a) and (b)."""
    names = list(options.only)
    if "e" in names and not {"a", "b"} & set(names):
        names += ["a", "b"]
    return [name for name in SECTIONS if name in names]


def run(world, options, results):
    failed = False
    for name in wanted(options):
        doc = SECTIONS[name].__doc__ or "Bulk upload, with its CPU (e)."
        print(f"({name}) {doc.splitlines()[0]}", flush=True)
        try:
            rows, details = SECTIONS[name](world, options)
            world.clear_progress()
        except BenchError as error:
            world.clear_progress()
            print(f"({name}) failed: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        results["rows"] += [row for row in rows if row.section in options.only or name in options.only]
        results["details"][name] = details
    return failed


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("bench/run.py makes network namespaces and a TAP device: run it as root (sudo bench/run.py)")
    missing = not options.peers_only and not options.holdfast.exists()
    if missing:
        print(f"{options.holdfast} is missing: build first (cmake --preset release && cmake --build --preset release). "
              "Only the kernel TCP peers are measured.", file=sys.stderr)
    if options.peers_only or missing:
        options.holdfast = None

    world = World(options.build, options.data, options.client_core, options.server_core, options.verbose)
    atexit.register(world.close)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    results = {"rows": [], "details": {}}
    try:
        world.open()
        failed = run(world, options, results)
    except BenchError as error:
        sys.exit(f"bench/run.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)

    print("\n" + table(results["rows"]) if results["rows"] else "")
    print("\nA ratio is the median of the pairs' ratios, and says how many times better Holdfast is.")
    for note in dict.fromkeys(world.notes):
        print(f"Note: {note}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine(), "pairs": options.pairs,
                                        "rows": [row.to_json() for row in results["rows"]],
                                        "details": results["details"], "notes": world.notes}, indent=1))
    print(f"All figures: {options.json}")
    sys.exit(1 if failed or missing else 0)


if __name__ == "__main__":
    main()
