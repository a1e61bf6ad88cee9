#!/usr/bin/env python3
"""Checks the models of the N-way handshake (handshake.pml) and of a log's ownership in RADOS (ownership.pml) with Spin: a model as
it is must be clean, each seeded bug must be caught by the property that it breaks, and what must be possible must be reached.

    models/check.py                  everything, N = 3..8: hours on two cores
    models/check.py --quick          what ctest runs: about a minute of processor time
    models/check.py --only strip     the runs whose name contains a word
    models/check.py --list           what there is

Needs spin and gcc. The verifiers are written to a temporary directory, or to --directory, where they stay. The exit status
is 0 only if every run ended as it should.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MODELS = Path(__file__).resolve().parent
HANDSHAKE, OWNERSHIP = "handshake", "ownership"
# How a model is told its size, which the table calls N.
SIZE = {HANDSHAKE: "N", OWNERSHIP: "TENURES"}
GIB = 1 << 30

# How a run may end: clean, or with the name of what failed.
CLEAN = "clean"
AGREE = "both_established_agree"
COPIES = "certified_copies_exist"
ASKED = "somebody_asked_for_it"
ENDS = "ends_open_or_closed"
CAUSE = "no_error_without_cause"
LIVELOCK = "acceptance cycle"
REACHED = "never_reached"
KEPT = "acknowledged_is_kept"
ONCE = "acknowledged_once"
FENCED = "old_writes_are_fenced"
# What to call them in the table.
TITLES = {AGREE: "(1) agreement", COPIES: "(2) copies", ASKED: "(3) asked for", ENDS: "(4) ends", LIVELOCK: "(4) livelock",
          CAUSE: "(5) cause", KEPT: "(a) kept", ONCE: "(b) once", FENCED: "(c) fenced",
          REACHED: "reached", CLEAN: "clean"}


@dataclasses.dataclass(frozen=True)
class Run:
    n: int
    name: str
    expected: str = CLEAN
    settings: tuple = ()  # ("NAME", value) for spin's -D
    liveness: bool = False
    model: str = HANDSHAKE

    @property
    def large(self):
        """Worth the optimizer's ten seconds."""
        if self.model == OWNERSHIP:
            return self.expected == CLEAN and self.n > 2
        return self.expected == CLEAN and (self.n > 6 or dict(self.settings).get("CALLS") != 1)

    @property
    def title(self):
        return f"{SIZE[self.model].lower() if self.model == OWNERSHIP else 'N'}={self.n} {self.name}" + (" (liveness)" if self.liveness else "")


def run(n, name, expected=CLEAN, liveness=False, **settings):
    return Run(n, name, expected, tuple(settings.items()), liveness)


def tenures(n, name, expected=CLEAN, **settings):
    return Run(n, name, expected, tuple(settings.items()), model=OWNERSHIP)


ONE = {"CALLS": 1, "ANSWERS": 1}
VOLATILE = {"I_DURABLE": 0, "R_DURABLE": 0}
BEST_EFFORT = {"I_STRICT": 0, "R_STRICT": 0}
STRICT = {"I_STRICT": 1, "R_STRICT": 1}
STRIPPED = {"STRIP": 1, "DATA": 1}


