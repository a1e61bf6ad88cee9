"""What handshakes of N ways between two programs of ours must show, over real TAP devices: each returns what it has counted.
ways_count_test.py and ways_kill_test.py run them in short, ways_table.py in full."""

import functools
import os
import shutil
import signal
import subprocess

import frame as frames
import lab
from steps import EVERY_N, faults, last_steps, prompt_repetitions, settled, step_of, unmarked
from two_nodes import INITIATOR, RESPONDER, TwoNodes, copies_asked, streams_of, stored_bytes
from wire import HOLD, PASS

# Steps that come again because of a death: the one that who has come back says, the other's answer, and the answer to that. For each
# step it may be one more, and the answer to an earlier step may bring the next death before the last one is over.
AGAIN_PER_DEATH, AGAIN_PER_STEP = 3, 2 * 4
HELLO = b"one file, both ways\n" * 200


def chosen():
    """WAYS=4,8 in the environment: only these."""
    return [int(n) for n in os.environ["WAYS"].split(",")] if "WAYS" in os.environ else EVERY_N


class Stored(TwoNodes):
    def check_stored(self, directories, peer):
        """The latest stream from or to this peer has ended well, and everything is there both ways."""
        directories = directories[:2]  # it is stored on all but one, or on all: two have everything, and are sooner read than 36
        def closed():
            latest = [s for s in streams_of(directories) if s["peer"].endswith(peer)][-1]
            return latest if latest["closed_because"] else None
        stream = lab.wait_for(closed, 20, lambda: f"not closed: {streams_of(directories)}", every=0.05)
        self.assertEqual((stream["closed_because"], stream["in_finished"], stream["out_finished"]), ("both ends finished", True, True))
        for direction in ("in", "out"):
            self.assertEqual(stored_bytes(directories, stream["id"], direction), HELLO)
        return True


class Handshakes(Stored):
    """Each side on a bridge of its own, in a namespace of its own."""

    bridged = True

    def handshake(self, n, node):
        """A handshake of n ways, data both ways, stored on both sides, the close."""
        mine = [self.directory.make(f"initiator-{i}") for i in range(max(1, copies_asked(last_steps(n)[1])))]
        begin = len(self.recorder.tcp())
        self.talk(self.start_send("--ways", n, data=mine, stdin=subprocess.PIPE))
        seen = self.recorder.wait(lambda: self.closed_in(self.recorder.tcp()[begin:]), failure="no ACK of the node's FIN")
        what = f"{n} ways:\n" + "\n".join(map(str, seen))
        steps, repeated, others = settled(n, seen)
        self.assertEqual(faults(n, seen), [], what)
        self.check_steps(n, steps, what)
        row = {"segments": len(steps), "repeated": len(repeated), "established": self.established(n, node, steps[0].source_port),
               "close": self.check_close(others, what),
               "stored": {"responder": self.check_stored(node.data, f":{steps[0].source_port}"),
                          "initiator": self.check_stored(mine, f"{lab.NODE}:7000")}}
        if n > 3:
            row["copies"] = {side: max((f.ways.copies for f in steps if f.ways.step == step), default=0)
                             for side, step in zip(("responder", "initiator"), last_steps(n))}
        self.assertEqual(self.recorder.dropped(), 0)
        for path in mine:
            shutil.rmtree(path)
        return row

    def talk(self, process):
        """Sends, has it back, closes: the FIN comes alone, and each side closes in its own time."""
        process.stdin.write(HELLO)
        process.stdin.flush()
        self.assertEqual(self.in_background(process.stdout.read, len(HELLO)).join(60), HELLO, "echo")
        out, _ = self.finish(process)
        self.assertEqual(out, b"")

    @staticmethod
    def closed_in(seen):
        """All of the connection that is opened first, once it has the last segment. Who reads along may be a moment behind: the
        end of the connection before may come first."""
        port = next((f.source_port for f in seen if f.kind == "SYN"), None)
        seen = [f for f in seen if port in (f.source_port, f.destination_port)]
        fin = next((f for f in seen if f.flags & frames.FIN and f.source_port == 7000), None)
        return seen if fin and [f for f in seen if f.destination_port == 7000 and f.ack == fin.end_seq] else None

    def check_steps(self, n, steps, what):
        self.assertEqual(len(steps), n, what)
        nonce = 0
        for k, frame in enumerate(steps, 1):
            self.assertEqual(frame.kind, {1: "SYN", 2: "SYN-ACK"}.get(k, "ACK"), what)
            self.assertEqual(frame.destination_port == 7000, k % 2 == 1, what)
            if n == 3:
                self.assertNotIn(frames.WAYS_KIND, [kind for kind, _ in frame.each_option()], what)
                continue
            self.assertEqual((frame.ways.ways, frame.ways.step, frame.ways.flags, frame.ways.echo), (n, k, 0, nonce), what)
            self.assertGreaterEqual(frame.ways.copies, copies_asked(k), what)
            nonce = frame.ways.nonce

    def established(self, n, node, port):
        """Both sides: the initiator has had its echo; the node says so, and what it says is what was on the wire."""
        if n == 3:
            return True  # a handshake that the node does not mention
        said = [e for e in node.events("handshake") if e["peer"].endswith(f":{port}")][-1]
        self.assertEqual((said["established"], said["ways"], said["sent"] + said["received"]), (True, n, 2 * n - 1), said)
        return True

    def check_close(self, segments, what):
        """FIN, ACK, FIN, ACK, four segments; what else comes from the first FIN on repeats one of these. Returns their kinds."""
        fin = next((f for f in segments if f.flags & frames.FIN and f.destination_port == 7000), None)
        self.assertIsNotNone(fin, what)
        theirs = next((f for f in segments if f.flags & frames.FIN and f.source_port == 7000), None)
        self.assertIsNotNone(theirs, what)
        acked = [next((f for f in segments if f.source_port != of.source_port and f.ack == of.end_seq), None) for of in (fin, theirs)]
        self.assertEqual([f and f.kind for f in acked], ["ACK", "ACK"], what)
        four = [fin, acked[0], theirs, acked[1]]
        self.assertEqual(len({id(f) for f in four}), 4, what)
        after = segments[segments.index(fin):]
        self.assertLessEqual({f.end_seq for f in after if f.flags & frames.FIN}, {fin.end_seq, theirs.end_seq}, what)
        self.assertEqual([f for f in after if f.flags & frames.RST], [], what)
        return [f.kind for f in four]


