"""Our own wire: forwards frames between two interfaces of this namespace, and does to them what a test says. Python 3's standard
library only.

    wire = Wire("hf0", "peer0").start()
    wire.hook("hf0", lambda frame: DROP if frame.kind == "SYN-ACK" else PASS)     # frames that come from hf0

A hook answers with a verdict or with a list of frames to send instead (each goes where it would have gone, by its `came_from`). It
runs in the wire's thread, one frame at a time, and may call the wire. What it raises is raised by stop().
"""

import collections
import contextlib
import errno
import select
import socket
import struct
import threading
import time

import frame as frames

PASS, DROP, DUPLICATE, HOLD = "passed", "dropped", "duplicated", "held"

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
PACKET_STATISTICS = 6
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("=qq")
LARGEST = frames.META.size + (1 << 17)
MOST_FRAMES = 1_000_000  # in a record: a test that makes more should not record them


class Port:
    """A packet socket on an interface: every frame that comes in there, whomever it is for, with its offload metadata."""

    def __init__(self, interface):
        self.interface = interface
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        # All set before it is bound: no frame comes in without its metadata, nor any of those that we send ourselves.
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(PermissionError):  # in a user namespace of its own: the default must do
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        index = socket.if_nametoindex(interface)
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8s", index, PACKET_MR_PROMISC, 0, b""))
        self.socket.setblocking(False)
        self.dropped = 0  # because this process was too slow to read them
        self.not_sent = 0  # because nobody is at the other end

    def receive(self):
        """The next frame, or None."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(LARGEST, socket.CMSG_SPACE(TIMESPEC.size))
        except BlockingIOError:
            return None
        except OSError as error:  # went down: frames come again once it is up
            if error.errno != errno.ENETDOWN:
                raise
            return None
        size = frames.META.size
        frame = frames.Frame(data[size:], data[:size], self.interface)
        frame.stamp = next((TIMESPEC.unpack(content) for _, kind, content in ancillary if kind == SO_TIMESTAMPNS), (0, 0))
        return frame

    def send(self, frame):
        try:
            self.socket.send(frame.meta() + frame.raw)
        except OSError as error:
            # As on a real wire whose far end is unplugged (a TAP device that no process holds) or does not keep up.
            if error.errno not in (errno.ENETDOWN, errno.ENXIO, errno.ENOBUFS, errno.EAGAIN):
                raise
            self.not_sent += 1

    def count_dropped(self):
        _, drops = struct.unpack("=II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.dropped += drops
        return self.dropped

    def close(self):
        self.socket.close()


class Recorder:
    """Keeps what comes in at some interfaces, in order."""

    def __init__(self, *interfaces, keep_payload=False):
        self.ports = {interface: Port(interface) for interface in interfaces}
        self.keep_payload = keep_payload
        self.seen = []       # as it came in
        self.delivered = []  # as it went out
        self.changed = threading.Condition(threading.RLock())
        self.error = None
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """Ends the thread; raises what went wrong in it."""
        if self._thread.is_alive():
            self._wake.send(b"x")
            self._thread.join()
        for port in self.ports.values():
            port.close()
        self._wake.close()
        self._woken.close()
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _run(self):
        try:
            poll = select.poll()
            for file in [self._woken, *(port.socket for port in self.ports.values())]:
                poll.register(file, select.POLLIN)
            by_descriptor = {port.socket.fileno(): port for port in self.ports.values()}
            while True:
                for descriptor, _ in poll.poll():
                    if descriptor not in by_descriptor:
                        return
                    self._burst(by_descriptor[descriptor])
        except BaseException as error:  # pylint: disable=broad-except
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def _burst(self, port):
        for _ in range(64):
            frame = port.receive()
            if frame is None:
                return
            with self.changed:
                frame.time = time.monotonic()
                if len(self.seen) >= MOST_FRAMES:
                    raise OverflowError(f"more than {MOST_FRAMES} frames")
                self.seen.append(frame)
                self._arrived(frame)
                if not self.keep_payload and frame.fate not in (HOLD, None):
                    frame.forget_payload()
                self.changed.notify_all()

    def _arrived(self, frame):
        frame.fate = PASS
        self.delivered.append(frame)

    # ---- What was seen ----

    def wait(self, condition, timeout=20, failure="what was waited for did not happen"):
        """Until `condition()`, which is asked after every frame, is true; returns what it was."""
        with self.changed:
            value = None

            def met():
                nonlocal value
                value = condition()
                return value or self.error
            if not self.changed.wait_for(met, timeout):
                raise TimeoutError(f"{failure}; what was seen:\n{self.describe()}")
            if not value:
                raise self.error
            return value

    def wait_seen(self, which, count=1, timeout=20):
        """Until so many frames were seen of which `which(frame)` holds (or that are of the kind that it names); returns them."""
        return self._wait_in(self.seen, which, count, timeout, "seen")

    def wait_delivered(self, which, count=1, timeout=20):
        """The same of frames that went out."""
        return self._wait_in(self.delivered, which, count, timeout, "delivered")

    def _wait_in(self, record, which, count, timeout, what):
        test = self._test(which)

        def found():
            matching = [frame for frame in record if test(frame)]
            return matching if len(matching) >= count else None
        return self.wait(found, timeout, f"{count} frames were to be {what}")

    @staticmethod
    def _test(which):
        return (lambda frame: frame.kind == which) if isinstance(which, str) else which

    def tcp(self, port=None, among=None):
        """What was seen of TCP so far, of the connections of this port or of all, in the order in which the machine got it. A bridge
        shows a frame to its own interface after it has forwarded it: where that is late, the answer is there before the question."""
        with self.changed:
            record = sorted(self.seen, key=lambda frame: frame.stamp) if among is None else among
            return [frame for frame in record if frame.is_tcp and (port is None or port in (frame.source_port, frame.destination_port))]

    def exchange(self, port=None):
        """The same as its receivers saw it: in the order in which it was forwarded, without what was dropped, with what was forged.
        A segment that came repeatedly counts once, so that a slow machine, on which timers run out, changes nothing."""
        found, known = [], set()
        for frame in self.tcp(port, self.delivered):
            if frame.identity not in known:
                known.add(frame.identity)
                found.append(frame)
        return found

    def kinds(self, port=None):
        """[(interface that it came from, kind)] of exchange()."""
        return [(frame.came_from, frame.kind) for frame in self.exchange(port)]

    def count_segments(self, port=None):
        """On a real wire, repetitions included: a super-segment is many."""
        return sum(frame.segments for frame in self.tcp(port))

    def dropped(self):
        """Frames lost because this process did not read them in time: a test that counts is worth nothing then."""
        return sum(port.count_dropped() for port in self.ports.values())

    def describe(self):
        with self.changed:
            start = self.seen[0].time if self.seen else 0
            return "\n".join(f"{frame.time - start:9.6f} {frame}" for frame in self.seen[-200:])


class Wire(Recorder):
    """Two interfaces, joined."""

    def __init__(self, left, right, keep_payload=False):
        super().__init__(left, right, keep_payload=keep_payload)
        self._other = {left: self.ports[right], right: self.ports[left]}
        self._hooks = {left: None, right: None}
        self._held = []
        self._pause_when = None
        self._backlog = collections.deque()
        self.paused = False

    def hook(self, came_from, function):
        """`function(frame)` decides on frames that come from that interface; None: all pass."""
        with self.changed:
            if came_from not in self._hooks:
                raise KeyError(f"the wire does not end at {came_from}")
            self._hooks[came_from] = function

    def _arrived(self, frame):
        if self.paused:
            self._backlog.append(frame)
        else:
            self._judge(frame)

    def _judge(self, frame):
        hook = self._hooks[frame.came_from]
        verdict = PASS if hook is None else hook(frame)
        if verdict == HOLD:
            frame.fate = HOLD
            self._held.append(frame)
            return
        if verdict == DROP:
            frame.fate = DROP
            return
        if verdict in (PASS, DUPLICATE):
            frame.fate = verdict
            self._forward(frame)
            if verdict == DUPLICATE:
                self._forward(frame)
        elif isinstance(verdict, list):
            frame.fate = "replaced"
            for other in verdict:
                self._forward(other)
        else:
            raise TypeError(f"{verdict!r} is no verdict: what did the hook mean for {frame}?")
        if self._pause_when is not None and self._pause_when(frame):
            self._pause_when = None
            self.paused = True

    def _forward(self, frame):
        self._other[frame.came_from].send(frame)
        if frame.fate in (HOLD, None):
            frame.fate = PASS
        self.delivered.append(frame)

    # ---- From the test, or from a hook ----

    def held(self, which=None):
        """Frames that wait to be released, in the order in which they came."""
        with self.changed:
            test = self._test(which) if which is not None else lambda frame: True
            return [frame for frame in self._held if test(frame)]

    def wait_held(self, which=None, count=1, timeout=20):
        def enough():
            found = self.held(which)
            return found if len(found) >= count else None
        return self.wait(enough, timeout, f"{count} held frames were waited for")

    def release(self, *chosen):
        """Sends held frames on: all of them as they came, or the chosen ones in the order given."""
        with self.changed:
            for frame in chosen or list(self._held):
                self._held.remove(frame)
                self._forward(frame)
                if not self.keep_payload:
                    frame.forget_payload()
            self.changed.notify_all()

    def discard(self, *chosen):
        """Drops held frames."""
        with self.changed:
            for frame in chosen or list(self._held):
                self._held.remove(frame)
                frame.fate = DROP
            self.changed.notify_all()

    def inject(self, *forged):
        """Sends frames that nobody sent: to the end that lies opposite to where they `came_from`."""
        with self.changed:
            for frame in forged:
                self._forward(frame)
            self.changed.notify_all()

    def pause_after(self, which):
        """Everything that comes after the next frame of this kind has been forwarded waits, unjudged, until resume()."""
        with self.changed:
            self._pause_when = self._test(which)

    def pause(self):
        with self.changed:
            self.paused = True
            self.changed.notify_all()

    def wait_paused(self, timeout=20):
        self.wait(lambda: self.paused, timeout, "the wire was to pause")

    def backlog(self):
        """Frames that came since the pause began."""
        with self.changed:
            return list(self._backlog)

    def resume(self):
        """Judges and forwards what waited. A pause_after() that is asked for before may take hold on the way."""
        with self.changed:
            self.paused = False
            while self._backlog and not self.paused:
                frame = self._backlog.popleft()
                self._judge(frame)
                if not self.keep_payload and frame.fate not in (HOLD, None):
                    frame.forget_payload()
            self.changed.notify_all()


def once(which, verdict, otherwise=PASS):
    """A hook: this verdict (or what it makes of the frame) for the first frame of that kind, and `otherwise` for the rest."""
    test, done = Recorder._test(which), []

    def hook(frame):
        if done or not test(frame):
            return otherwise
        done.append(frame)
        return verdict(frame) if callable(verdict) else verdict
    return hook
