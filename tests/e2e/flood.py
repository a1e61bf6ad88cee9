"""A flood of SYNs from addresses of the link that nobody has, in a size that the caller chooses."""

import ctypes
import errno
import os
import random
import socket
import struct
import time

import case
import frame as frames
import lab

HALF_OPEN = 256
SYN_ACK = 0x12


class Flooder:
    """Sends SYNs through a raw socket. No two are the same: source address, source port and sequence number differ.
    `ways`: they propose so many; 3: they carry no option for that."""

    def __init__(self, port, seed, ways=3):
        self.chance = random.Random(seed)
        self.port = port
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        # MSS 1460, SACK permitted, timestamps, window scale 7; and step 1.
        options = struct.pack("!BBHBBBBIIBBBB", 2, 4, 1460, 4, 2, 8, 10, 12345, 0, 1, 3, 3, 7)
        if ways > 3:
            options += struct.pack("!BBHBBBBII", frames.WAYS_KIND, frames.WAYS_LENGTH, frames.WAYS_ID, ways, 1, 1, 0, 0x12345678, 0)
        length = 20 + len(options)
        self.packet = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_TCP, 0, bytes(4),
                                            socket.inet_aton(lab.NODE)))
        self.packet += struct.pack("!HHIIBBHHH", 0, port, 0, 0, length // 4 << 4, 0x02, 64240, 0, 0) + options
        words = struct.unpack(f"!{length // 2}H", self.packet[20:]) + struct.unpack("!2H", self.packet[16:20])
        self.constant = sum(words) + socket.IPPROTO_TCP + length

    def close(self):
        self.raw.close()

    def send(self, count):
        host = struct.unpack("!I", socket.inet_aton(lab.HOST))[0] & ~0xFF
        packet, to, constant = self.packet, (lab.NODE, 0), self.constant
        sendto, draw, pack = self.raw.sendto, self.chance.getrandbits, struct.pack_into
        for _ in range(count):
            source, port, number = host + 3 + draw(12) % 250, 1024 + draw(15), draw(32)
            total = constant + (source >> 16) + (source & 0xFFFF) + port + (number >> 16) + (number & 0xFFFF)
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            pack("!I", packet, 12, source)
            pack("!H", packet, 20, port)
            pack("!I", packet, 24, number)
            pack("!H", packet, 36, ~total & 0xFFFF)
            try:
                sendto(packet, to)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # the device's queue is full, which is what a flood is for
                    raise


class SynAcks:
    """The SYN-ACKs to one of our ports, as they come from the device."""

    def __init__(self, port):
        # Of no protocol until it is bound: frames that came before the filter was there would be taken for what is looked for.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        # ld byte [23] == TCP; ld half [36] == port; ld byte [47] == SYN-ACK; then all of it.
        code = [(0x30, 0, 0, 23), (0x15, 0, 5, socket.IPPROTO_TCP), (0x28, 0, 0, 36), (0x15, 0, 3, port), (0x30, 0, 0, 47),
                (0x15, 0, 1, SYN_ACK), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)]
        program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in code))
        filter_ = struct.pack("@HP", len(code), ctypes.addressof(program))
        self.socket.setsockopt(socket.SOL_SOCKET, 26, filter_)  # SO_ATTACH_FILTER
        self.socket.bind((lab.LINK, 0x0800))
        self.socket.settimeout(10)

    def window(self):
        """Of the next one."""
        frame = self.socket.recv(2000)
        return struct.unpack_from("!H", frame, 48)[0]

    def close(self):
        self.socket.close()


def memory(pid):
    """Resident, bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def taken():
    """Frames that the node has read from its device."""
    with open("/proc/net/dev", encoding="ascii") as file:
        return next(int(line.split(":")[1].split()[9]) for line in file if line.strip().startswith(lab.LINK + ":"))


def written(pid):
    """To disks, bytes."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))


