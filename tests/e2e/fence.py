"""Former owners of a pool's log that still write (tests/location/fence): what is done to the OSDs meanwhile."""

import os
import re
import subprocess

import lab
import rados_cluster

PROGRAM = os.environ.get("HOLDFAST_POOL_FENCE", os.path.join(os.path.dirname(lab.BINARY), "holdfast-pool-fence"))


class Fence:
    def __init__(self, cluster):
        self.cluster = cluster
        self.runs = 0
        self.process = subprocess.Popen([PROGRAM, f"rados:{rados_cluster.POOL}/fence?conf={cluster.conf}"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=lab.die_with_parent)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def hear(self, wanted):
        line = self.process.stdout.readline().strip()
        if not line.startswith(wanted):
            raise AssertionError(f"wanted {wanted!r}, heard {line!r}")
        return line

    def run(self, pause=None):
        """One former owner with 48 writes in flight, and one successor. `pause`: the OSD that is stopped before they are
        written, and goes on when the successor has read everything."""
        self.runs += 1
        self.say(f"run log{self.runs}")
        self.hear("ready to write")
        if pause is not None:
            self.cluster.pause_osd(pause)
        try:
            self.say("go")
            self.hear("ready to take over")
            self.say("go")
            self.hear("ready to look again")
        finally:
            if pause is not None:
                self.cluster.resume_osd(pause)
        self.say("go")
        result = self.hear("result")
        if pause is not None:
            self.cluster.wait()
        return {key: int(value) if value.isdigit() else value == "true" for key, value in re.findall(r"(\w+)=(\w+)", result)}
