#!/usr/bin/env python3
"""What is found in captures of handshakes of N ways (steps.py), shown by captures made by hand: needs neither the program nor
namespaces."""

import functools
import unittest

from frame import ACK, FIN, PSH, SYN, WAYS_KIND, made, ways_option
from steps import EVERY_N, faults, last_steps, prompt_repetitions, settled, unmarked

INITIATOR, RESPONDER = 40000, 7000
SOME_N = (*range(3, 10), 20, 73, 74)


@functools.cache
def segment(source, flags, option=b"", payload=b"", ack=1, window=100):
    return made(source_port=source, destination_port=RESPONDER if source == INITIATOR else INITIATOR, flags=flags, options=option,
                payload=payload, ack=ack, window=window)


def step(n, k, **more):
    return segment(INITIATOR if k % 2 else RESPONDER, {1: SYN, 2: SYN | ACK}.get(k, ACK), ways_option(n, k) if n > 3 else b"", **more)


def initiators(payload=b"data", **more):
    return segment(INITIATOR, ACK | PSH, payload=payload, **more)


def responders(payload=b"echo", **more):
    return segment(RESPONDER, ACK | PSH, payload=payload, **more)


@functools.cache
def marked(of, n):
    """With the option of the last step."""
    return of.altered(options=ways_option(n, n))


def handshake(n):
    return [step(n, k) for k in range(1, n + 1)]


def after(n):
    """The sender of step n says it until its peer has sent something; data both ways; the close."""
    both = {"option": ways_option(n, n)} if n > 3 else {}
    first = [segment(INITIATOR, ACK | PSH, payload=b"data", **both)] if n % 2 else [initiators(), step(n, n, ack=5)]
    acks = [segment(INITIATOR, ACK, ack=5), segment(INITIATOR, ACK, ack=5, window=200)]
    return [*(first if n > 3 else [initiators()]), responders(), *acks,
            segment(INITIATOR, ACK | FIN), segment(RESPONDER, ACK, ack=7), segment(RESPONDER, ACK | FIN), segment(INITIATOR, ACK, ack=7)]


def capture(n):
    return handshake(n) + after(n)


class FaultsTest(unittest.TestCase):
    def found(self, n, segments, words):
        """One line or more, and the first has these words."""
        lines = faults(n, segments)
        self.assertTrue(lines, f"{n} ways: nothing is found")
        self.assertIn(words, lines[0], n)

    def test_every_handshake_as_it_should_be_has_none(self):
        for n in EVERY_N:
            self.assertEqual(faults(n, capture(n)), [], n)

    def test_a_step_that_comes_again(self):
        for n in SOME_N:
            for k in range(1, n + 1):
                whole = capture(n)
                self.found(n, [*whole[:k], step(n, k), *whole[k:]], f"in the place of step {k + 1}" if k < n else f"step {n} again")
                self.found(n, [*whole[:n], step(n, k), *whole[n:]], f"step {k} again")
                if k < n:
                    self.found(n, [*whole[:n], step(n, k, window=101), *whole[n:]], f"step {k} again")

    def test_a_step_that_is_missing_or_early(self):
        for n in SOME_N:
            for k in range(1, n + 1):
                whole = capture(n)
                self.found(n, whole[:k - 1] + whole[k:], f"in the place of step {k}")
            self.found(n, [*whole[:1], whole[2], whole[1], *whole[3:]], "in the place of step 2")
        self.found(8, handshake(8)[:6], "only 6 segments")

    def test_a_segment_without_the_option_in_the_handshake(self):
        for n in SOME_N:
            for k in range(3 if n > 3 else 2, n):
                for sender in (INITIATOR, RESPONDER):
                    for extra in (segment(sender, ACK), segment(sender, ACK | PSH, payload=b"early"), segment(sender, ACK | FIN)):
                        whole = capture(n)
                        if n == 3 and (sender, extra.flags) == (INITIATOR, ACK) and not extra.payload_length:
                            continue  # that is step 3
                        self.found(n, [*whole[:k], extra, *whole[k:]], f"in the place of step {k + 1}")

    def test_a_step_that_brings_data(self):
        for n in EVERY_N:
            whole = capture(n)
            self.found(n, [*whole[:n - 1], step(n, n, payload=b"data"), *whole[n:]], f"in the place of step {n}")

    def test_an_option_with_three_ways(self):
        whole = capture(3)
        for at, of in enumerate(whole):
            for option in (ways_option(3, 3), bytes([WAYS_KIND, 4, 0, 0])):
                self.found(3, [*whole[:at], of.altered(options=option), *whole[at + 1:]], "an option, with three ways")

    def test_the_option_where_it_has_to_be_over(self):
        for n in EVERY_N[1:]:
            whole = capture(n)
            other = INITIATOR if last_steps(n)[1] < n else RESPONDER  # who received step n
            late = segment(other, ACK | PSH, ways_option(n, n - 1), b"late")
            self.found(n, [*whole[:n], late, *whole[n:]], "the option, after the handshake")
            for at in range(-4, 0):
                self.found(n, [*whole[:at], marked(whole[at], n), *whole[at + 1 or len(whole):]], "the option, after the first FIN")


