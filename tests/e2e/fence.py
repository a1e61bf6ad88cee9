"""Former owners of a pool's log that still write, and their successors (tests/location/fence)."""

import os
import signal
import subprocess
import unittest

import lab
import pool_case
import rados_cluster

PROGRAM = os.environ.get("HOLDFAST_POOL_FENCE", os.path.join(os.path.dirname(lab.BINARY), "holdfast-pool-fence"))
SETTLED, IN_FLIGHT = 8, 128  # writes


class Owner:
    """One of the two programs."""

    def __init__(self, cluster, role):
        self.process = subprocess.Popen([PROGRAM, f"rados:{rados_cluster.POOL}/fence?conf={cluster.conf}", role], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=lab.die_with_parent)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def hear(self, *wanted):
        line = self.process.stdout.readline().strip()
        if not line.startswith(wanted):
            raise AssertionError(f"wanted {wanted}, heard {line!r}")
        return line

    def numbers(self, wanted):
        return {int(word) for word in self.hear(wanted).split()[1:]}

    def signal(self, number):
        self.process.send_signal(number)


class Fence:
    """Both of them."""

    runs = 0

    def __init__(self, cluster):
        self.cluster = cluster
        self.former, self.successor = Owner(cluster, "former"), Owner(cluster, "successor")

    def close(self):
        self.former.close()
        self.successor.close()

    def clear_blocklist(self):
        with self.cluster.connect() as client:
            lab.wait_for(lambda: client.mon("osd dump")["blocklist"], 10, lambda: "the former owner is not put on the blocklist")
            client.mon("osd blocklist clear")

    def run(self, osd=None, freeze=False, forgive=False):
        """One former owner with 128 writes in flight, and one that takes over from it. `osd`: is stopped before they are written,
        and goes on once the successor has read everything; so does the former owner, with `freeze`. `forgive`: the blocklist is
        cleared before that, as it is when an entry has expired."""
        Fence.runs += 1  # a log of its own for each
        former, successor = self.former, self.successor
        former.say(f"run log{Fence.runs}")
        former.hear("ready to write")
        if osd is not None:
            self.cluster.pause_osd(osd)
        try:
            former.say("go")
            former.hear("ready in flight")
            if freeze:
                former.signal(signal.SIGSTOP)
            successor.say(f"run log{Fence.runs}")
            there = successor.numbers("there")
            if forgive:
                self.clear_blocklist()
        finally:
            if osd is not None:
                self.cluster.resume_osd(osd)
            former.signal(signal.SIGCONT)
        former.say("go")
        done = former.numbers("done")
        fenced = former.hear("fenced", "unaware") == "fenced"
        if osd is not None:
            self.cluster.wait()
        successor.say("go")
        changed = successor.hear("same", "changed") == "changed"
        return {"done": len(done), "there": len(there), "missing": sorted(done - there), "changed": changed, "fenced": fenced}


class FenceCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        pool_case.start_cluster(cls)

    def setUp(self):
        self.fence = Fence(self.cluster)
        self.addCleanup(self.fence.close)
        self.late = 0  # writes that were refused

    def check(self, **how):
        result = self.fence.run(**how)
        print(result, flush=True)
        self.assertEqual(result["missing"], [], f"writes that the owner was told are done are not there: {result}")
        self.assertFalse(result["changed"], f"a write landed after the successor had read: {result}")
        self.assertTrue(result["fenced"], f"the former owner does not know that it is one: {result}")
        self.late += SETTLED + IN_FLIGHT - result["done"]