def seeded_bugs():
    """Each kind once, where it shows at the smallest N and bounds."""
    return [
        run(5, "bug: no echo check", ASKED, **ONE, FORGER=1, BUG_NO_ECHO_CHECK=1),
        run(5, "bug: accept any step", ASKED, **ONE, FORGER=1, BUG_ACCEPT_ANY_STEP=1),
        run(5, "bug: certify before stored", COPIES, **ONE, BUG_CERTIFY_BEFORE_STORED=1),
        run(5, "bug: strict takes SHORT", COPIES, **ONE, BUG_STRICT_TAKES_SHORT=1),
        run(5, "bug: settle mismatch", AGREE, **ONE, LOW=4, BUG_SETTLE_MISMATCH=1),
        run(5, "bug: record without options", AGREE, **ONE, BUG_RECORD_WITHOUT_OPTIONS=1),
        run(5, "bug: record without settled N", CAUSE, **ONE, LOW=4, BUG_RECORD_WITHOUT_SETTLED_N=1),
        run(5, "bug: fallback after resume", AGREE, **ONE, **STRIPPED, BUG_FALLBACK_AFTER_RESUME=1),
        run(4, "bug: cookie's echo unchecked", ASKED, **ONE, COOKIES=1, FORGER=1, R_RESTARTS=0, BUG_COOKIE_ECHO_UNCHECKED=1),
        run(5, "bug: no store before step 2", CAUSE, **ONE, BUG_NO_STORE_BEFORE_STEP_2=1),
        run(5, "bug: no store before step N", CAUSE, **ONE, BUG_NO_STORE_BEFORE_STEP_N=1),
        run(5, "bug: no store before bare ACK", CAUSE, **ONE, BUG_NO_STORE_BEFORE_BARE_ACK=1),
        run(6, "bug: resumed tries one flag", CAUSE, **ONE, **BEST_EFFORT, BUG_RESUMED_TRIES_ONE_FLAG=1),
        run(5, "bug: no probe", ENDS, **ONE, BUG_NO_PROBE=1),
        run(5, "bug: no retransmit", ENDS, **ONE, BUG_NO_RETRANSMIT=1),
        run(5, "bug: challenge without option", ENDS, **ONE, BUG_CHALLENGE_WITHOUT_OPTION=1),
        run(4, "bug: no limit of tries", LIVELOCK, liveness=True, **ONE, **STRIPPED, BUG_NO_LIMIT_OF_TRIES=1),
        run(4, "bug: ACK for ACK", LIVELOCK, liveness=True, **ONE, BUG_ACK_FOR_ACK=1),
    ]


# Cookies. A service that takes three ways takes an ACK without the option for one: not beyond a restart (limits()).
LIVES_ON = {"COOKIES": 1, "R_RESTARTS": 0}
LEAST_4 = {"COOKIES": 1, "R_MIN": 4}
REPLAYED = {"CALLS": 1, "ANSWERS": 2, "REPLAY": 1}


def cookies(n):
    runs = [
        run(n, "cookies, data", **ONE, **LIVES_ON, DATA=1),
        run(n, "cookies, volatile, data", **ONE, **VOLATILE, COOKIES=1, DATA=1),
        run(n, "cookies, replayed to a process that remembers", **REPLAYED, **LIVES_ON, REMEMBERED=1, DATA=1),
    ]
    if n == 3:
        return runs
    runs += [
        run(n, "cookies, forger", **ONE, **LIVES_ON, FORGER=1),
        run(n, "cookies, stripped", **ONE, **STRIPPED, **LIVES_ON),
        run(n, "cookies, volatile, stripped", **ONE, **STRIPPED, **VOLATILE, COOKIES=1),
        run(n, "cookies, lesser N, data", **ONE, **LIVES_ON, LOW=n - 1, DATA=1),
        run(n, "cookies", liveness=True, **ONE, **LIVES_ON),
    ]
    if n == 4:
        return runs
    # From five on fresh nonces stand for what a restart forgets. The initiator's record adds nothing to that.
    only_responder = {"I_DURABLE": 0} if n > 6 else {}
    if n == 5:
        runs.append(run(n, "bug: any cookie overtakes", CAUSE, **REPLAYED, **LEAST_4, BUG_ANY_COOKIE_OVERTAKES=1))
    return runs + [
        run(n, "cookies, service's least is 4, data", **ONE, **LEAST_4, DATA=1),
        run(n, "cookies, service's least is 4, forger", **ONE, **LEAST_4, **only_responder, FORGER=1),
        run(n, "cookies, no fall-back after a restart, data", **ONE, COOKIES=1, COOKIE_FALLBACK=1, DATA=1),
        run(n, "cookies, service's least is 4, replayed", **REPLAYED, **LEAST_4, **only_responder),
        run(n, "cookies, no fall-back after a restart, replayed", **REPLAYED, **only_responder, COOKIES=1, COOKIE_FALLBACK=1),
        run(n, "bug: nonces not fresh", ASKED, **REPLAYED, **LEAST_4, BUG_NONCES_NOT_FRESH=1),
    ]