class Flood(case.Case):
    def connect_by_cookie(self):
        """A connection whose SYN was answered with a cookie: the window of its SYN-ACK is 0."""
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.bind((lab.HOST, 0))
        connection.settimeout(60)
        syn_acks = SynAcks(connection.getsockname()[1])
        try:
            connection.connect((lab.NODE, 7000))
            return connection, syn_acks.window() == 0
        finally:
            syn_acks.close()

    def send_and_finish(self, connection, data):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(connection.recv(1), b"")

    def wait_until_prepared(self, pid):
        """An upload is followed by the preparation of segments, which are written with zeros whole."""
        seen = [written(pid), time.monotonic()]

        def quiet():
            now = written(pid)
            if now - seen[0] > 64 << 10:
                seen[:] = now, time.monotonic()
            return time.monotonic() - seen[1] > 1
        lab.wait_for(quiet, 60, lambda: "the node goes on writing", every=0.05)

    def wait_until_read(self):
        """The node has got through all that was sent to it: it answers what came behind. (A connection would reserve room, and may
        have segments prepared.)"""
        def answered():
            try:
                return case.ping(b"behind the flood")
            except TimeoutError:  # the device's queue was full
                return None
        lab.wait_for(answered, 60, lambda: "no answer behind the flood")

    def syn_flood(self, syns, seed, kill=False, ways=3):
        """Half of it finds the node with nothing else to do, so that every byte that it writes is the flood's; during the other
        half clients connect and upload, and an upload that had begun goes on."""
        node = self.node(services=["store:7000,ways=3..74"], extra=["--max-half-open", str(HALF_OPEN)])
        flooder = Flooder(7000, seed, ways)
        self.addCleanup(flooder.close)
        old = self.connect()
        data = {old.getsockname()[1]: case.random_bytes(32 * case.MIB, seed=seed)}
        begun = data[old.getsockname()[1]]
        old.sendall(begun[:4 * case.MIB])
        lab.wait_for(lambda: node.streams() and node.streams()[0]["in_bytes"] == 4 * case.MIB, 30, lambda: "not stored", every=0.1)

        # Until there is no place left, and everything that grows to its bound has grown.
        flooder.send(20 * HALF_OPEN)
        connection, by_cookie = self.connect_by_cookie()
        self.assertTrue(by_cookie, "there are still places")
        first = case.random_bytes(case.MIB, seed=seed + 1)
        data[connection.getsockname()[1]] = first
        self.send_and_finish(connection, first)

        pid = node.node_pid()
        self.wait_until_prepared(pid)
        resident, on_disk, before = memory(pid), written(pid), taken()
        flooder.send(syns // 2)
        self.wait_until_read()
        grown = written(pid) - on_disk
        self.assertLess(grown, 256 << 10, "the flood is in the log")

        flood = self.in_background(flooder.send, syns - syns // 2)
        upload = self.in_background(self.send_and_finish, old, begun[4 * case.MIB:])
        if kill:
            node.kill_node()
        clients = 0
        while flood.thread.is_alive() or clients < 3:
            connection, by_cookie = self.connect_by_cookie()
            self.assertTrue(by_cookie)
            piece = case.random_bytes(200_000, seed=seed + 2 + clients)
            data[connection.getsockname()[1]] = piece
            self.send_and_finish(connection, piece)
            clients += 1
        flood.join()
        upload.join()
        reached = taken() - before
        self.assertGreater(reached, syns // 2, "most of the flood never reached the node")
        if not kill:
            self.assertEqual(node.node_pid(), pid)
            self.assertLess(memory(pid) - resident, 8 * case.MIB, "the flood is in memory")
        streams = {int(stream["peer"].split(":")[1]): stream for stream in node.streams()
                   if stream["peer"].split(":")[0] == lab.HOST}
        for port, wanted in data.items():
            self.assertTrue(streams[port]["in_finished"])
            self.assert_same(self.stored(node, streams[port]["id"]), wanted)
        # Those that had a place, and no others.
        self.assertLessEqual(len(node.streams()) - len(streams), HALF_OPEN)
        return {"clients": clients, "frames": reached, "grown": memory(node.node_pid()) - resident, "written": grown}
