"""Handshakes of N ways whose other side never comes back: nothing stays half-open. The program's own timers have to run out, twice: ten
minutes, in which nearly nothing happens; so this is for soak.py."""

import subprocess

import lab
from crowd import Crowd
from two_nodes import RESPONDER, SMALL, send_command, streams_of
from ways import HELLO
from wire import DROP, HOLD, PASS

N = 8
GIVEN_UP = 600  # s, and that is a hang: eight repetitions, one to sixty seconds apart, take four to six minutes


class Initiator:
    """On a TAP device of its own; dies, or loses its node, when step `last` is in the wire."""

    def __init__(self, test, name, number, last):
        self.last, self.link, self.address = last, f"{name}{last}", f"10.77.0.{number + last}"
        self.data = test.directory.make(self.link)
        self.command = [*send_command("--ways", N, "--roll-call-timeout", "0s", "--policy", "best-effort", data=[self.data],
                                      link=self.link, address=self.address), test.directory.file("source")]
        self.process = None

    def start(self, test):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        test.addCleanup(test.end_process, self.process)


class Gone(Crowd):
    def setUp(self):
        super().setUp()
        with open(self.directory.file("source"), "wb") as file:
            file.write(HELLO)

    def nothing_stays_half_open(self):
        losing = [Initiator(self, "lose", 20, k) for k in range(1, N)]  # step N would establish the initiator
        dying = [Initiator(self, "die", 40, k) for k in range(1, N + 1)]
        self.join([one.link for one in losing + dying])
        node = self.node(services=[f"echo:7000,ways=3..{N},roll-call-timeout=0s"], link=RESPONDER, host_address=None, extra=SMALL)
        self.the_node_is_gone(node, losing)
        node.start()
        self.initiators_are_gone(node, dying)

    def hold_last_steps(self, initiators):
        """And what comes after them is lost, until they are released."""
        held = {}

        def hook(frame):
            one = next((one for one in initiators if one.address in (frame.source, frame.destination)), None)
            if one in held:
                return DROP if held[one].fate == HOLD else PASS
            if one is None or not (frame.ways and frame.ways.step == one.last):
                return PASS
            held[one] = frame
            return HOLD
        for port in self.wire.ports:
            self.wire.hook(port, hook)

    def the_node_is_gone(self, node, initiators):
        """Each initiator ends with an error that names the step that nothing answered, and its log knows."""
        self.hold_last_steps(initiators)
        for one in initiators:
            one.start(self)
        self.wire.wait_held(count=len(initiators))
        node.kill_keeper()
        self.wire.release()
        for one in initiators:
            _, error = one.process.communicate(timeout=GIVEN_UP)
            # Of three ways as long as nothing else is settled.
            step = one.last if one.last % 2 else one.last + 1
            words = f"the handshake stopped at step {step} of {N}: nothing answered it" if one.last > 1 else "no answer"
            self.assertEqual(one.process.returncode, 1)
            self.assertIn(words, error.decode(), one.last)
            stream, = streams_of([one.data])
            self.assertIn(stream["closed_because"], ("the handshake stopped", "timed out"), one.last)

    def initiators_are_gone(self, node, dying):
        """The node gives up on those that died, and on those that gave it up."""
        self.hold_last_steps(dying)
        for one in dying:
            one.start(self)
            held = self.wire.wait_held()
            one.process.kill()
            one.process.wait()
            self.wire.release(*held)
        lab.wait_for(lambda: all(stream["closed_because"] for stream in node.streams()), GIVEN_UP, lambda: str(node.streams()), every=1)
        reasons = {stream["peer"].split(":")[0]: stream["closed_because"] for stream in node.streams()}
        self.assertLessEqual({one.address for one in dying}, set(reasons))
        self.assertLessEqual(set(reasons.values()), {"the handshake stopped", "timed out"}, reasons)
        # Whoever comes back after that is told, or begins anew what had hardly begun.
        for one in dying:
            one.start(self)
            out, error = one.process.communicate(timeout=60)
            again = (one.process.returncode, out) == (0, HELLO)
            told = one.process.returncode == 1 and (b"no connection" in error or b"reset" in error)
            self.assertTrue(again or told, f"step {one.last}: {one.process.returncode} {error}")
            self.assertTrue(all(stream["closed_because"] for stream in streams_of([one.data])), one.last)