def limits():
    """Where the handshake itself promises less than one might think: README.md says so, and changes if one becomes clean."""
    return [run(n, "limit: replayed after a restart, within a cookie's lifetime", ASKED, **REPLAYED, COOKIES=1)
            for n in range(3, 9)] + [
        run(4, "limit: the same, service's least is 4", ASKED, **REPLAYED, **LEAST_4),
    ] + [run(n, "limit: a cookie falls back after a restart", AGREE, **ONE, COOKIES=1, DATA=1) for n in range(4, 7)]


def reachable(n):
    return [
        run(n, "possible: both ESTABLISHED", REACHED, **ONE, REACH_BOTH_ESTABLISHED=1),
        run(n, "possible: half-open remains", REACHED, **ONE, REACH_REMAINS=1),
    ] + ([
        run(n, "possible: SHORT taken", REACHED, **ONE, **BEST_EFFORT, REACH_SHORT_TAKEN=1),
        run(n, "possible: refusal", REACHED, **ONE, R_MIN=n + 1, REACH_REFUSAL=1),
        run(n, "possible: fallback", REACHED, **ONE, **STRIPPED, REACH_FALLBACK=1),
        run(n, "possible: lesser N", REACHED, **ONE, LOW=n - 1, REACH_LESSER=1),
    ] if n > 3 else []) + ([run(n, "possible: resumed side jumps", REACHED, **ONE, REACH_JUMP=1)] if n > 5 else [])


def quick():
    runs = [run(n, "durable", liveness=True, **ONE) for n in (3, 4, 5)]
    runs += [
        run(4, "volatile, two calls", **VOLATILE),
        run(5, "forger", **ONE, FORGER=1),
        run(5, "lesser N", **ONE, LOW=4),
        run(4, "stripped", **ONE, **STRIPPED),
        run(4, "cookies", **ONE, **LIVES_ON),
        run(5, "cookies, service's least is 4, data", **ONE, **LEAST_4, DATA=1),
        run(5, "bug: nonces not fresh", ASKED, **REPLAYED, **LEAST_4, BUG_NONCES_NOT_FRESH=1),
        run(6, "durable", **ONE),
    ]
    return runs + seeded_bugs() + [run(6, "possible: both ESTABLISHED", REACHED, **ONE, REACH_BOTH_ESTABLISHED=1),
                                   run(6, "possible: resumed side jumps", REACHED, **ONE, REACH_JUMP=1)]


def full():
    runs = []
    for n in range(3, 9):
        runs += [
            run(n, "durable, one call", liveness=True, **ONE),
            run(n, "volatile, one call", liveness=True, **ONE, **VOLATILE),
            run(n, "durable, data", **ONE, DATA=1),
            run(n, "volatile, two calls", **VOLATILE),
            run(n, "volatile, two calls, data", **VOLATILE, DATA=1),
            run(n, "only initiator durable, two calls", R_DURABLE=0),
            run(n, "only responder durable, two calls", I_DURABLE=0),
        ]
        if n <= 6:  # for 7 there are 28 million states, for 8 ten times as many
            runs.append(run(n, "durable, two calls"))
        runs += cookies(n)
        if n == 3:
            continue
        runs += [
            run(n, "best-effort", **ONE, **BEST_EFFORT),
            run(n, "both strict", **ONE, **STRICT),
            run(n, "checkpoints", **ONE, CHECKPOINTS=1),
            run(n, "forger", **ONE, FORGER=1),
            run(n, "forger, volatile, two calls", **VOLATILE, FORGER=1),
            run(n, "lesser N", **ONE, LOW=n - 1),
            run(n, "stripped", liveness=True, **ONE, **STRIPPED),
            run(n, "stripped, caller's least is 4", **ONE, **STRIPPED, I_MIN=4),
            run(n, "stripped, service's least is 4", **ONE, **STRIPPED, R_MIN=4),
            run(n, "refused", **ONE, R_MIN=n + 1),
        ]
        if n > 4:
            runs.append(run(n, "lesser N of 3", **ONE, LOW=3))
        runs += reachable(n)
    return sorted(runs, key=lambda r: r.n) + seeded_bugs() + limits()


