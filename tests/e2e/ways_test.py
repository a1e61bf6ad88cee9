#!/usr/bin/env python3
"""The N-way handshake between two programs of ours, over real TAP devices (docs/handshake.md)."""

import os
import re
import time

import case
import frame as frames
import lab
from steps import settled
from two_nodes import INITIATOR, RESPONDER, SENDER, TwoNodes, copies_asked, copies_on_disk
from ways import HELLO
from wire import DROP, PASS


class ThreeWaysTest(TwoNodes):
    def test_three_ways_are_the_ordinary_handshake_byte_for_byte(self):
        plain = self.three("3", "store")
        for ways, words in (("3", ["--ways", 3]), ("3..74", []), ("3..74", ["--ways", 3])):
            self.assertEqual(self.three(ways, "store", *words), plain, f"ways={ways} {words}")

    def three(self, ways, kind, *words):
        """The bytes of the three segments, without what is another each time."""
        begin = len(self.wire.tcp())
        node = self.serve(ways=ways, kind=kind)
        self.finish(self.start_send("--local-port", 5000, *words, source=self.file(HELLO)))
        self.assertEqual(node.stop(), 0)
        steps, _, _ = settled(3, self.wire.tcp()[begin:])
        self.assertEqual([frame.kind for frame in steps], ["SYN", "SYN-ACK", "ACK"])
        return [self.without_chance(frame) for frame in steps]

    @staticmethod
    def without_chance(frame):
        """Zeros for the IP identification, sequence numbers, timestamps, and the checksums over them."""
        timestamps = frame.options.index(bytes([8, 10])) + 2
        options = frame.options[:timestamps] + bytes(8) + frame.options[timestamps + 8:]
        raw = bytearray(frame.altered(seq=0, ack=0, options=options).raw)
        for begin, size in ((18, 2), (24, 2), (50, 2)):
            raw[begin:begin + size] = bytes(size)
        return bytes(raw)


class RollCallTest(TwoNodes):
    """What a step certifies is looked for on the disks, from outside, before the step goes on."""

    def certified(self, ways, data, mine, *more):
        """Returns (process, [(step, copies that it certifies, copies found, flags)])."""
        node = self.serve(data=data)
        own = [self.directory.make(f"initiator-{i}") for i in range(mine)]
        found, isn = [], {}

        def look(frame):
            if frame.kind in ("SYN", "SYN-ACK"):
                isn[frame.came_from] = frame.seq
            if frame.ways and frame.ways.step > 1 and not frame.payload_length:
                here, there = (RESPONDER, INITIATOR) if frame.came_from == RESPONDER else (INITIATOR, RESPONDER)
                directories = node.data if here == RESPONDER else own
                found.append((frame.ways.step, frame.ways.copies, copies_on_disk(directories, isn[here], isn[there]), frame.ways.flags))
            return PASS
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, look)
        return self.start_send("--ways", ways, *more, data=own, source=self.file(HELLO)), found

    def test_eight_ways_with_three_directories_certify_three_copies(self):
        process, found = self.certified(8, 3, 2)
        self.finish(process)
        steps = {step: (copies, on_disk, flags) for step, copies, on_disk, flags in found}
        self.assertEqual(steps[8][0], 3)
        self.assertEqual(steps[7][0], 2)
        for step, (copies, on_disk, flags) in steps.items():
            self.assertGreaterEqual(copies, copies_asked(step), found)
            self.assertGreaterEqual(on_disk, copies, found)
            self.assertEqual(flags, 0)

    def test_seventy_four_ways_with_36_directories_certify_36_and_35_copies(self):
        process, found = self.certified(74, 36, 35)
        self.finish(process)
        steps = {step: (copies, on_disk) for step, copies, on_disk, _ in found}
        self.assertEqual((steps[74][0], steps[73][0]), (36, 35))
        for step, (copies, on_disk) in steps.items():
            self.assertGreaterEqual(on_disk, copies, f"step {step}: {found}")

    def test_too_few_directories_are_short_and_strict_resets(self):
        process, found = self.certified(8, 2, 2)
        _, error = self.finish(process, status=1)
        self.assertEqual({(step, copies) for step, copies, _, flags in found if flags & frames.SHORT}, {(8, 2)})  # every segment carries step N
        self.assertIn("the peer holds 2 copies of the connection's record where step 8 of 8 asks for 3: give it more --data directories "
                      "(3 for 8 ways)", error)

    def test_too_few_directories_are_short_and_best_effort_goes_on(self):
        process, found = self.certified(8, 2, 2, "--policy", "best-effort")
        out, _ = self.finish(process)
        self.assertEqual(out, HELLO)
        self.assertEqual({(step, copies) for step, copies, _, flags in found if flags & frames.SHORT}, {(8, 2)})  # every segment carries step N


