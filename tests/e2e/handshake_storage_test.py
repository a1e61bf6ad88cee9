#!/usr/bin/env python3
"""What a handshake of N ways certifies where one of three directories fails, hangs or fills up in its middle (docs/handshake.md, rule 9).

With three directories a record is stored on two: the third copy is what a step asks for and storage does not give. The wire holds the
step before that one until the disk is struck, and lets go then."""

import os

import case
import disks
import lab
import network
from frame import SHORT
from two_nodes import INITIATOR, RESPONDER, SMALL, TwoNodes, copies_on_disk
from ways import HELLO
from wire import HOLD, PASS

IN_TIME = "60s"  # a roll call that a slow machine does not end
PATIENT = 7002   # port of the service that waits so long


class StruckCase(disks.Disks, TwoNodes):
    """8 ways; the responder has the disk that is struck, and step 8 asks it for three copies."""

    strikes, ways = RESPONDER, 8

    def setUp(self):
        super().setUp()
        self.isn, self.held, self.certified = {}, [], None

    def begin(self, *more, port=7000, policy="best-effort"):
        """The wire holds the step before the last; returns the process of the initiator."""
        self.third = self.mount_ext4("third", 64)
        three = [self.directory.make("first"), self.directory.make("second"), self.third]
        other = [self.directory.make(f"other-{i}") for i in range(3)]
        data, self.mine = (three, other[:2]) if self.strikes == RESPONDER else (other, three)
        self.struck = three
        services = [f"echo:7000,ways=3..74,policy={policy}", "store:7001",
                    f"echo:{PATIENT},ways=3..74,policy={policy},roll-call-timeout={IN_TIME}"]
        self.server = self.node(data=data, services=services, link=RESPONDER, host_address=None, extra=SMALL)
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, self.hold)
        process = self.start_send("--ways", self.ways, *more, data=self.mine, source=self.file(HELLO), port=port)
        self.wire.wait_held()
        return process

    def note_isn(self, frame):
        if frame.ways and frame.kind in ("SYN", "SYN-ACK"):
            self.isn[frame.came_from] = frame.seq

    def hold(self, frame):
        self.note_isn(frame)
        return HOLD if frame.ways and frame.ways.step == self.ways - 1 and not frame.payload_length else PASS

    def go_on(self):
        """The step that was held arrives, once."""
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, self.look)
        self.wire.release(self.wire.held()[0])
        self.wire.discard()

    def look(self, frame):
        self.note_isn(frame)
        if self.certified is None and frame.ways and frame.ways.step == self.ways and not frame.payload_length:
            self.certified = frame.ways.copies, self.copies(), frame.ways.flags
        return PASS

    def copies(self, directories=None):
        """Of the record that the last step is about: it says that the step before it has come."""
        there = INITIATOR if self.strikes == RESPONDER else RESPONDER
        return copies_on_disk(directories or self.struck, self.isn[self.strikes], self.isn[there], received=self.ways - 1)

    def lose_third(self):
        disks.fail(self.third)
        self.struck.remove(self.third)  # there is no reading it any more

    def check_error(self, error):
        self.assertIn(f"the peer holds 2 copies of the connection's record where step {self.ways} of {self.ways} asks for 3", error)

    def strict(self, process):
        """The initiator's, against a responder that is short."""
        _, error = self.finish(process, status=1)
        self.assertEqual(self.certified, (2, 2, SHORT))
        self.check_error(error)
        numbers = self.the_handshake("sent", "copies", "copies_asked")
        self.assertEqual(numbers, (8, 2, 3))

    def best_effort(self, process):
        out, _ = self.finish(process)
        self.assertEqual((out, self.certified), (HELLO, (2, 2, SHORT)))

    def whole(self, process):
        """Three copies after all."""
        out, _ = self.finish(process)
        self.assertEqual((out, self.certified), (HELLO, (3, 3, 0)))

    def the_handshake(self, *names):
        """The first event. (Who sends step N is established then, and hears later that the other side gave it up: another event.)"""
        event = lab.wait_for(lambda: self.server.events("handshake"), 20, lambda: "no handshake has ended")[0]
        return tuple(event[name] for name in names)


class FailedDiskTest(StruckCase):
    def test_strict(self):
        process = self.begin("--policy", "strict")
        self.lose_third()
        self.go_on()
        self.strict(process)

    def test_best_effort(self):
        process = self.begin("--policy", "best-effort")
        self.lose_third()
        self.go_on()
        self.best_effort(process)
        self.assertEqual([event["location"] for event in self.server.events("location-failed")], [self.third])


