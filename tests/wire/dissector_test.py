#!/usr/bin/env python3
"""packaging/wireshark/holdfast.lua: what tshark makes of captures that are written here byte by byte.

tshark is run as whoever runs this; as nobody where root's tshark is configured to load no scripts.
"""

import copy
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging/wireshark/holdfast.lua"

FIN, SYN, RST, ACK = 1, 2, 4, 16
VOLATILE, SHORT, REFUSED = 1, 2, 4
# 192.0.2.0/24 and 2001:db8::/32 are for documentation.
CLIENT, SERVER = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
CLIENT6, SERVER6 = bytes.fromhex("20010db8" + "0" * 23 + "1"), bytes.fromhex("20010db8" + "0" * 23 + "2")
PORT = 7000
FIRST_ISN, SECOND_ISN = 1000, 500000

# Every field and expert info of the script, without its prefix.
VALUES = ("ways", "step", "copies", "flags", "flags.reserved", "flags.refused", "flags.short", "flags.volatile",
          "nonce", "echo")
GENERATED = ("raw", "role", "copies_asked", "answers", "answered_in", "again", "time", "quoted")
EXPERTS = ("bad.length", "bad.ways", "bad.step", "bad.twice", "misplaced", "few_copies", "refusal", "reserved_set",
           "other_ways", "other_side", "answers_nothing", "sent_again")


# ---- Bytes ----

def option(ways=8, step=1, copies=0, flags=0, nonce=0, echo=0, length=16, exid=b"HF", kind=253):
    return struct.pack("!BB2sBBBBII", kind, length, exid, ways, step, copies, flags, nonce, echo)


def nonce_of(step):
    return 0xA0000000 + step


def step(number, ways=8, **values):
    """The option of a step in a handshake where nothing goes wrong."""
    asked = max(0, number // 2 - 1)
    return option(**{"ways": ways, "step": number, "copies": asked, "nonce": nonce_of(number),
                     "echo": nonce_of(number - 1) if number > 1 else 0, **values})


def segment(options, flags, from_client=True, port=40000, seq=None, payload=b"", data_offset=None, server_port=PORT):
    options += b"\1" * (-len(options) % 4)
    begin = FIRST_ISN if from_client else SECOND_ISN
    ack = (SECOND_ISN if from_client else FIRST_ISN) + 1 if flags & ACK else 0
    ports = (port, server_port) if from_client else (server_port, port)
    data_offset = data_offset if data_offset is not None else (20 + len(options)) // 4
    seq = seq if seq is not None else begin + (0 if flags & SYN else 1)
    return struct.pack("!HHIIBBHHH", *ports, seq, ack, data_offset << 4, flags, 1000, 0, 0) + options + payload


def ipv4(body, from_client=True, protocol=6, fragment=0):
    ends = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, fragment, 64, protocol, 0, *ends) + body


def ipv6(body, from_client=True):
    ends = (CLIENT6, SERVER6) if from_client else (SERVER6, CLIENT6)
    return struct.pack("!IHBB16s16s", 6 << 28, len(body), 6, 64, *ends) + body


def frame(options, flags, from_client=True, **more):
    return ipv4(segment(options, flags, from_client, **more), from_client)


def step_flags(number):
    return {1: SYN, 2: SYN | ACK}.get(number, ACK)


def step_frame(number, ways=8, port=40000, **values):
    return frame(step(number, ways, **values), step_flags(number), number % 2 == 1, port=port)


def handshake(ways=8, port=40000):
    return [step_frame(number, ways, port) for number in range(1, ways + 1)]


def icmp_error(quoted, from_client=False):
    return ipv4(struct.pack("!BBHI", 3, 1, 0, 0) + quoted, from_client, protocol=1)


class Cut(bytes):
    """A packet of which a capture keeps the beginning only."""

    def __new__(cls, packet, kept):
        cut = super().__new__(cls, packet)
        cut.kept = kept
        return cut