class Kills(Stored):
    """SIGKILL of one side after every step of one handshake: the step waits in the wire until that side is dead, and what is sent
    meanwhile waits behind it; then the step arrives, or is lost. The keeper restarts a node; we start an initiator again, with the
    same command, and a step arrives once it is there."""

    DIRECTORIES = 2  # on each side; where the last steps ask for more, they say SHORT

    def kill_after_every_step(self, n, side, lost):
        """Returns how many deaths the connection survived: n."""
        node = self.serve(data=self.DIRECTORIES, options=",roll-call-timeout=0s")
        mine = [self.directory.make(f"initiator-{i}") for i in range(self.DIRECTORIES)]
        for port in (RESPONDER, INITIATOR):
            self.wire.hook(port, self.hold_each_step_once(n))
        send = functools.partial(self.start_send, "--ways", n, "--roll-call-timeout", "0s", "--policy", "best-effort", data=mine,
                                 source=self.file(HELLO))
        process = send()
        for k in range(1, n + 1):
            step = self.wire.wait_held(lambda frame, k=k: step_of(frame, n) == k)[0]
            if side == RESPONDER:
                self.kill_node(node, nth=k)
            else:
                process = self.kill_initiator(process, send)
            if lost:
                self.wire.discard(step)
            self.wire.release()
        out, _ = self.finish(process)
        self.assertEqual(out, HELLO)
        self.check_one_connection(node.data, mine)
        self.check_handshake(n)
        return n

    def hold_each_step_once(self, n):
        seen = set()

        def hook(frame):
            step = step_of(frame, n)
            new = step and step not in seen
            seen.add(step)
            return HOLD if new or (frame.is_tcp and self.wire.held()) else PASS
        return hook

    def kill_node(self, node, nth):
        """One that has been ready, and is in the handshake."""
        node.wait_ready(nth)
        self.assertIsNotNone(node.kill_node())
        lab.wait_for(lambda: len(node.events("node-died")) == nth, 20, lambda: f"death {nth}: {node.events('node-died')}")

    def kill_initiator(self, process, start_again):
        process.kill()
        out, _ = process.communicate()
        self.assertEqual((process.returncode, out), (-signal.SIGKILL, b""), self.wire.describe())
        before = len(self.wire.tcp())
        process = start_again()
        # Whatever is next: it has found its connection, and speaks first.
        self.wire.wait(lambda: [frame for frame in self.wire.tcp()[before:] if frame.came_from == INITIATOR])
        return process

    def check_handshake(self, n):
        """Whatever was said again, no more of it than a death explains, and nothing without the option before step n arrived."""
        with self.wire.changed:
            self.assertEqual([str(frame) for frame in unmarked(n, self.wire.tcp(among=self.wire.delivered))], [])
            again = prompt_repetitions(n, self.wire.tcp())
            self.assertEqual(sorted(again), list(range(1, n + 1)))
            self.assertLessEqual(max(again.values()), AGAIN_PER_STEP, f"{again}\n{self.wire.describe()}")
            self.assertLessEqual(sum(again.values()), AGAIN_PER_DEATH * n, f"{again}\n{self.wire.describe()}")

    def check_one_connection(self, *sides):
        """The one that was begun has ended well, with every byte once."""
        for directories in sides:
            self.check_stored(directories, "")
            self.assertEqual(len(streams_of(directories)), 1)
        seen = self.wire.tcp()
        self.assertEqual(len({frame.source_port for frame in seen if frame.destination_port == 7000}), 1)
        self.assertFalse([frame for frame in seen if frame.flags & frames.RST], self.wire.describe())
