"""ceph-mon and ceph-osd as processes: started in the foreground, known by process id, asked through their own sockets."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path


class Problem(Exception):
    """What went wrong, and what to do about it."""


def die_with(parent):
    """In a child between fork and exec: SIGKILL for it when the thread that started it is gone."""
    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # too late for that
        os._exit(1)


class Daemon:
    """One ceph-mon or ceph-osd, known by process id and the time at which that process was started: ids are used again."""

    def __init__(self, directory, name):
        self.name = name
        self.kind, self.id = name.split(".")
        self.directory = directory
        self.pid_file = directory / "run" / f"{name}.pid"
        self.socket = directory / "run" / f"{name}.asok"
        self.output = directory / "log" / f"{name}.out"
        self.child = None

    def command(self, *more):
        return [f"ceph-{self.kind}", "--conf", str(self.directory / "ceph.conf"), "-i", self.id, *more]

    def start(self, network, dies_with_us):
        if self.pid() is not None:
            return
        self.socket.unlink(missing_ok=True)
        inside = ["nsenter", f"--net={network}", "--"] if network else []
        parent = os.getpid()
        with open(self.output, "ab") as output:
            self.child = subprocess.Popen(
                [*inside, *self.command("-f")], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(),
                cwd=self.directory, start_new_session=True, preexec_fn=(lambda: die_with(parent)) if dies_with_us else None)
        self.pid_file.write_text(f"{self.child.pid} {started_at(self.child.pid)}\n", encoding="ascii")

    def pid(self):
        """None unless it runs (or is stopped)."""
        if self.child is not None and started_at(self.child.pid) is None:
            self.child.wait()  # reaps it
            self.child = None
        try:
            pid, since = self.pid_file.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if started_at(int(pid)) == since else None

    def signal(self, number):
        pid = self.pid()
        if pid is None:
            raise Problem(f"{self.name} does not run")
        os.kill(pid, number)

    def ask(self, prefix, limit=2):
        """A command through its own socket, which is there whatever the network does. None if it does not answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit)
            try:
                connection.connect(str(self.socket))
                connection.sendall(json.dumps({"prefix": prefix, "format": "json"}).encode() + b"\0")
                answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
                return json.loads(answer[4:])  # its length comes first
            except (OSError, ValueError):  # while it starts it answers that it knows no such command
                return None

    def last_words(self):
        texts = [path.read_text(errors="replace")[-2000:] for path in (self.output, self.directory / "log" / f"{self.name}.log")
                 if path.exists()]
        return "\n".join(texts)


def started_at(pid):
    """Clock ticks since the machine's start; None if there is no such process, or only its zombie."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in "ZX" else words[19]


def environment():
    """Nothing that names another cluster; and less memory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CEPH_")}
    return dict(kept, PYTHONDONTWRITEBYTECODE="1", MALLOC_ARENA_MAX="2", MALLOC_TRIM_THRESHOLD_="1048576")


def run(command, directory, limit=60):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment(),
                          cwd=directory, timeout=limit)
    if done.returncode != 0:
        raise Problem(f"{command[0]} ended with status {done.returncode}: {done.stderr[-2000:] or done.stdout[-2000:]}")


def wait_for(condition, limit, failure):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(failure())
        time.sleep(0.02)


def memory_of(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    state = "stopped" if fields["State"].split()[0] == "T" else "runs"
    return f"{state}, {int(fields['VmRSS'].split()[0]) >> 10} MiB"