def ownership_quick():
    return [
        tenures(2, "ownership"),
        tenures(2, "bug: no guard on writes", FENCED, BUG_NO_GUARD=1),
        tenures(2, "bug: end read before segments are raised", FENCED, BUG_READ_BEFORE_RAISE=1),
        tenures(2, "bug: segments raised before head", FENCED, BUG_RAISE_BEFORE_HEAD=1),
        tenures(2, "bug: segment used before made", ONCE, BUG_USED_BEFORE_MADE=1),
        tenures(2, "bug: head not told of segments", ONCE, BUG_HEAD_NOT_TOLD=1),
        tenures(2, "bug: time-out not settled", ONCE, BUG_UNSETTLED=1),
        tenures(2, "bug: blind take", FENCED, BUG_BLIND_TAKE=1),
        tenures(2, "bug: lease without fence", FENCED, BUG_LEASE_ONLY=1),
        tenures(2, "bug: lease without fence, clocks drift", FENCED, BUG_LEASE_ONLY=2),
        tenures(2, "bug: append", KEPT, BUG_APPEND=1),
        tenures(2, "bug: made segment made again", KEPT, BUG_MAKING_AGAIN=1),
        tenures(2, "bug: any segment removed", FENCED, BUG_REMOVE_ANY=1),
        tenures(2, "rest", RESTS=2),
        tenures(2, "bug: rest with a write on its way", FENCED, RESTS=2, BUG_REST_EARLY=1),
        tenures(2, "bug: segment at rest not woken", FENCED, RESTS=2, BUG_WRITE_ASLEEP=1),
        tenures(2, "bug: take skips one that is awake", FENCED, RESTS=2, BUG_SKIP_AWAKE=1),
        tenures(2, "possible: last tenure acknowledges", REACHED, REACH_THIRD=1),
        tenures(2, "possible: a write is settled", REACHED, REACH_SETTLED=1),
        tenures(2, "possible: stranger's segment", REACHED, REACH_STRANGER=1),
        tenures(2, "possible: segment at rest is written to", REACHED, RESTS=2, REACH_WOKEN=1),
    ]


def ownership_full():
    return ownership_quick() + [
        tenures(2, "ownership, 4 batches, 2 time-outs", BATCHES=4, TIMEOUTS=2),
        tenures(3, "ownership, 2 batches", BATCHES=2, PER_SEGMENT=1),
        tenures(3, "rest, 2 batches", BATCHES=2, PER_SEGMENT=2, RESTS=2),
        tenures(3, "bug: head listed late", FENCED, BATCHES=2, PER_SEGMENT=2, RESTS=2, BUG_LIST_LATE=1),
        tenures(3, "ownership"),
        tenures(3, "possible: third tenure acknowledges", REACHED, REACH_THIRD=1),
    ]


@dataclasses.dataclass
class Result:
    run: Run
    verdict: str
    states: int = 0
    transitions: int = 0
    depth: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def as_expected(self):
        return self.verdict == self.run.expected

    def as_dict(self):
        return {"model": self.run.model, "n": self.run.n, "variant": self.run.name, "liveness": self.run.liveness,
                "settings": dict(self.run.settings), "expected": self.run.expected, "verdict": self.verdict,
                "states": self.states, "transitions": self.transitions, "depth": self.depth,
                "seconds": round(self.seconds, 2), "as_expected": self.as_expected, "note": self.note}


