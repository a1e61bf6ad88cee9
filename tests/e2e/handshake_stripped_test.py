#!/usr/bin/env python3
"""Something on the way takes the option of the N-way handshake off, not from the SYN exchange, but later (docs/handshake.md, rule 12).
Both sides give up at the limit of rule 7, which is minutes away: so all of these handshakes run at the same time."""

import os
import subprocess

import case
import frame as frames
import lab
from crowd import INITIATORS, Crowd
from two_nodes import RESPONDER, send_command
from wire import PASS

FALLING_BACK, INSISTING = 7000, 7001  # ports: from 3 ways on, from 4 ways on
MINUTES = 500  # seconds: nine repetitions, a minute apart at most


class Handshake:
    """From the first step `cut` on, no segment of these sides has the option any more. `stops`: the latest steps of both sides."""

    def __init__(self, ways, cut, sides, port=FALLING_BACK, stops=None):
        self.ways, self.cut, self.sides, self.port, self.stops = ways, cut, sides, port, stops
        self.is_cut, self.process, self.link, self.address = False, None, None, None

    def __str__(self):
        return f"{self.ways} ways to {self.port}, without the option from step {self.cut} on, of {self.sides}"

    def place(self, number):
        self.link, self.address = f"hf{number}", f"10.77.0.{100 + number}"

    def pass_on(self, frame):
        self.is_cut |= bool(frame.ways) and frame.ways.step >= self.cut
        if self.is_cut and frame.ways and frame.came_from in self.sides:
            return [frame.without_option(frames.WAYS_KIND)]
        return PASS


OURS, THEIRS, BOTH = (INITIATORS,), (RESPONDER,), (INITIATORS, RESPONDER)  # our own are the initiator's
IN_MID_HANDSHAKE = [
    Handshake(8, 3, OURS, INSISTING, stops=(3, 2)), Handshake(8, 3, BOTH, INSISTING, stops=(3, 2)),
    Handshake(8, 4, THEIRS, stops=(3, 4)), Handshake(8, 4, BOTH, stops=(3, 4)),
    Handshake(8, 5, OURS, stops=(5, 4)), Handshake(8, 5, BOTH, stops=(5, 4)),
    Handshake(9, 8, THEIRS, stops=(7, 8)), Handshake(9, 8, BOTH, stops=(7, 8)),
]
# The sender of the last step is established: it cannot know.
LAST_OF_RESPONDER = [Handshake(8, 8, THEIRS, stops=(7, 8)), Handshake(8, 8, BOTH, stops=(7, 8))]
LAST_OF_INITIATOR = [Handshake(9, 9, OURS, stops=(9, 8)), Handshake(9, 9, BOTH, stops=(9, 8))]
FALLS_BACK = Handshake(8, 3, OURS, stops=(3, None))  # the responder cannot know that the initiator's path has the option
ALL = [*IN_MID_HANDSHAKE, *LAST_OF_RESPONDER, *LAST_OF_INITIATOR, FALLS_BACK]


class StrippedTest(Crowd):
    def setUp(self):
        super().setUp()
        for number, handshake in enumerate(ALL, 1):
            handshake.place(number)
        self.join([handshake.link for handshake in ALL])

    def test_both_sides_end_with_an_error_that_names_the_step(self):
        of = {handshake.address: handshake for handshake in ALL}

        def hook(frame):
            return of[frame.source if frame.came_from == INITIATORS else frame.destination].pass_on(frame) if frame.is_tcp else PASS
        for side in (RESPONDER, INITIATORS):
            self.wire.hook(side, hook)
        node = self.node(data=3, services=[f"echo:{FALLING_BACK},ways=3..74,roll-call-timeout=0s",
                                           f"echo:{INSISTING},ways=4..74,roll-call-timeout=0s"], link=RESPONDER, host_address=None)
        for handshake in ALL:
            self.start_send(handshake)
        errors = {handshake: self.error_of(handshake) for handshake in ALL}
        # Nothing is half-open, at either side: the initiators' processes have ended.
        lab.wait_for(lambda: {stream["state"] for stream in node.streams()} == {"CLOSED"}, 20, lambda: str(node.streams()))
        self.assertEqual(len(node.streams()), len(ALL))
        events = {handshake: [e for e in node.events("handshake") if e["peer"].startswith(handshake.address + ":")] for handshake in ALL}
        for handshake in [*IN_MID_HANDSHAKE, *LAST_OF_RESPONDER, FALLS_BACK]:
            with self.subTest(handshake=str(handshake)):
                self.assertIn("no connection", errors[handshake])
                self.assertIn(f"step {handshake.stops[0]} of {handshake.ways}", errors[handshake])
        for handshake in [*IN_MID_HANDSHAKE, *LAST_OF_INITIATOR]:
            with self.subTest(handshake=str(handshake)):
                found = [(event["established"], event["ways"], event["sent"]) for event in events[handshake]]
                self.assertEqual(found, [(False, handshake.ways, handshake.stops[1])])
        for handshake in LAST_OF_INITIATOR:
            with self.subTest(handshake=str(handshake)):
                self.assertRegex(errors[handshake], "step 9 of 9|connection reset")
        for handshake in LAST_OF_RESPONDER:
            with self.subTest(handshake=str(handshake)):
                self.assertTrue(events[handshake][0]["established"])
        self.assertEqual([event["ways"] for event in events[FALLS_BACK]], [3])
        self.assertNotIn("both ends finished", [stream["closed_because"] for stream in node.streams()])

    def start_send(self, handshake):
        command = send_command("--ways", handshake.ways, "--roll-call-timeout", "0s", "--policy", "best-effort", port=handshake.port, link=handshake.link,
                               address=handshake.address)
        handshake.process = subprocess.Popen([*command, os.devnull], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end_process, handshake.process)

    def error_of(self, handshake):
        _, error = handshake.process.communicate(timeout=MINUTES)
        self.assertEqual(handshake.process.returncode, 1, str(handshake))
        return error.decode()


if __name__ == "__main__":
    case.main()
