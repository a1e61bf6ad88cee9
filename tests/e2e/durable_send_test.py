#!/usr/bin/env python3
"""`holdfast send --data`: a connection that outlives its process, against the kernel's own TCP and against a node."""

import os
import shutil
import signal
import subprocess
import time

import case
import durable_send
import lab
from durable_send import LINK, PEER


class DurableSendTest(durable_send.DurableSend):
    def test_a_file_survives_deaths_at_random_moments(self):
        self.assertGreater(self.killed_at_random(size=24 * case.MIB, kills=6, seed=self.seed()), 0)

    def test_a_death_around_the_end_sends_nothing_twice(self):
        self.killed_around_the_end(times=8, seed=self.seed())

    def test_a_node_and_its_sender_may_both_die(self):
        self.between_two_nodes(size=16 * case.MIB, kills=5, seed=self.seed())

    def seed(self):
        seed = os.environ.get("DURABLE_SEED", str(time.time_ns()))
        print(f"DURABLE_SEED={seed}", flush=True)
        return seed

    # ---- Chosen moments ----

    def test_killed_before_the_peer_has_answered(self):
        listener = self.listen()
        late = "10.78.0.77"
        command = self.command(self.file(b"hello"), to=f"{late}:9000")
        sender = self.start(command)
        self.wait_for(lambda: [s["state"] for s in self.streams_if_any()] == ["SYN-SENT"], sender)
        self.assertTrue(self.kill(sender))
        port = self.streams()[0]["local"]
        subprocess.run(["ip", "address", "add", f"{late}/24", "dev", LINK], check=True)
        self.assertIn(port, self.finish(command))
        self.assert_delivered_once(listener, b"hello")
        self.assertEqual(port, f"{durable_send.OWN}:{listener.connections[0]['port']}")
        self.assert_nothing_left()

    def streams_if_any(self):
        return self.streams() if os.path.exists(os.path.join(self.data[0], "identity.blob")) else []

    def test_killed_in_mid_file(self):
        listener = self.listen(answer=b"thank you")
        data = case.random_bytes(24 * case.MIB)
        command = self.command(self.file(data))
        listener.limit = 4 * case.MIB
        sender = self.start(command)
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        self.assertTrue(self.kill(sender))
        self.assertIn(LINK, lab.links(), "the device has gone with its process")
        listener.limit = None
        self.assertIn("going on", self.finish(command))
        self.assert_delivered_once(listener, data)
        self.assertEqual(self.output(), b"thank you")
        self.assert_nothing_left()

    def test_killed_after_our_fin(self):
        listener = self.listen(answer=b"thank you")
        listener.may_close.clear()
        data = case.random_bytes(case.MIB)
        command = self.command(self.file(data))
        for _ in range(2):  # in FIN-WAIT-2, and once more there
            sender = self.start(command)
            self.wait_for(listener.finished, sender)
            self.wait_for(lambda: self.streams()[0]["out_finished"], sender)
            self.assertTrue(self.kill(sender))
        listener.may_close.set()
        self.finish(command)
        self.assert_delivered_once(listener, data)
        self.assertEqual(self.output(), b"thank you")

    def test_killed_after_the_peers_fin(self):
        # A reader of the answer who does not read holds the sender back, when all of the peer is stored already.
        answer = case.random_bytes(case.MIB)
        listener = self.listen(answer=answer)
        command = self.command(self.file(b"hello"))
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_process, sender)
        self.wait_for(lambda: [s["in_bytes"] for s in self.streams_if_any()] > [0], sender)
        self.assertTrue(self.kill(sender))
        self.finish(command)
        self.assert_delivered_once(listener, b"hello")
        self.assert_same(self.output(), answer)
        self.assert_nothing_left()

    # ---- What is sent ----

    def test_standard_input_goes_on_too(self):
        listener = self.listen()
        data = case.random_bytes(16 * case.MIB)
        path = self.file(data)
        listener.limit = 2 * case.MIB
        cat = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
        self.addCleanup(self.end_process, cat)
        sender = self.start(self.command(), stdin=cat.stdout)
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        self.assertTrue(self.kill(sender))
        listener.limit = None
        with open(path, "rb") as again:
            self.finish(self.command(), stdin=again)
        self.assert_delivered_once(listener, data)
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            self.assertIn("delivered already", self.finish(self.command(), stdin=cat.stdout))
        self.assert_delivered_once(listener, data)

    def test_another_file_is_not_mixed_with_the_unfinished_one(self):
        listener = self.listen()
        data, other = case.random_bytes(16 * case.MIB), case.random_bytes(16 * case.MIB)
        command, wrong = self.command(self.file(data)), self.command(self.file(other, "other"))
        listener.limit = case.MIB
        sender = self.start(command)
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        self.assertTrue(self.kill(sender))
        self.fails(wrong, "other is not what .* has begun to send .*--abandon")
        self.fails(self.command(self.file(data[:case.MIB], "short")), "is not what .* has begun to send")
        self.fails(self.command(self.file(data[:case.MIB], "short")), "is not what .* has begun to send")
        with open(self.directory.file("short"), "rb") as short, subprocess.Popen(["cat"], stdin=short, stdout=subprocess.PIPE) as cat:
            self.fails(self.command(), "is not what .* has begun to send", stdin=cat.stdout)
        listener.limit = None
        self.finish(command)
        self.assert_delivered_once(listener, data)

    def test_an_unfinished_connection_can_be_abandoned(self):
        listener = self.listen()
        data, other = case.random_bytes(16 * case.MIB), case.random_bytes(100)
        listener.limit = case.MIB
        sender = self.start(self.command(self.file(data)))
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        self.assertTrue(self.kill(sender))
        listener.limit = None
        self.finish(self.command("--abandon", self.file(other, "other")))
        self.assertEqual(len(listener.connections), 2)
        lab.wait_for(lambda: listener.connections[0]["closed"], 20, lambda: "the old connection lives")
        self.assertIsInstance(listener.connections[0]["error"], ConnectionResetError)
        self.assert_same(bytes(listener.connections[1]["bytes"]), other)
        self.assert_nothing_left()

    def test_what_was_delivered_is_sent_again_when_asked(self):
        listener = self.listen()
        data = case.random_bytes(3 * case.MIB)
        command = self.command(self.file(data))
        self.finish(command)
        self.assertIn("delivered already", self.finish(command))
        self.assertEqual(len(listener.connections), 1)
        self.finish([*command, "--again"])
        self.assertEqual(len(listener.connections), 2)
        self.assert_same(bytes(listener.connections[1]["bytes"]), data)

    def test_what_begins_like_the_last_one_is_sent_whole(self):
        listener = self.listen()
        data = case.random_bytes(12 * case.MIB)
        self.finish(self.command(self.file(data[:11 * case.MIB])))
        for i, longer in enumerate([data, data[:10 * case.MIB], data[:10 * case.MIB] + b"X" + data[10 * case.MIB:]], start=1):
            with open(self.file(longer), "rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as cat:
                self.finish(self.command(), stdin=cat.stdout)
            self.assertEqual(len(listener.connections), i + 1)
            self.assert_same(bytes(listener.connections[i]["bytes"]), longer)

    def test_an_empty_file(self):
        listener = self.listen(answer=b"nothing?")
        self.finish(self.command(os.devnull))
        self.assertEqual(self.output(), b"nothing?")
        self.assertIn("delivered already", self.finish(self.command(self.file(b""))))
        self.assert_delivered_once(listener, b"")

    # ---- Ends ----

    def test_ctrl_c_leaves_the_connection_to_the_next_run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            listener = self.listen(port=9000 + number)
            data = case.random_bytes(16 * case.MIB)
            command = self.command(self.file(data), to=f"{PEER}:{9000 + number}")
            listener.limit = case.MIB
            sender = self.start(command)
            self.wait_for(lambda: listener.received() >= listener.limit, sender)
            sender.send_signal(number)
            self.assertEqual(sender.wait(30), 1)
            self.assertRegex(self.output("stderr").decode(), r"(?s).*holdfast: interrupted; the connection to .* stays in .*: the same command "
                                                             r"goes on with it\n$")
            listener.limit = None
            self.assertIn("going on", self.finish(command))
            self.assert_delivered_once(listener, data)
            self.assert_nothing_left()

    def test_a_reset_is_the_end_and_the_next_run_begins_anew(self):
        listener = self.listen()
        command = self.command(self.file(b"hello"), to=f"{PEER}:9001")
        self.fails(command, "connection refused")
        self.assert_nothing_left()
        self.finish(self.command(self.file(b"hello")))
        self.assert_delivered_once(listener, b"hello")

    def test_a_full_standard_output_costs_no_connection(self):
        answer = case.random_bytes(200000)
        listener = self.listen(answer=answer)
        command = self.command(self.file(b"hello"))
        with open("/dev/full", "wb") as full:
            sender = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(sender.returncode, 1)
        self.assertIn(b"can't write the output", sender.stderr)
        stderr = self.finish(command)
        self.assert_delivered_once(listener, b"hello")
        if "delivered already" not in stderr:
            self.assert_same(self.output(), answer)

    def test_two_at_once_are_a_mistake(self):
        listener = self.listen()
        listener.may_close.clear()
        sender = self.start(self.command(self.file(b"hello")))
        self.wait_for(listener.finished, sender)
        second = subprocess.run(self.command(self.file(b"hello"), link="hf2", own="10.79.0.2", host="10.79.0.1", to="10.79.0.1:9000"),
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertRegex(second.stderr, "in use by process")
        self.assertNotIn("hf2", lab.links())
        listener.may_close.set()
        self.assertEqual(sender.wait(30), 0)

    # ---- Directories ----

    def half_sent(self, listener, *more):
        data = case.random_bytes(16 * case.MIB)
        command = self.command(*more, self.file(data))
        listener.limit = case.MIB
        sender = self.start(command)
        self.wait_for(lambda: listener.received() >= listener.limit, sender)
        self.assertTrue(self.kill(sender))
        listener.limit = None
        return command, data

    def test_one_of_two_directories_is_lost(self):
        self.data.append(self.directory.make("data-1"))
        listener = self.listen()
        command, data = self.half_sent(listener)
        shutil.rmtree(self.data[0])
        self.directory.make("data-0")
        self.assertIn("is refilled", self.finish(command))
        self.assert_delivered_once(listener, data)

    def test_one_of_two_is_away_where_one_was_enough(self):
        # Either may hold what the other lacks: without it nobody knows.
        self.data.append(self.directory.make("data-1"))
        listener = self.listen()
        command, data = self.half_sent(listener, "--stored-on", "1")
        os.rename(self.data[0], self.data[0] + "-away")
        self.fails(command, "data-0")
        os.rename(self.data[0] + "-away", self.data[0])
        self.finish(command)
        self.assert_delivered_once(listener, data)


if __name__ == "__main__":
    case.main()
