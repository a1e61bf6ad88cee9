#!/usr/bin/env python3
"""The first minute with Holdfast, as README.md and `make serve` tell it: their own commands, word for word."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import case
import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "docs"))
from readme_test import blocks  # noqa: E402

README = os.path.join(lab.ROOT, "README.md")
HANDSHAKE = os.path.join(lab.ROOT, "docs", "handshake.md")


class ReadmeTest(case.Case):
    def setUp(self):
        super().setUp()
        # Everything is root's here already; the machine's own directories are out of sight.
        tools = self.directory.make("tools")
        with open(os.path.join(tools, "sudo"), "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nexec "$@"\n')
        os.chmod(file.name, 0o755)
        self.environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
        self.hide("/var/lib")
        self.addCleanup(subprocess.run, ["ip", "link", "del", "holdfast0"], check=False, capture_output=True)

    def hide(self, path):
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "--bind", self.directory.make(path.replace("/", "-")), path], check=True)
        self.addCleanup(subprocess.run, ["umount", path], check=True)

    def start(self, *shell):
        return subprocess.Popen(["bash", "-eu", *shell], cwd=lab.ROOT, env=self.environment, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def with_binary(self, command):
        return command.replace("build/release/holdfast", lab.BINARY)

    def stay(self, command):
        """Starts a command that takes input, or does not end."""
        process = self.start("-c", self.with_binary(command))
        self.addCleanup(self.end, process)
        return process

    def run_command(self, command):
        """As somebody types it: not an argument of the shell's, where pgrep would find it."""
        process = self.start("-s")
        try:
            output, _ = process.communicate(self.with_binary(command).encode(), timeout=60)
        except subprocess.TimeoutExpired:
            self.fail(f"{command}: does not end")
        finally:
            self.end(process)
        self.assertEqual(process.returncode, 0, f"{command}: {output.decode(errors='replace')}")
        return output

    def await_line(self, process, word):
        seen = b""
        while word not in seen:
            more = os.read(process.stdout.fileno(), 1 << 16)
            self.assertTrue(more, seen.decode(errors="replace"))
            seen += more
        return seen

    def end(self, process):
        """As Ctrl-C does."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for stream in (process.stdin, process.stdout):
            stream.close()

    def type_into(self, echo, text):
        echo.stdin.write(text)
        echo.stdin.flush()
        self.assertIn(text, self.await_line(echo, text))

    def test_the_readme(self):
        serve, use = [block.text for block in blocks(Path(README)) if "streams" in block.text or "install -d" in block.text]
        self.await_line(self.stay(serve), b"ready")
        upload, listing, cat, echo = use.strip().splitlines()
        self.run_command(upload)
        self.assertRegex(self.run_command(listing).decode(), r"(?m)^ *1 .*store.*10\.77\.0\.2:7000")
        with open(README, "rb") as file:
            self.assertEqual(self.run_command(cat), file.read())
        echo = self.stay(echo)
        self.type_into(echo, b"before\n")
        self.run_command("kill -9 $(pgrep -f inherited-link)")
        self.type_into(echo, b"after\n")

    def test_the_ladder(self):
        ladder, = [block.text for block in blocks(Path(README)) if "--ladder" in block.text]
        self.assertIn("8 ACK", self.run_command(ladder).decode())

    def test_two_programs_on_one_machine(self):
        """docs/handshake.md: what it says that one sees, and that nothing is left of it."""
        network, serve, use, clean = [block.text for block in blocks(Path(HANDSHAKE)) if "-lan" in block.text]
        before = set(os.listdir("/sys/class/net"))
        for device in ("holdfast2", "holdfast3", "holdfast-lan"):
            self.addCleanup(subprocess.run, ["ip", "link", "del", device], check=False, capture_output=True)
        self.run_command(network)
        node = self.stay(serve)
        self.await_line(node, b"ready")
        seen = self.run_command(use).decode()
        self.assertIn("established by 8 ways: certified 2 copies, the peer 3 copies\n", seen)
        self.assertRegex(seen, r"(?m)^ *1 .*store.*10\.79\.0\.2:7000")
        self.await_line(node, b": 8 ways: certified 3 copies, the peer 2 copies\n")
        with open(README, "rb") as file:
            self.assertEqual(self.run_command("build/release/holdfast streams cat 1 --data /var/lib/holdfast-lan/node/1"), file.read())
        self.end(node)
        self.run_command(clean)
        self.assertEqual((set(os.listdir("/sys/class/net")), os.listdir("/var/lib")), (before, []))

    def test_what_make_serve_prints(self):
        self.hide(os.path.join(lab.ROOT, "build", "serve"))
        printed = self.await_line(self.stay("exec scripts/serve"), b"ready").decode()
        commands = re.findall(r"(?m)^  (\S.*?)(?:   +.*)?$", printed)
        named = {name: next((c for c in commands if re.search(pattern, c)), None) for name, pattern in
                 (("upload", r"^nc -N"), ("echo", r"^nc [0-9]"), ("list", "streams list"), ("cat", "streams cat"), ("kill", "kill -9"))}
        self.assertNotIn(None, named.values(), printed)
        self.run_command(named["upload"])
        self.assertIn("10.77.0.2:7000", self.run_command(named["list"]).decode())
        with open(README, "rb") as file:
            self.assertEqual(self.run_command(named["cat"]), file.read())
        echo = self.stay(named["echo"])
        self.type_into(echo, b"before\n")
        self.run_command(named["kill"])
        self.type_into(echo, b"after\n")


if __name__ == "__main__":
    case.main()