def verify(task, directory, optimize, memory, limit):
    """Writes, compiles and runs one verifier."""
    started = time.monotonic()
    result = Result(task, "not run")
    directory.mkdir(parents=True, exist_ok=True)
    defines = [f"-D{SIZE[task.model]}={task.n}", *(f"-D{name}={value}" for name, value in task.settings)]
    if task.liveness:
        defines.append("-DLIVENESS")
    # Partial-order reduction is on, as always with Spin. COLLAPSE compresses states without loss.
    flags = ["-O2" if optimize else "-O0", "-w", "-DCOLLAPSE", "-DVECTORSZ=1024", "-DNOFAIR", f"-DMEMLIM={memory // (1 << 20)}"]
    if not task.liveness:
        flags.append("-DSAFETY")
    steps = (
        ["spin", "-a", *defines, str(MODELS / f"{task.model}.pml")],
        ["gcc", *flags, "-o", "pan", "pan.c"],
        # A table that fits; a stack that is not cut off (pan says so if it is).
        ["./pan", "-w24" if task.large else "-w18", "-m3000000" if task.large else "-m300000",
         *(["-a"] if task.liveness else []),
         *(["-E"] if task.model == OWNERSHIP else [])],  # who lost the race waits for ever, as it should
    )
    output = ""
    for command in steps:
        try:
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=limit)
        except FileNotFoundError:
            result.verdict, result.note = "no verdict", f"{command[0]} is not installed: scripts/install-deps"
            break
        except subprocess.TimeoutExpired:
            result.verdict, result.note = "no verdict", f"{command[0]} ran for more than {limit} s"
            break
        output = done.stdout + done.stderr
        (directory / f"{Path(command[0]).name}.log").write_text(output)
        if done.returncode != 0 and command[0] != "./pan":
            result.verdict, result.note = "no verdict", f"{command[0]} failed: {output.strip()[:500]}"
            break
    else:
        read_report(output, result)
    result.seconds = time.monotonic() - started
    return result


def read_report(text, result):
    def number(pattern):
        found = re.search(pattern, text)
        return int(float(found.group(1))) if found else 0

    result.states = number(r"(\d+) states, stored")
    result.transitions = number(r"(\S+) transitions")
    result.depth = number(r"depth reached (\d+)")
    failed = re.search(r"^pan:1: (?:assertion violated (\w+)|(acceptance cycle|invalid end state))", text, re.MULTILINE)
    incomplete = re.search(r"max search depth too small|out of memory|Search not completed", text)
    if failed:
        result.verdict = failed.group(1) or failed.group(2)
    elif incomplete or "errors: 0" not in text:
        # A search that was cut short is no verdict, whatever it has found so far.
        result.verdict, result.note = "no verdict", (incomplete.group() if incomplete else text.strip()[-500:])
    else:
        result.verdict = CLEAN