class SettledTest(unittest.TestCase):
    def test_steps_repetitions_and_others(self):
        for n in EVERY_N:
            steps, repeated, others = settled(n, capture(n))
            self.assertEqual((len(steps), repeated, len(others)), (n, [], len(after(n))))
            whole = [*handshake(n), step(n, n), step(n, 2), *after(n)]
            steps, repeated, others = settled(n, whole)
            self.assertEqual((steps, repeated, len(others)), (whole[:n], whole[n:n + 2], len(after(n))))


class PromptRepetitionsTest(unittest.TestCase):
    @staticmethod
    def at(time, segment):
        segment = segment.altered()
        segment.time = time
        return segment

    def test_each_counts_for_the_step_that_was_new_before_it(self):
        for n in SOME_N:
            whole = [self.at(k, step(n, k)) for k in range(1, n + 1)]
            none = dict.fromkeys(range(1, n + 1), 0)
            self.assertEqual(prompt_repetitions(n, whole), none)
            self.assertEqual(prompt_repetitions(n, whole[:2]), {1: 0, 2: 0})
            for k in range(1, n):
                again = [self.at(k + 0.5, step(n, k)), self.at(k + 0.9, step(n, k))]
                self.assertEqual(prompt_repetitions(n, [*whole[:k + 1], *again, *whole[k + 1:]]), {**none, k + 1: 2})

    def test_a_timer_is_patient(self):
        whole = [self.at(0, one) for one in handshake(8)]
        for times, prompt in (([0.9], 1), ([1.0], 0), ([1.0, 1.9], 1), ([1.0, 3.0, 7.0], 0)):
            again = [self.at(time, step(8, 4)) for time in times]
            self.assertEqual(prompt_repetitions(8, whole + again)[8], prompt, times)

    def test_what_carries_the_last_step_is_no_repetition_of_it(self):
        for n in SOME_N:
            segments = [self.at(0, one) for one in capture(n)]
            self.assertEqual(sum(prompt_repetitions(n, segments).values()), 0)


class UnmarkedTest(unittest.TestCase):
    def test_repetitions_and_data_of_the_last_step_are_marked(self):
        for n in EVERY_N[1:]:
            whole = [step(n, k) for k in range(1, n) for _ in range(3)]
            self.assertEqual(unmarked(n, [*whole, segment(INITIATOR, ACK | PSH, ways_option(n, n), b"data"), *after(n)]), [])
            self.assertEqual(unmarked(n, whole), [])

    def test_a_segment_without_the_option_before_the_last_step_has_come(self):
        for n in SOME_N[1:]:
            for extra in (segment(INITIATOR, ACK), responders()):
                for at in range(n):
                    whole = capture(n)
                    self.assertEqual(unmarked(n, [*whole[:at], extra, *whole[at:]]), [extra])

    def test_three_ways_have_none(self):
        whole = capture(3)
        self.assertEqual(unmarked(3, whole), [])
        for at, of in enumerate(whole):
            self.assertEqual(unmarked(3, [*whole[:at], marked(of, 3), *whole[at + 1:]]), [marked(of, 3)])


if __name__ == "__main__":
    unittest.main()