class DisagreementTest(TwoNodes):
    def stripped(self, *ways):
        """The option is taken off from the first of these kinds on."""
        def hook(frame):
            return [frame.without_option(frames.WAYS_KIND)] if frame.ways and frame.ways.step in ways else PASS
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, hook)

    def test_a_stripped_syn_or_syn_ack_is_the_ordinary_handshake(self):
        self.serve()
        for step in (1, 2):
            self.stripped(step)
            out, _ = self.finish(self.start_send("--ways", 8, source=self.file(HELLO)))
            self.assertEqual(out, HELLO)

    def test_a_caller_that_requires_more_is_told_why_there_is_none(self):
        self.serve()
        self.stripped(1)
        _, error = self.finish(self.start_send("--ways", "8..8", source=self.file(HELLO)), status=1)
        self.assertIn("knows no N-way handshake", error)

    def test_a_service_that_requires_more_says_how_many(self):
        self.serve(ways="5..74")
        _, error = self.finish(self.start_send("--ways", 4, source=self.file(HELLO)), status=1)
        self.assertIn("the peer requires a handshake of at least 5 ways, 4 were proposed", error)

    def test_a_node_tells_of_those_that_it_refused_but_not_of_each(self):
        node = self.serve(ways="5..74")
        for words in (["--ways", 4], []):
            self.finish(self.start_send(*words, source=self.file(HELLO)), status=1)
        told = lab.wait_for(lambda: self.told(node), 20, lambda: "two refusals are not told")
        self.assertEqual({(event["port"], event["minimum"]) for event in told}, {(7000, 5)})
        self.assertEqual(told[-1]["proposed"], 3)
        self.assertTrue(told[-1]["peer"].startswith(SENDER + ":"), told)
        self.assertIn("refused: port 7000 requires a handshake of at least 5 ways", node.log())
        # At any rate, one event a second.
        spent = len(told)
        syn = next(frame for frame in self.wire.tcp() if frame.kind == "SYN")
        begin = time.monotonic()
        for port in range(2000, 2200):
            self.wire.inject(syn.altered(source_port=port))
        told = lab.wait_for(lambda: self.told(node, 202), 20, lambda: "200 refusals are not told")
        self.assertLessEqual(len(told) - spent, 1 + (time.monotonic() - begin))

    @staticmethod
    def told(node, count=2):
        """The events, once they tell of so many refusals."""
        events = node.events("ways-refused")
        return events if sum(event["count"] for event in events) >= count else None

    def test_a_responder_settles_on_its_most(self):
        self.serve(ways="3..6", data=2)
        self.finish(self.start_send("--ways", 40, source=self.file(HELLO)))
        steps = [frame.ways.step for frame in self.steps() if frame.ways.ways == 6]
        self.assertEqual(sorted(set(steps)), [2, 3, 4, 5, 6])  # more than once where a window update carries the last one
        _, error = self.finish(self.start_send("--ways", "7..40", source=self.file(HELLO)), status=1)
        self.assertIn("settles for 6 ways at most", error)

    def test_each_step_lost_once(self):
        self.serve()
        seen = set()

        def hook(frame):
            if not frame.ways or frame.ways.step in seen:
                return PASS
            seen.add(frame.ways.step)
            return DROP
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, hook)
        out, _ = self.finish(self.start_send("--ways", 5, "--roll-call-timeout", "0s", source=self.file(HELLO)))
        self.assertEqual((out, seen), (HELLO, {1, 2, 3, 4, 5}))


class EventTest(TwoNodes):
    def event(self, node):
        return lab.wait_for(lambda: node.events("handshake"), 20, lambda: "no handshake has ended")[-1]

    def test_each_key_is_documented(self):
        node = self.serve()
        self.finish(self.start_send("--ways", 5, source=self.file(HELLO)))
        with open(os.path.join(lab.ROOT, "docs", "operating.md"), encoding="utf-8") as file:
            section = file.read().split("The keys of `handshake`:")[1].split("\n\n")[1]
        documented = {key for line in section.splitlines()[2:] for key in re.findall(r"`([a-z_]+)`", line.split("|")[1])}
        self.assertEqual(set(self.event(node)) - {"time", "unix_ns", "event", "pid"}, documented)

    def test_one_that_is_established_has_no_reason(self):
        node = self.serve(options=",policy=strict")
        self.finish(self.start_send("--ways", 5, source=self.file(HELLO)))
        event = self.event(node)
        self.assertEqual((event["established"], event["reason"], event["port"]), (True, None, 7000))
        self.assertEqual((event["volatile"], event["peer_volatile"], event["copies"]), (False, True, 1))

    def test_one_that_failed_has_a_reason_and_the_log_names_the_service_s_own_settings(self):
        node = self.serve(data=3, options=",policy=strict")
        self.finish(self.start_send("--ways", 9, data=[self.directory.make("only")], source=self.file(HELLO)), status=1)
        event = self.event(node)
        self.assertEqual((event["established"], event["reason"]), (False, "too-few-copies"))
        self.assertEqual((event["peer_copies"], event["peer_copies_asked"], event["peer_volatile"]), (1, 2, False))
        line, = [line for line in node.log().splitlines() if "no connection" in line]
        self.assertIn("(3 for 9 ways), see to its storage, lower the service's ways= (to 6 for 1 copy), or accept that "
                      "(policy=best-effort)", line)
        self.assertNotIn("--ways", line)
        self.assertNotIn("--policy", line)


class KillTest(TwoNodes):
    """SIGKILL of either side while a step is in the wire; then the step arrives, and the side comes back."""

    def test_a_dead_node_goes_on_in_mid_handshake(self):
        node = self.serve(data=3)
        for step in (2, 3, 5, 7, 8):
            self.kill_after(step, lambda: node.kill_node())

    def kill_after(self, step, kill):
        held = []

        def hook(frame):
            if frame.ways and frame.ways.step == step and not held:
                held.append(frame)
                kill()
            return PASS
        for side in (RESPONDER, INITIATOR):
            self.wire.hook(side, hook)
        out, _ = self.finish(self.start_send("--ways", 8, source=self.file(HELLO)))
        self.assertEqual((out, len(held)), (HELLO, 1), f"killed after step {step}")


if __name__ == "__main__":
    case.main()