def table(results):
    rows = [("N", "variant", "states", "transitions", "depth", "verdict", "expected", "seconds")]
    for r in results:
        rows.append((str(r.run.n), r.run.name + (" (liveness)" if r.run.liveness else ""), f"{r.states:,}",
                     f"{r.transitions:,}", f"{r.depth:,}", TITLES.get(r.verdict, r.verdict),
                     "yes" if r.as_expected else f"NO: {TITLES[r.run.expected]}", f"{r.seconds:.1f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {0, 2, 3, 4, 7}
    return "\n".join("  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows)


def summary(results):
    """For README.md: what was explored to the end, a line for each N."""
    lines = ["| N | runs explored to the end | states | transitions | largest run, states |", "| ---: | ---: | ---: | ---: | --- |"]
    clean = [r for r in results if r.verdict == CLEAN and r.as_expected]
    for model, n in sorted({(r.run.model, r.run.n) for r in clean}):
        of_n = [r for r in clean if (r.run.model, r.run.n) == (model, n)]
        most = max(of_n, key=lambda r: r.states)
        lines.append(f"| {n if model == HANDSHAKE else f'{n} tenures'} | {len(of_n)} | {sum(r.states for r in of_n):,} | {sum(r.transitions for r in of_n):,} | "
                     f"{most.run.name}, {most.states:,} |")
    caught = sum(1 for r in results if r.run.expected != CLEAN and r.as_expected)
    return "\n".join(lines) + f"\n\n{caught} more runs ended as they should: bugs caught, limits shown, what must be possible reached."


def folder_of(task):
    return re.sub(r"[^A-Za-z0-9]+", "-", task.title).strip("-")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small N and bounds, and every seeded bug")
    parser.add_argument("--model", choices=tuple(SIZE), help="one of them (default: both)")
    parser.add_argument("--only", metavar="WORD", help="the runs whose title contains it")
    parser.add_argument("--n", type=int, choices=range(2, 9), help="the runs with this N, or so many tenures")
    parser.add_argument("--list", action="store_true", help="show the runs and stop")
    parser.add_argument("--summary", action="store_true", help="print a Markdown table by N instead, for README.md")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of the table")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="verifiers at once (default: one a processor)")
    parser.add_argument("--memory", type=float, default=8, metavar="GIB", help="limit of each verifier (default 8)")
    parser.add_argument("--limit", type=int, default=7200, metavar="SECONDS", help="limit of each verifier (default 7200)")
    parser.add_argument("--directory", type=Path, help="where the verifiers go and stay (default: a temporary directory)")
    arguments = parser.parse_args()

    runs = []
    if arguments.model in (None, HANDSHAKE):
        runs += quick() if arguments.quick else full()
    if arguments.model in (None, OWNERSHIP):
        runs += ownership_quick() if arguments.quick else ownership_full()
    if arguments.n:
        runs = [r for r in runs if r.n == arguments.n]
    if arguments.only:
        runs = [r for r in runs if arguments.only.lower() in r.title.lower()]
    if not runs:
        sys.exit("check.py: no such run: --list shows what there is")
    if arguments.list:
        for r in runs:
            print(r.title, *(f"{name}={value}" for name, value in r.settings))
        return 0

    directory = arguments.directory or Path(tempfile.mkdtemp(prefix="holdfast-models-"))
    lock, finished = threading.Lock(), []

    def one(task):
        result = verify(task, directory / folder_of(task), task.large and not arguments.quick, int(arguments.memory * GIB),
                        arguments.limit)
        with lock:
            finished.append(result)
            print(f"[{len(finished)}/{len(runs)}] {task.title}: {TITLES.get(result.verdict, result.verdict)}"
                  f"{'' if result.as_expected else ', NOT AS EXPECTED'}, {result.states:,} states, {result.seconds:.1f} s",
                  file=sys.stderr, flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        results = list(pool.map(one, runs))
    surprises = [r for r in results if not r.as_expected]
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime
    if arguments.json:
        print(json.dumps({"as_expected": not surprises, "processor_seconds": round(processor, 1),
                          "runs": [r.as_dict() for r in results]}, indent=2))
    else:
        print(summary(results) if arguments.summary else table(results))
        for r in surprises:
            print(f"\n{r.run.title}: {r.note or r.verdict}")
            if (directory / folder_of(r.run) / f"{r.run.model}.pml.trail").exists():
                print(f"  what led there: cd {directory / folder_of(r.run)} && ./pan -r -n")
        print(f"\n{len(results)} runs, {len(surprises)} not as expected, {processor:.0f} s of processor time")
    if not arguments.directory and not surprises:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
