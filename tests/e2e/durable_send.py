"""What `holdfast send --data` must live through, in sizes that the caller chooses: short in durable_send_test.py, in full in soak.py."""

import json
import random
import signal
import socket
import subprocess
import threading
import time

import case
import lab

LINK = "hf1"
OWN, PEER = "10.78.0.2", "10.78.0.1"
SEGMENT = ["--segment-size", "4MiB"]


class Listener:
    """The kernel's end: takes every connection, reads it to its end, sends an answer, closes. `limit` and `may_close` hold it up."""

    def __init__(self, answer=b"", port=9000):
        self.answer, self.limit = answer, None
        self.may_close = threading.Event()
        self.may_close.set()
        self.connections = []  # dictionaries: port, bytes, finished, error
        self.socket = socket.create_server(("0.0.0.0", port))
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def close(self):
        self.limit = None
        self.may_close.set()
        self.socket.shutdown(socket.SHUT_RDWR)  # ends accept(), which close() does not
        self.acceptor.join()
        self.socket.close()

    def accept(self):
        while True:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                return
            seen = {"port": peer[1], "bytes": bytearray(), "finished": False, "error": None, "closed": False}
            self.connections.append(seen)
            threading.Thread(target=self.read, args=(connection, seen), daemon=True).start()

    def read(self, connection, seen):
        try:
            with connection:
                while True:
                    while self.limit is not None and len(seen["bytes"]) >= self.limit:
                        time.sleep(0.001)
                    piece = connection.recv(1 << 16)
                    if not piece:
                        break
                    seen["bytes"] += piece
                seen["finished"] = True
                self.may_close.wait()
                connection.sendall(self.answer)
        except OSError as error:
            seen["error"] = error
        seen["closed"] = True

    def received(self, nth=-1):
        return len(self.connections[nth]["bytes"]) if self.connections else 0

    def finished(self, nth=-1):
        return bool(self.connections) and self.connections[nth]["finished"]


