#!/usr/bin/env python3
"""The main job, for real: an unmodified kernel TCP client (`nc -N`) uploads a large file while its server is killed with SIGKILL
three times, once with its keeper. The client notices nothing but a pause, and every byte is on disk.

    scripts/demo.py [--size MIB] [--keep]

Exit status 0 only if every check held. Needs a release build (`make demo` sees to it).
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time

import lab

PORT = 7000
KILLS = ((0.20, "node"), (0.45, "keeper"), (0.70, "node"))
LOCATIONS = 3
PAUSE_BEFORE_RESTART = 0.5  # an operator, or systemd, starts a killed keeper again
MIB = 1 << 20


class Screen:
    """A progress bar where there is a terminal, lines where there is none."""

    def __init__(self, total):
        self.total = total
        self.terminal = sys.stdout.isatty()
        self.started = time.monotonic()
        self.next_draw = 0.0
        self.drawn = False

    def line(self, text=""):
        self.erase()
        print(text, flush=True)

    def note(self, text):
        self.line(f"  {time.monotonic() - self.started:7.3f} s  {text}")

    def bar(self, done, what):
        now = time.monotonic()
        if not self.terminal or now < self.next_draw:
            return
        self.next_draw = now + 0.05
        fraction = min(1.0, done / self.total) if self.total else 1.0
        filled = int(fraction * 40)
        rate = done / max(0.001, now - self.started) / MIB
        print(f"\r\x1b[K  [{'#' * filled}{'.' * (40 - filled)}] {fraction * 100:5.1f} %  {done // MIB} MiB  {rate:.0f} MiB/s  {what}",
              end="", flush=True)
        self.drawn = True

    def erase(self):
        if self.drawn:
            print("\r\x1b[K", end="", flush=True)
            self.drawn = False


class Checks:
    def __init__(self, screen):
        self.screen = screen
        self.failed = 0

    def that(self, held, what):
        self.failed += not held
        self.screen.line(f"  {'ok    ' if held else 'FAILED'}  {what}")


class Kill:
    """One kill, and what came of it."""

    def __init__(self, what, acked, last_progress):
        self.what = what
        self.acked = acked                  # bytes, when it fell
        self.last_progress = last_progress  # when the client last saw an ACK move
        self.at = time.time()
        self.stall = None


def make_source(path, size, screen):
    digest = hashlib.sha256()
    screen.total = size
    with open(path, "wb") as file:
        done = 0
        while done < size:
            piece = os.urandom(min(4 * MIB, size - done))
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            screen.bar(done, "making random data")
    screen.erase()
    return digest.hexdigest()


def digest_of_stream(node, stream, size, screen):
    command = [lab.BINARY, "streams", "cat", str(stream), *node.data_flags()]
    digest = hashlib.sha256()
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as cat:
        while piece := cat.stdout.read(4 * MIB):
            digest.update(piece)
            done += len(piece)
            screen.bar(done, "reading back")
    screen.erase()
    return digest.hexdigest(), done, cat.returncode


class Upload:
    """Watches the client from the outside while killing its server."""

    def __init__(self, node, source, size, screen, checks):
        self.node, self.source, self.size, self.screen, self.checks = node, source, size, screen, checks
        self.view = lab.ClientView(PORT)
        self.acked = 0
        self.progress_at = time.time()
        self.kills = []
        self.ports = set()
        self.client = None

    def run(self):
        with open(self.source, "rb") as file:
            self.client = subprocess.Popen(["nc", "-N", lab.NODE, str(PORT)], stdin=file, stdout=subprocess.DEVNULL)
        self.screen.note(f"client: nc -N {lab.NODE} {PORT} < {os.path.basename(self.source)}")
        waiting = list(KILLS)
        while self.client.poll() is None:
            self.look()
            self.screen.bar(self.acked, "uploading")
            if waiting and self.acked >= waiting[0][0] * self.size:
                self.kill(waiting.pop(0)[1])
            time.sleep(0.001)
        self.screen.note(f"client ended with status {self.client.returncode}")
        return self.client.returncode

    def look(self):
        for connection in self.view.connections():
            self.ports.add(connection["port"])
            acked = max(0, connection["bytes_acked"] - 1)  # the SYN counts as one
            if acked > self.acked:
                now = time.time()
                if self.kills and self.kills[-1].stall is None:
                    self.resumed(self.kills[-1], now)
                self.acked, self.progress_at = acked, now

    def resumed(self, kill, now):
        kill.stall = now - kill.last_progress
        recovered = [e for e in self.node.events("ready") if e["unix_ns"] / 1e9 >= kill.at]
        took = f"{(recovered[0]['unix_ns'] / 1e9 - kill.at) * 1000:.0f} ms after the kill" if recovered else "?"
        inside = f"{recovered[0]['ms']:.0f} ms of it its own start and recovery" if recovered else "?"
        self.screen.note(f"node ready {took} ({inside}); client waited {kill.stall * 1000:.0f} ms, goes on")

    def kill(self, what):
        percent = 100 * self.acked / self.size
        if what == "keeper":
            self.node.kill_keeper()
            kill = self.fallen(what)
            self.screen.note(f"SIGKILL at {percent:.0f} %: keeper, and its node with it")
            self.check_stored()
            time.sleep(max(0.0, kill.at + PAUSE_BEFORE_RESTART - time.time()))
            self.node.start(wait=False)
            self.screen.note("started again, as systemd would")
            return
        pid = lab.wait_for(self.node.kill_node, 10, lambda: "there is no node to kill")
        lab.wait_for(lambda: not lab.alive(pid), 10, lambda: "the node does not die", every=0.0001)
        self.fallen(what)
        self.screen.note(f"SIGKILL at {percent:.0f} %: node (process {pid})")

    def fallen(self, what):
        """It is dead: what the client hears from now on is its replacement."""
        self.look()
        self.kills.append(Kill(what, self.acked, self.progress_at))
        return self.kills[-1]

    # Nothing runs now: what the client was acknowledged must be on disk.
    def check_stored(self):
        self.look()
        streams = self.node.streams()
        stored = streams[0]["in_bytes"] if streams else 0
        self.checks.that(stored >= self.acked,
                         f"while nothing runs: {self.acked} bytes acknowledged, {stored} stored")


def demonstrate(directory, size):
    screen = Screen(size)
    checks = Checks(screen)
    screen.line(f"Holdfast demo: {size // MIB} MiB by an unmodified kernel client, three SIGKILLs in mid-upload")
    source = directory.file("source")
    wanted = make_source(source, size, screen)
    node = lab.Node(directory, data=LOCATIONS, extra=["--stored-on", "2"])
    screen.started = time.monotonic()
    node.start()
    screen.note(f"node {lab.NODE} on TAP device {lab.LINK}, {LOCATIONS} directories, an ACK needs 2 of them")
    upload = Upload(node, source, size, screen, checks)
    try:
        status = upload.run()
        screen.line()
        checks.that(status == 0, "the client ended well")
        checks.that(len(upload.kills) == len(KILLS), f"{len(upload.kills)} of {len(KILLS)} kills fell in mid-upload")
        checks.that(all(kill.stall is not None for kill in upload.kills), "the client went on after each")
        checks.that(len(upload.ports) == 1, f"one connection all along, from port {', '.join(map(str, sorted(upload.ports)))}")
        streams = node.streams()
        checks.that(len(streams) == 1 and streams[0]["in_finished"], "one stream is stored, and finished")
        if streams:
            found, length, status = digest_of_stream(node, streams[0]["id"], size, screen)
            checks.that(status == 0 and length == size, f"{length} of {size} bytes read back, every checksum right")
            checks.that(found == wanted, f"SHA-256 of source and stored stream: {wanted[:16]}… {found[:16]}…")
        checks.that(node.stop() == 0, "the node stopped cleanly")
    finally:
        for process in (upload.client, node.process):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    screen.line()
    if checks.failed:
        screen.line(f"FAILED: {checks.failed} checks did not hold; the node's log is {node.log_path}")
    else:
        stalls = ", ".join(f"{kill.stall * 1000:.0f} ms ({kill.what})" for kill in upload.kills)
        screen.line(f"Held fast. The client's pauses: {stalls}")
    return checks.failed == 0


def mebibytes(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number of MiB, 1 or more")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=mebibytes, default=768, metavar="MIB", help="of the upload (default: 768)")
    parser.add_argument("--keep", action="store_true", help="leave the files in build/demo")
    options = parser.parse_args()
    if not os.access(lab.BINARY, os.X_OK):
        sys.exit(f"demo: {lab.BINARY} is missing: `make` builds it")
    lab.enter(may_ask_for_root=True)
    size = options.size * MIB
    path = os.path.join(lab.ROOT, "build", "demo")
    os.makedirs(path, exist_ok=True)
    free = shutil.disk_usage(path).free
    needed = size * (LOCATIONS + 1) + LOCATIONS * 512 * MIB
    if free < needed:
        sys.exit(f"demo: {path}: {free // MIB} MiB free, {needed // MIB} needed: make room or say --size")
    keep = options.keep
    held = False
    try:
        held = demonstrate(lab.Directory(path), size)
        keep = keep or not held  # for a look at what went wrong
    except KeyboardInterrupt:
        print("\ndemo: interrupted")
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
