#!/usr/bin/env python3
"""packaging/wireshark: what tshark shows of N-way handshakes that two programs of ours really had. (What it makes of
any bytes whatever: tests/wire/dissector_test.py.)"""

import os
import shutil
import subprocess
import sys
import unittest

import case
import lab
import network
from wire import Wire

SCRIPT = os.path.join(lab.ROOT, "packaging/wireshark/holdfast.lua")
NODE_LINK, SENDER_LINK = "hf0", "hf1"
SENDER = "10.77.0.3"
FIELDS = ("ways", "step", "role", "copies", "copies_asked", "flags.volatile", "flags.short", "flags.refused", "answers",
          "again")
EXPERTS = ("bad.length", "bad.ways", "bad.step", "bad.twice", "misplaced", "few_copies", "refusal", "reserved_set",
           "other_ways", "other_side", "answers_nothing")


class DissectorTest(case.Case):
    def setUp(self):
        for link in (NODE_LINK, SENDER_LINK):
            network.make_tap(link)
            self.addCleanup(network.ip, "link", "del", link)
        wire = Wire(NODE_LINK, SENDER_LINK).start()
        self.addCleanup(wire.stop)
        super().setUp()

    def captured(self, service, ways, directories=1):
        """A transfer with that many ways. Returns the sender's exit status, and of the node's capture what is shown of
        each frame with the option: the fields and experts that are there."""
        path = self.directory.file("session.pcapng")
        node = self.node(data=directories, link=NODE_LINK, host_address=None, services=[f"store:7000,{service}"],
                         extra=["--pcap", path])
        sent = subprocess.run([lab.BINARY, "send", "--link", f"tap:{SENDER_LINK}", "--address", f"{SENDER}/24",
                               "--to", f"{lab.NODE}:7000", "--ways", ways, "--policy", "best-effort", "--quiet"],
                              input=b"data", capture_output=True, timeout=60, check=False)
        self.assertEqual(node.stop(), 0)
        names = [f"holdfast.{name}" for name in (*FIELDS, *EXPERTS)]
        columns = [word for name in ("frame.number", *names) for word in ("-e", name)]
        shown = subprocess.run(["tshark", "-n", "-X", f"lua_script:{SCRIPT}", "-r", path, "-Y", "holdfast", "-T",
                                "fields", *columns], capture_output=True, text=True, check=False,
                               env={**os.environ, "HOME": self.directory.path})
        if "Some fields aren't valid" in shown.stderr:
            self.skipTest("tshark is configured to load no scripts as root")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertNotIn("Lua", shown.stderr)
        found = []
        for line in shown.stdout.splitlines():
            number, *values = line.split("\t")
            pairs = zip((*FIELDS, *EXPERTS), values, strict=True)
            found.append({"frame": number, **{name: value for name, value in pairs if value}})
        return sent.returncode, found

    def assert_handshake(self, frames, proposed, settled):
        for values in frames:
            self.assertEqual(set(EXPERTS) & set(values), set(), values)
            self.assertEqual(values["ways"], str(proposed if values["step"] == "1" else settled))
        # A slow machine repeats steps; the sender of the last one does in any case.
        first = [values for values in frames if "again" not in values]
        self.assertEqual([int(values["step"]) for values in first], list(range(1, settled + 1)))
        by_frame = {values["frame"]: values for values in frames}
        for values in frames:
            if values["step"] != "1":
                self.assertEqual(int(by_frame[values["answers"]]["step"]), int(values["step"]) - 1)
            stores = values["role"] == "responder"  # a sender stores nothing
            self.assertEqual(values["flags.volatile"], "0" if stores else "1")

    def test_eight_ways_are_eight_steps_that_answer_one_another(self):
        status, frames = self.captured("ways=3..74,roll-call-timeout=20s", "8", directories=3)
        self.assertEqual(status, 0)
        self.assert_handshake(frames, 8, 8)
        for values in frames:
            if values["role"] == "responder":
                self.assertGreaterEqual(int(values["copies"]), int(values["copies_asked"]))

    def test_a_node_with_one_copy_falls_short_of_two(self):
        status, frames = self.captured("ways=3..74,roll-call-timeout=100ms", "6")
        self.assertEqual(status, 0)  # best-effort
        short = [values for values in frames if "few_copies" in values]
        said = {tuple(values[name] for name in ("step", "copies", "copies_asked", "flags.short")) for values in short}
        self.assertEqual(said, {("6", "1", "2", "1")})

    def test_fewer_ways_than_proposed(self):
        status, frames = self.captured("ways=3..5", "8")
        self.assertEqual(status, 0)
        self.assert_handshake(frames, 8, 5)

    def test_a_refusal(self):
        status, frames = self.captured("ways=9..74", "3..8")
        self.assertNotEqual(status, 0)
        seen = dict.fromkeys((values["step"], values["ways"], values["flags.refused"]) for values in frames)
        self.assertEqual(list(seen), [("1", "8", "0"), ("2", "9", "1")])
        steps = {values["frame"]: values["step"] for values in frames}
        self.assertEqual({steps[values["answers"]] for values in frames if values["step"] == "2"}, {"1"})


if __name__ == "__main__":
    if not shutil.which("tshark"):
        print("tshark is not installed", file=sys.stderr)
        sys.exit(lab.SKIPPED)
    case.main()