class DurableSend(case.Case):
    def setUp(self):
        super().setUp()
        self.data = [self.directory.make("data-0")]
        self.addCleanup(self.remove_links)

    @staticmethod
    def remove_links():
        """What a test that failed has left behind is not the next one's."""
        for link in lab.links() & {LINK, lab.LINK, "br0"}:
            subprocess.run(["ip", "link", "del", link], check=False)

    def listen(self, **options):
        listener = Listener(**options)
        self.addCleanup(listener.close)
        return listener

    def file(self, data, name="file"):
        path = self.directory.file(name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def command(self, *more, to=f"{PEER}:9000", link=LINK, own=OWN, host=PEER):
        words = [lab.BINARY, "send", "--link", f"tap:{link}", "--address", f"{own}/24", "--to", to, "--linger", "0s", *SEGMENT]
        if host is not None:
            words += ["--host-address", f"{host}/24"]
        for path in self.data:
            words += ["--data", path]
        return [*words, *more]

    def start(self, command, stdin=subprocess.DEVNULL):
        """In the background. What it writes is kept in files, so that it never waits for us: see output()."""
        with open(self.directory.file("stdout"), "wb") as out, open(self.directory.file("stderr"), "wb") as err:
            sender = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=err)
        self.addCleanup(self.end_process, sender)
        return sender

    def output(self, which="stdout"):
        with open(self.directory.file(which), "rb") as file:
            return file.read()

    def kill(self, sender):
        """SIGKILL, unless it has ended; true if that was what ended it."""
        sender.kill()
        return sender.wait(30) == -signal.SIGKILL

    def finish(self, command, stdin=subprocess.DEVNULL):
        """To the end, which must be a good one; returns standard error."""
        sender = self.start(command, stdin)
        status = sender.wait(90)
        self.assertEqual(status, 0, self.output("stderr"))
        return self.output("stderr").decode()

    def fails(self, command, words, stdin=subprocess.DEVNULL):
        sender = self.start(command, stdin)
        self.assertEqual(sender.wait(90), 1, self.output("stderr"))
        self.assertRegex(self.output("stderr").decode().splitlines()[-1], words)

    def wait_for(self, condition, sender):
        def ended():
            return f"status {sender.poll()}: {self.output('stderr')}"
        lab.wait_for(condition, 60, ended)

    def streams(self):
        flags = [word for path in self.data for word in ("--data", path)]
        return json.loads(lab.holdfast("streams", "list", "--json", *flags))

    def assert_delivered_once(self, listener, data):
        self.assertEqual(len(listener.connections), 1, "more than one connection")
        self.assert_same(bytes(listener.connections[0]["bytes"]), data)
        self.assertIsNone(listener.connections[0]["error"])

    def assert_nothing_left(self):
        self.assertNotIn(LINK, lab.links())

    # ---- Death at random moments ----

    def killed_at_random(self, size, kills, seed, listener=None):
        """One file, `kills` deaths of its sender. Returns how many of them found it before it was through."""
        chance = random.Random(seed)
        answer = case.random_bytes(size // 8 + 1, seed)
        listener = listener or self.listen(answer=answer)
        listener.limit = 0
        data = case.random_bytes(size, seed)
        command = self.command(self.file(data))
        struck = 0
        for i in range(kills):
            # However fast the machine: each death has its share of the bytes.
            listener.limit = size * (i + 1) // (kills + 2)
            sender = self.start(command)
            before = listener.received()
            if chance.random() < 0.75:  # else it may be struck while it starts
                self.wait_for(lambda: listener.received() > before or sender.poll() is not None, sender)
            time.sleep(chance.uniform(0, 0.1))
            struck += self.kill(sender)
        listener.limit = None
        self.finish(command)
        self.assert_delivered_once(listener, data)
        self.assert_same(self.output(), answer)
        self.assertIn("delivered already", self.finish(command))
        self.assert_delivered_once(listener, data)
        self.assert_nothing_left()
        return struck

    def killed_around_the_end(self, times, seed):
        """Small files, each with one death somewhere between the first byte and the exit. Returns how many died in which state of the
        connection."""
        chance = random.Random(seed)
        listener = self.listen(answer=b"thank you")
        states, longest = {}, 0.01
        for i in range(times):
            data = case.random_bytes(chance.randrange(1, 200000), f"{seed} {i}")
            command = self.command(self.file(data))
            sender = self.start(command)
            self.wait_for(lambda: len(listener.connections) > i, sender)
            begun = time.monotonic()
            if i == 0:
                self.assertEqual(sender.wait(60), 0)
                longest = time.monotonic() - begun
            time.sleep(chance.uniform(0, longest))
            killed = self.kill(sender)
            longest = max(longest, time.monotonic() - begun) if not killed else longest
            newest = max(self.streams(), key=lambda stream: stream["id"])
            how = newest["state"] if killed else "through"
            states[how] = states.get(how, 0) + 1
            self.finish(command)
            self.assertEqual(len(listener.connections), i + 1, f"{data[:10]} was sent twice, after a death in {how}")
            self.assert_same(bytes(listener.connections[i]["bytes"]), data)
        self.assert_nothing_left()
        return states

    # ---- Two Holdfast ends ----

    def answered_whole(self, sender, data):
        """True of a run that sent the file to its end, however soon: it must have written the whole answer. False of one that was ended."""
        if sender.returncode != 0 or "delivered already" in self.output("stderr").decode():
            return False
        self.assert_same(self.output(), data)
        return True

    def between_two_nodes(self, size, kills, seed):
        """A sender and an echoing node, hosts of one bridge; both die again and again."""
        chance = random.Random(seed)
        lab.bridge("br0", lab.LINK, LINK)
        node = self.node(services=["store:7000", "echo:7001"], host_address=None, extra=SEGMENT)
        data = case.random_bytes(size, seed)
        command = self.command(self.file(data), to=f"{lab.NODE}:7001", own="10.77.0.3", host=None)
        struck, answered = 0, False
        for _ in range(kills):
            sender = self.start(command)
            time.sleep(chance.uniform(0, 0.8))
            if chance.random() < 0.5:
                node.kill_node()
            if chance.random() < 0.8:
                struck += self.kill(sender)
            else:
                sender.send_signal(signal.SIGINT)
                struck += sender.wait(30) != 0
            answered |= self.answered_whole(sender, data)
        self.finish(command)
        stream, = node.streams()
        self.assertEqual((stream["in_bytes"], stream["in_finished"]), (size, True))
        self.assert_same(self.stored(node, stream["id"]), data)
        if "delivered already" not in self.output("stderr").decode():
            self.assert_same(self.output(), data)
        else:  # by a run that came to its end, or that was struck between the last byte and its exit
            self.assertTrue(answered or struck > 0)
        self.assertIn("delivered already", self.finish(command))
        self.assertEqual(len(node.streams()), 1)
        self.assertIn(LINK, lab.links(), "a device that was there before was removed")
        return struck