def write_pcap(path, packets):
    """Bare IP packets, half a second apart."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number, packet in enumerate(packets):
            kept = packet[:getattr(packet, "kept", None)]
            seconds, microseconds = 1_700_000_000 + number // 2, number % 2 * 500_000
            file.write(struct.pack("<IIII", seconds, microseconds, len(kept), len(packet)) + kept)


def accepted(options):
    """(ways, step) of the option that src/wire/tcp.cc takes from these bytes; None where it takes none."""
    found = []
    while options and options[0] != 0:
        if options[0] == 1:
            options = options[1:]
            continue
        if len(options) < 2 or not 2 <= options[1] <= len(options):
            break
        one, options = options[:options[1]], options[options[1]:]
        if one[0] == 253 and len(one) == 16 and one[2:4] == b"HF" and 3 <= one[4] <= 74 and 1 <= one[5] <= one[4]:
            found.append((one[4], one[5]))
    return found[0] if len(found) == 1 else None


# ---- tshark ----

NAMES = [f"holdfast.{name}" for name in (*VALUES, *GENERATED, *EXPERTS)]
NAMES += ["_ws.col.Info", "_ws.expert.message", "tcp.options.experimental.exid", "tcp.options.tfo.cookie"]


class Tshark:
    """A directory for captures, and tshark without preferences and plugins of whoever runs this."""

    user = {}  # for subprocess.run()

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-dissector-"))
        self.directory.chmod(0o755)
        self.script = Path(shutil.copy(SCRIPT, self.directory))
        self.script.chmod(0o644)

    def remove(self):
        shutil.rmtree(self.directory)

    def capture(self, packets):
        path = self.directory / "packets.pcap"
        write_pcap(path, packets)
        path.chmod(0o644)
        return path

    def run(self, *arguments, load=True):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WIRESHARK", "XDG_"))}
        loads = ["-X", f"lua_script:{self.script}"] if load else []
        done = subprocess.run(["tshark", *arguments, *loads], capture_output=True, text=True, check=False, timeout=100,
                              env={**kept, "HOME": str(self.directory), "LC_ALL": "C.UTF-8"}, cwd=self.directory,
                              **self.user)
        # It does not like to be run by root, and says so. Of a script that cannot be loaded it speaks here, too.
        complaints = re.sub(r'Running as user "root" and group "root"\. This could be dangerous\.\n', "", done.stderr)
        if done.returncode != 0 or complaints:
            raise AssertionError(f"tshark {arguments} ended with {done.returncode}: {complaints}")
        return done.stdout

    def fields(self):
        listed = [line.split("\t") for line in self.run("-G", "fields").splitlines()]
        return {line[2] for line in listed if line[0] == "F" and line[2].startswith("holdfast.")}

    @classmethod
    def become_nobody(cls):
        cls.user = {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def dissect(self, packets, *arguments):
        """For each packet its fields with their values, those of expert infos being "1"; without what is not there."""
        columns = [word for name in (*NAMES, "_ws.lua.error") for word in ("-e", name)]
        shape = ("-T", "fields", "-E", "separator=/t", "-E", "aggregator=;")
        lines = self.run("-n", "-r", self.capture(packets), *shape, *columns, *arguments).split("\n")[:-1]
        if len(lines) != len(packets):
            raise AssertionError(f"{len(packets)} packets, {len(lines)} lines")
        return [self.values(line) for line in lines]

    @staticmethod
    def values(line):
        *found, lua_error = line.split("\t")
        if lua_error:  # the script's, when it ran
            raise AssertionError(line)
        pairs = zip(NAMES, found, strict=True)
        values = {name.removeprefix("holdfast."): value.split(";") for name, value in pairs if value}
        values["info"] = values.pop("_ws.col.Info", [""])[0]
        values["messages"] = values.pop("_ws.expert.message", [])
        return values


# Without a read filter tshark makes no fields in the first of two passes.
TWO_PASSES = ("-2", "-R", "frame")

# tshark takes most of a second to start: what the tests want to know is asked at once. Each capture is given a client
# address of its own, and frame numbers that begin at 1.
captures = []


def reads(*wanted):
    """The test is given what two passes of tshark make of each of these captures, lists of packets."""
    first = len(captures)
    captures.extend(wanted)

    def decorate(test):
        def wrapped(self):
            test(self, *self.read(TWO_PASSES)[first:first + len(wanted)])

        wrapped.__name__ = test.__name__
        return wrapped

    return decorate


class Dissector(unittest.TestCase):
    done = {}  # what the captures are found to be: by tshark's arguments

    def setUp(self):
        self.tshark = Tshark()
        self.addCleanup(self.tshark.remove)

    def read(self, arguments):
        if arguments not in self.done:
            everything = [self.moved(packet, bytes([198, 18, index // 256, index % 256]))
                          for index, packets in enumerate(captures) for packet in packets]
            found = iter(self.tshark.dissect(everything, *arguments))
            self.done[arguments], begin = [], 0
            for packets in captures:
                self.done[arguments].append([self.renumbered(next(found), begin) for _ in packets])
                begin += len(packets)
        return self.done[arguments]

    @staticmethod
    def moved(packet, address):
        moved = packet.replace(CLIENT, address)
        return Cut(moved, packet.kept) if isinstance(packet, Cut) else moved

    @staticmethod
    def renumbered(values, begin):
        for name in {"answers", "answered_in", "again"} & set(values):
            values[name] = [str(int(number) - begin) for number in values[name]]
        values["messages"] = [re.sub(r"^Frame (\d+)", lambda found: f"Frame {int(found[1]) - begin}", text)
                              for text in values["messages"]]
        return values

    def experts(self, values):
        return sorted(set(EXPERTS) & set(values))

    def assert_values(self, values, **wanted):
        """`wanted`: each field by its name, dots as two underscores; None: it is not there."""
        for name, value in wanted.items():
            name = name.replace("__", ".")
            self.assertEqual(values.get(name), None if value is None else [str(value)], f"{name} in {values}")

    def assert_info(self, values, ending):
        self.assertTrue(values["info"].endswith(ending), values["info"])


class Handshakes(Dissector):
    @reads(handshake())
    def test_each_field_of_a_whole_handshake_is_shown(self, frames):
        for number, values in enumerate(frames, 1):
            asked = [0, 0, 0, 1, 1, 2, 2, 3][number - 1]
            self.assert_values(
                values, ways=8, step=number, copies=asked, flags="0x00", flags__reserved="0x00", flags__refused=0,
                flags__short=0, flags__volatile=0, nonce=f"0x{nonce_of(number):08x}",
                echo=f"0x{nonce_of(number - 1):08x}" if number > 1 else "0x00000000", copies_asked=asked,
                role="initiator" if number % 2 else "responder", answers=number - 1 if number > 1 else None,
                time="0.500000000" if number > 1 else None, answered_in=number + 1 if number < 8 else None,
                again=None, quoted=None, raw=None)
            self.assertEqual(self.experts(values), [])
            self.assert_info(values, f" HF step {number}/8 copies {asked}")

    def test_one_pass_says_the_same_but_for_what_comes_later(self):
        # What Wireshark says by itself differs as well.
        def ours(values):
            return {**values, "info": values["info"].partition(" HF ")[2]}

        for once, twice in zip(self.read(()), copy.deepcopy(self.read(TWO_PASSES)), strict=True):
            for values in twice:
                values.pop("answered_in", None)
            self.assertEqual([ours(values) for values in once], [ours(values) for values in twice])

    @reads(*(handshake(ways) for ways in (4, 5, 8, 74)))
    def test_every_number_of_ways_asks_for_the_copies_that_the_specification_says(self, *of_ways):
        for (of_responder, of_initiator), frames in zip(((1, 0), (1, 1), (3, 2), (36, 35)), of_ways, strict=True):
            for role, most in (("responder", of_responder), ("initiator", of_initiator)):
                asked = [int(values["copies_asked"][0]) for values in frames if values["role"] == [role]]
                self.assertEqual(max(asked), most)
            self.assertEqual([self.experts(values) for values in frames], [[]] * len(frames))

    @reads([step_frame(number, copies=0, flags=VOLATILE) for number in range(1, 9)])
    def test_a_volatile_sender_is_asked_for_no_copies(self, frames):
        for values in frames:
            self.assert_values(values, copies_asked=0, flags="0x01", flags__volatile=1, flags__short=0,
                               flags__refused=0)
            self.assertEqual(self.experts(values), [])
            self.assert_info(values, " copies 0 VOLATILE")

    @reads([*handshake()[:5], step_frame(6, copies=1, flags=SHORT)], [*handshake()[:7], step_frame(8, copies=0)],
           [*handshake()[:5], step_frame(6, copies=2, flags=SHORT)], [*handshake()[:2], step_frame(3, flags=SHORT)])
    def test_too_few_copies_are_pointed_out_with_both_numbers(self, honest, silent, late, none_asked):
        self.assert_values(honest[-1], flags="0x02", flags__short=1, flags__volatile=0, few_copies=1, copies_asked=2)
        self.assertIn("1 copy and SHORT where this step asks for 2: a strict peer resets", honest[-1]["messages"])
        self.assert_info(honest[-1], " HF step 6/8 copies 1 SHORT")
        self.assertEqual(self.experts(silent[-1]), ["few_copies"])
        self.assertIn("0 copies where this step asks for 3: a strict peer resets", silent[-1]["messages"])
        # Sent again, with copies that came after the roll call: SHORT still counts.
        self.assertEqual(self.experts(late[-1]), ["few_copies"])
        self.assertEqual(self.experts(none_asked[-1]), [])

    @reads([step_frame(1, 5), frame(option(9, 2, 0, REFUSED, 0, nonce_of(1)), RST | ACK, False)])
    def test_a_refusal_gives_the_minimum(self, frames):
        self.assert_values(frames[0], answered_in=2)
        self.assert_values(frames[1], ways=9, flags="0x04", flags__refused=1, flags__short=0, flags__volatile=0,
                           refusal=1, answers=1, copies_asked=None, role="responder")
        self.assertEqual(self.experts(frames[1]), ["refusal"])
        self.assertIn("The responder takes no fewer than 9 ways", frames[1]["messages"])
        self.assert_info(frames[1], " HF refused, ways at least 9")

    @reads([step_frame(1, 5), *[frame(option(9, 2, 0, REFUSED, 0, nonce_of(1)), RST | ACK, False)] * 2,
            step_frame(3, 8, echo=0)])
    def test_a_refusal_settles_nothing_and_is_no_step(self, frames):
        experts = [self.experts(values) for values in frames]
        self.assertEqual(experts, [[], ["refusal"], ["refusal"], ["answers_nothing"]])

    @reads([packet for packet in handshake()[:2] for _ in range(2)] + handshake()[2:3])
    def test_a_step_that_is_sent_again_is_told_from_its_first_time(self, frames):
        self.assertEqual([values.get("again") for values in frames], [None, ["1"], None, ["3"], None])
        self.assertEqual([values.get("answers") for values in frames], [None, None, ["2"], ["2"], ["4"]])
        self.assertEqual([values.get("answered_in") for values in frames], [["3"], ["3"], ["5"], ["5"], None])
        self.assertEqual([self.experts(values) for values in frames], [[], ["sent_again"], [], ["sent_again"], []])
        self.assert_info(frames[1], " HF step 1/8 copies 0 (again)")

    # The same nonces in both: only the conversation tells which step is answered.
    @reads([packet for pair in zip(handshake(), handshake(port=40001), strict=True) for packet in pair])
    def test_connections_side_by_side_are_told_apart(self, frames):
        self.assertEqual([values.get("answers") for values in frames], [None, None, *([str(i)] for i in range(1, 15))])
        self.assertEqual([self.experts(values) for values in frames], [[]] * 16)

    @reads([*handshake(), frame(step(1), SYN, seq=FIRST_ISN + 7_000_000)])
    def test_a_port_that_is_used_again_is_another_conversation(self, frames):
        self.assert_values(frames[-1], again=None, step=1)
        self.assertEqual(self.experts(frames[-1]), [])

    @reads([ipv6(segment(step(i, 5), step_flags(i), i % 2 == 1), i % 2 == 1) for i in range(1, 6)] +
           [ipv6(segment(step(5, 5), ACK, payload=b"hello"))])
    def test_ipv6_and_data_behind_the_header_are_no_obstacle(self, frames):
        self.assertEqual([values.get("answers") for values in frames], [None, ["1"], ["2"], ["3"], ["4"], ["4"]])
        self.assert_values(frames[-1], again=5, step=5)

    @reads([frame(bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307") + step(1), SYN)])
    def test_other_options_before_it_are_passed_over(self, frames):
        self.assert_values(frames[0], step=1, ways=8)

    @reads([ipv4(segment(step(1), SYN)[:24], fragment=0x2000), ipv4(segment(step(1), SYN)[24:], fragment=3)])
    def test_a_fragmented_segment_is_read_when_it_is_whole(self, frames):
        self.assertNotIn("step", frames[0])
        self.assert_values(frames[1], step=1, ways=8, nonce=f"0x{nonce_of(1):08x}")


# As the stack has them.
STACK = (ROOT / "src/wire/tcp.h").read_text()
LEAST, MOST = (int(re.search(rf"{name} = (\d+);", STACK).group(1)) for name in ("kMinWays", "kMaxWays"))


def alone(*options):
    """Each in a segment and a capture of its own: no other one is near it."""
    return [[frame(one, ACK)] for one in options]


class WrongOnes(Dissector):
    def assert_absent(self, values, *experts):
        self.assertEqual(self.experts(values), list(experts))
        self.assertIn(" HF malformed", values["info"])
        self.assertEqual({"role", "copies_asked", "answers", "again"} & set(values), set())

    @reads(*alone(*(option(ways, 1) for ways in (0, LEAST - 1, MOST + 1, 255))))
    def test_ways_outside_the_limits_count_as_absent(self, *found):
        for [values] in found:
            self.assert_absent(values, "bad.ways")

    @reads(*alone(option(8, 0), option(8, 9), option(8, 255), option(LEAST, LEAST + 1), option(MOST, MOST + 1)))
    def test_steps_outside_the_limits_count_as_absent(self, *found):
        for [values] in found:
            self.assert_absent(values, "bad.step")

    @reads(*alone(option(LEAST, LEAST), option(MOST, MOST, copies=255)))
    def test_the_limits_are_inside(self, *found):
        for [values], limit in zip(found, (LEAST, MOST), strict=True):
            self.assert_values(values, ways=limit, step=limit)
            self.assertEqual(self.experts(values), ["answers_nothing"])

    WRONG_LENGTHS = (4, 5, 8, 15, 17, 20)

    @reads(*alone(*((option(length=length) + bytes(8))[:length] for length in WRONG_LENGTHS)))
    def test_a_wrong_length_counts_as_absent(self, *found):
        for [values], length in zip(found, self.WRONG_LENGTHS, strict=True):
            self.assert_absent(values, "bad.length")
            self.assertNotIn("step", values)
            self.assertIn(f"Length is {length}, not 16: as if the option were absent", values["messages"])

    @reads(*alone(*(option(length=length) for length in (0, 1, 41, 255))), [frame(option(), ACK, data_offset=8)])
    def test_an_impossible_length_counts_as_absent(self, *found):
        for [values] in found:
            self.assert_absent(values, "bad.length")
        [cut_off] = found[-1]
        self.assertIn("Only 12 of its 16 bytes are there: as if the option were absent", cut_off["messages"])
        self.assert_values(cut_off, raw=option()[:12].hex())

    @reads(*([frame(option(), ACK, data_offset=words)] for words in range(5)))
    def test_a_header_that_is_shorter_than_headers_are_has_no_options(self, *found):
        for [values] in found:
            self.assertEqual(set(values), {"info", "messages"})

    @reads(*alone(step(3) + step(3), step(3) + option(2, 1)))
    def test_two_contradict_each_other_and_a_malformed_one_nothing(self, two, one):
        self.assert_absent(two[0], "bad.twice")
        self.assertEqual(two[0]["step"], ["3", "3"])
        self.assertEqual(two[0]["info"].count(" HF malformed"), 2)
        self.assertEqual(self.experts(one[0]), ["answers_nothing", "bad.ways"])
        self.assert_values(one[0], role="initiator")

    @reads([step_frame(1), frame(step(2) + step(2), SYN | ACK, False), step_frame(2)])
    def test_malformed_ones_are_no_step_of_the_conversation(self, frames):
        self.assert_values(frames[0], answered_in=3)
        self.assert_values(frames[2], again=None, answers=1)

    @reads(*alone(option(exid=b"HG"), option(kind=254), b"\0" + option()[:15], bytes([253, 3, 0x48]), b"", b"\1" * 40,
                  bytes([253, 2]) + b"HF", b"\2\1" + option()))
    def test_others_experiments_and_what_stands_behind_the_end_are_left_alone(self, *found):
        for [values] in found:
            self.assertEqual(set(values) - {"tcp.options.experimental.exid"}, {"info", "messages"}, values)
            self.assertNotIn("HF ", values["info"])

    @reads(*alone(option(), bytes.fromhex("fd08f98901020304")))
    def test_wireshark_shows_experimental_options_as_before(self, ours, fast_open):
        self.assert_values(ours[0], tcp__options__experimental__exid="0x4846")
        self.assert_values(fast_open[0], tcp__options__experimental__exid="0xf989",
                           tcp__options__tfo__cookie="01020304")

    @reads([frame(step(2), SYN)], [frame(step(1, ways=3), SYN)], [frame(step(1), SYN | ACK, False)],
           [frame(step(3), SYN | ACK, False)], [frame(step(1), ACK)], [frame(step(2), ACK, False)],
           [frame(step(2, flags=REFUSED), ACK, False)], [frame(step(2, flags=REFUSED), SYN | ACK, False)],
           [frame(step(3, flags=REFUSED), RST)])
    def test_steps_in_the_wrong_segments_are_pointed_out(self, *found):
        for [values] in found:
            self.assert_values(values, misplaced=1)

    @reads([*handshake()[:4], step_frame(5, ways=9)], [*handshake()[:4], step_frame(5, echo=77)],
           [*handshake()[:4], step_frame(5, echo=nonce_of(3))], [*handshake()[:4], frame(step(5), ACK, False)])
    def test_steps_that_nobody_will_take_are_pointed_out(self, other_ways, unknown_echo, older_echo, other_side):
        self.assertEqual(self.experts(other_ways[-1]), ["other_ways"])
        self.assertIn("Frame 2 settled on 8 ways", other_ways[-1]["messages"])
        self.assertEqual(self.experts(unknown_echo[-1]), ["answers_nothing"])
        self.assertEqual(self.experts(older_echo[-1]), ["answers_nothing"])
        self.assertEqual(self.experts(other_side[-1]), ["other_side"])

    @reads([step_frame(1), *(step_frame(number, 5) for number in range(2, 6))])
    def test_what_is_settled_may_be_less_than_what_was_proposed(self, frames):
        self.assertEqual([self.experts(values) for values in frames], [[]] * 5)

    @reads(handshake(port=PORT))
    def test_equal_ports_say_nothing_of_sides(self, frames):
        self.assertEqual([self.experts(values) for values in frames], [[]] * 8)

    @reads([frame(step(1, flags=0xF8), SYN)])
    def test_reserved_flags_are_ignored_and_pointed_out(self, frames):
        self.assert_values(frames[0], flags="0xf8", flags__reserved="0x1f", flags__volatile=0, flags__short=0,
                           flags__refused=0, reserved_set=1)

    @reads([step_frame(1), icmp_error(step_frame(1)), step_frame(2)])
    def test_a_quotation_in_an_icmp_error_is_no_step(self, frames):
        self.assert_values(frames[1], step=1, quoted=1, again=None)
        self.assertNotIn("HF", frames[1]["info"])
        self.assert_values(frames[2], answers=1)

    @reads(*([Cut(frame(step(1), SYN, payload=b"data"), kept)] for kept in range(1, 61)),
           *([Cut(icmp_error(frame(step(1), SYN)), kept)] for kept in range(28, 85)))
    def test_a_capture_of_beginnings_shows_what_is_there(self, *found):
        for kept, [values] in enumerate(found[:60], 1):
            self.assertEqual("step" in values, kept >= 56, kept)
        for kept, [values] in enumerate(found[60:], 28):
            self.assertEqual("step" in values, kept >= 84, kept)


class HostileBytes(Dissector):
    def setUp(self):
        super().setUp()
        self.random = random.Random(20)

    # Options that are ours, damaged; beside others' and behind paddings.
    def random_options(self):
        kinds = (lambda: self.random.randbytes(self.random.randrange(40)),
                 lambda: option(self.random.randrange(80), self.random.randrange(80), self.random.randrange(256),
                                self.random.randrange(256), self.random.randrange(4), self.random.randrange(4)),
                 lambda: option(length=self.random.choice((0, 1, 2, 3, 4, 15, 16, 17, 39, 40, 255))),
                 lambda: bytes([1]) * self.random.randrange(4),
                 lambda: bytes([self.random.choice((0, 2, 4, 5, 8, 253, 254)), self.random.randrange(12)]))
        pieces = b"".join(self.random.choice(kinds)() for _ in range(self.random.randrange(1, 4)))[:40]
        return pieces + b"\1" * (-len(pieces) % 4)

    def test_what_is_accepted_of_random_options_is_what_the_stack_accepts(self):
        options = [self.random_options() for _ in range(4000)]
        wanted = [accepted(one) for one in options]
        self.assertGreater(sum(one is not None for one in wanted), 300)
        self.assertGreater(sum(one is None for one in wanted), 300)
        found = self.tshark.dissect([frame(one, ACK, port=40000 + i % 3) for i, one in enumerate(options)], *TWO_PASSES)
        for one, wants, values in zip(options, wanted, found, strict=True):
            self.assertEqual("role" in values, wants is not None, one.hex())
            if wants and len(values["step"]) == 1:
                self.assert_values(values, ways=wants[0], step=wants[1])

    def test_random_packets_are_no_error(self):
        packets = [self.random.randbytes(self.random.randrange(120)) for _ in range(300)]
        for _ in range(700):
            packets.append(ipv4(self.random.randbytes(self.random.randrange(12, 90)), self.random.random() < 0.5))
        for _ in range(2000):
            packet = self.random.choice((step_frame(self.random.randrange(1, 75), 74), icmp_error(step_frame(5))))
            packet = bytearray(packet)
            for _ in range(self.random.randrange(1, 5)):
                packet[self.random.randrange(len(packet))] = self.random.randrange(256)
            packets.append(Cut(packet, self.random.randrange(1, 300)))
        whole = frame(step(1), SYN, payload=b"data")
        packets += [ipv4(whole[20:][:length]) for length in range(len(whole) - 20)]
        packets += [frame(step(1), SYN, data_offset=words) for words in range(16)]
        found = self.tshark.dissect(packets, *TWO_PASSES)
        self.assertGreater(sum("step" in values for values in found), 500)


class Installed(Dissector):
    def test_every_field_is_known_to_this_test(self):
        self.assertEqual(self.tshark.fields(), {f"holdfast.{name}" for name in (*VALUES, *GENERATED, *EXPERTS)})

    def test_it_works_from_where_its_readme_puts_it(self):
        page = (SCRIPT.parent / "README.md").read_text()
        install = r"^install -D -m 644 packaging/wireshark/holdfast\.lua ~/(\S+)$"
        target = re.search(install, page, re.MULTILINE).group(1)
        (self.tshark.directory / target).parent.mkdir(parents=True)
        shutil.copy(SCRIPT, self.tshark.directory / target)
        found = self.tshark.run("-n", "-r", self.tshark.capture(handshake()), "-Y", "holdfast.step == holdfast.ways",
                                "-T", "fields", "-e", "frame.number", load=False)
        self.assertEqual(found, "8\n")

    def test_its_readme_shows_what_is_shown(self):
        page = (SCRIPT.parent / "README.md").read_text()
        packet_list, details = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
        capture = self.tshark.capture(handshake())
        self.assertEqual(self.tshark.run("-n", "-r", capture), packet_list)
        self.assertIn(details, self.tshark.run("-n", "-r", capture, *TWO_PASSES, "-O", "holdfast"))


def has_lua():
    if not shutil.which("tshark"):
        return False
    version = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False).stdout
    return "with Lua" in " ".join(version.split())


# It is a setting (README.md), and tshark says nothing of a script that it leaves out.
def root_loads_scripts():
    tshark = Tshark()
    try:
        return bool(tshark.fields())
    finally:
        tshark.remove()


if __name__ == "__main__":
    if not has_lua():
        print("tshark is not installed, or without Lua", file=sys.stderr)
        sys.exit(SKIPPED)
    if os.geteuid() == 0 and not root_loads_scripts():
        Tshark.become_nobody()
    unittest.main()