class HangingDiskTest(StruckCase):
    def test_strict(self):
        process = self.begin("--policy", "strict")
        with disks.hanging(self.third):
            self.go_on()
            self.strict(process)
        self.check_once_it_is_back()

    def test_best_effort(self):
        process = self.begin("--policy", "best-effort")
        with disks.hanging(self.third):
            self.go_on()
            self.best_effort(process)
        self.check_once_it_is_back()

    def check_once_it_is_back(self):
        """The next handshake has three copies, and nothing has failed."""
        self.certified = None
        self.whole(self.start_send("--ways", 8, "--roll-call-timeout", IN_TIME, data=self.mine, source=self.file(HELLO), port=PATIENT))
        self.assertEqual(self.server.events("location-failed") + self.server.events("location-behind"), [])

    def test_back_before_the_roll_call_is_over(self):
        process = self.begin("--policy", "strict", "--roll-call-timeout", IN_TIME, port=PATIENT)
        with disks.hanging(self.third):
            self.go_on()
            lab.wait_for(lambda: self.copies() == 2, 30, lambda: "not stored on the other two")
            self.assertIsNone(self.certified)
        self.whole(process)


class FullDiskTest(StruckCase):
    """Segments are prepared ahead: a disk that is full has room for a handshake until they are used up."""

    def test_full_with_segments_prepared(self):
        process = self.begin("--policy", "strict")
        disks.fill(self.ballast())
        self.go_on()
        self.whole(process)

    def test_strict(self):
        process = self.begin("--policy", "strict")
        self.use_up()
        self.go_on()
        self.strict(process)

    def test_best_effort(self):
        process = self.begin("--policy", "best-effort")
        self.use_up()
        self.go_on()
        self.best_effort(process)

    def test_room_before_the_roll_call_is_over(self):
        process = self.begin("--policy", "strict", "--roll-call-timeout", IN_TIME, port=PATIENT)
        self.use_up()
        self.go_on()
        lab.wait_for(lambda: self.copies() == 2, 30, lambda: "not stored on the other two")
        self.assertIsNone(self.certified)
        os.unlink(self.ballast())
        self.whole(process)

    def ballast(self):
        return os.path.join(self.third, "ballast")

    def use_up(self):
        """Fills the disk, and what is prepared on it by an upload of a kernel client, at the near end of the responder's device."""
        disks.fill(self.ballast())
        network.ip("address", "add", f"{lab.HOST}/24", "dev", RESPONDER)
        client = self.connect(7001)
        for i in range(64):
            piece = case.random_bytes(200_000, seed=i)
            client.sendall(piece)
            stored_in = lab.wait_for(lambda piece=piece: segment_with(self.struck[0], piece[-100:]), 30, lambda: "not stored")
            if not os.path.exists(os.path.join(self.third, stored_in)):
                return
        self.fail("there is always a segment")


class StrictResponderTest(StruckCase):
    """The other way round: 9 ways, and the initiator's step 9 asks it for three copies."""

    strikes, ways = INITIATOR, 9

    def test_a_disk_that_fails(self):
        process = self.begin(policy="strict")
        self.lose_third()
        self.go_on()
        self.check_reset(process)

    def test_a_disk_that_hangs(self):
        process = self.begin(policy="strict")
        with disks.hanging(self.third):
            self.go_on()
            self.the_handshake()
        self.check_reset(process)  # a process cannot end while a write of its own hangs

    def test_a_disk_that_fails_and_best_effort(self):
        process = self.begin(policy="best-effort")
        self.lose_third()
        self.go_on()
        self.best_effort(process)
        self.assertEqual(self.the_handshake("established", "received", "peer_copies", "peer_copies_asked"), (True, 9, 2, 3))

    def check_reset(self, process):
        _, error = self.finish(process, status=1)
        self.assertIn("gave the handshake up when step 9 of 9 certified 2 of the 3 copies that it asks for", error)
        self.assertEqual(self.certified, (2, 2, SHORT))
        self.assertEqual(self.the_handshake("established", "received", "peer_copies", "peer_copies_asked"), (False, 9, 2, 3))
        self.check_error(self.server.log())


def segment_with(directory, content):
    """The name of the file that holds this, or None."""
    for name in os.listdir(directory):
        if name.startswith("segment-"):
            with open(os.path.join(directory, name), "rb") as file:
                if content in file.read():
                    return name
    return None


if __name__ == "__main__":
    case.main()
