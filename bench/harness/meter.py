"""CPU, memory and disk figures from /proc, before and after a run."""

import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds():
    """Busy time of all cores, interrupts and work queues of the kernel included."""
    fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = fields
    return (user + nice + system + irq + softirq) / TICK


def process_cpu_seconds(pids):
    """User and system time of the processes and their ended children."""
    total = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        total += sum(int(x) for x in stat.rsplit(")", 1)[1].split()[11:15])
    return total / TICK


def resident_bytes(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def slab_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    return 0


class CpuMeter:
    """with CpuMeter(pids) as cpu: …   then cpu.server and cpu.machine, in seconds."""

    def __init__(self, pids):
        self.pids = pids

    def __enter__(self):
        self._server = process_cpu_seconds(self.pids)
        self._machine = machine_cpu_seconds()
        return self

    def __exit__(self, *_):
        self.server = process_cpu_seconds(self.pids) - self._server
        self.machine = machine_cpu_seconds() - self._machine


def sectors_written(directory):
    device = os.stat(directory).st_dev
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if (int(fields[0]), int(fields[1])) == (os.major(device), os.minor(device)):
            return int(fields[9])
    return 0


def settle(directory, bound=5.0):
    """Waits until the disk is quiet (segments being prepared, other writers), for `bound` seconds at the most."""
    deadline = time.monotonic() + bound
    before = sectors_written(directory)
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = sectors_written(directory)
        if now - before < 2048:  # 1 MiB
            return
        before = now
