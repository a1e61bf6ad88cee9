"""TCP segments in Ethernet frames: read, changed, forged. Python 3's standard library only.

A frame comes with the metadata that the kernel keeps beside it (struct virtio_net_hdr): which checksum is still missing, and into
what segments a super-segment is to be cut. Whoever forwards it forwards both.
"""

import collections
import socket
import struct

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

META = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CHECKSUM = 1
ETHERNET = struct.Struct("!6s6sH")
IPV4 = struct.Struct("!BBHHHBBH4s4s")
TCP = struct.Struct("!HHIIBBHHH")
TCP_CHECKSUM_AT = 16

# The experimental option of the N-way handshake (RFC 6994: kind 253 with an identifier).
WAYS_KIND, WAYS_LENGTH, WAYS_ID = 253, 16, 0x4846
SHORT = 2  # of its flags
WaysOption = collections.namedtuple("WaysOption", "ways step copies flags nonce echo")


class Frame:
    """One Ethernet frame. `is_tcp` says whether it has a TCP segment; else these are as here:"""

    source = destination = ""
    source_port = destination_port = seq = ack = flags = window = checksum = urgent = payload_length = 0
    options = payload = b""
    ways = None

    def __init__(self, raw, meta=bytes(META.size), came_from=None):
        self.raw = bytes(raw)
        self._given_meta = META.unpack(meta)
        flags, self.gso_type, _, self.gso_size, _, _ = self._given_meta
        self.needs_checksum = bool(flags & NEEDS_CHECKSUM)
        self.came_from = came_from  # the interface
        self.stamp = (0, 0)         # when the machine got it: seconds, nanoseconds
        self.fate = None            # what a wire did with it
        self.time = None            # when it was seen, time.monotonic()
        self.is_tcp = self._parse()

    def _parse(self):
        raw = self.raw
        if len(raw) < 34:
            return False
        self.destination_mac, self.source_mac, kind = ETHERNET.unpack_from(raw)
        if kind != 0x0800 or raw[14] >> 4 != 4:
            return False
        self._ip_end = 14 + (raw[14] & 15) * 4
        length, = struct.unpack_from("!H", raw, 16)
        fragment, = struct.unpack_from("!H", raw, 20)
        end = 14 + length
        if raw[23] != socket.IPPROTO_TCP or fragment & 0x3FFF or end > len(raw) or end < self._ip_end + TCP.size:
            return False
        self.source, self.destination = socket.inet_ntoa(raw[26:30]), socket.inet_ntoa(raw[30:34])
        (self.source_port, self.destination_port, self.seq, self.ack, offset, self.flags, self.window, self.checksum,
         self.urgent) = TCP.unpack_from(raw, self._ip_end)
        self._tcp_end = self._ip_end + (offset >> 4) * 4
        if self._tcp_end < self._ip_end + TCP.size or self._tcp_end > end:
            return False
        self._end = end
        self.payload_length = end - self._tcp_end
        self.options, self.payload = raw[self._ip_end + TCP.size:self._tcp_end], raw[self._tcp_end:end]
        self.ways = self._ways()
        return True

    def _ways(self):
        for kind, value in self.each_option():
            if kind == WAYS_KIND and len(value) == WAYS_LENGTH - 2 and value[:2] == WAYS_ID.to_bytes(2, "big"):
                return WaysOption(*struct.unpack("!BBBBII", value[2:]))
        return None

    def each_option(self):
        """(kind, value) of each option but padding, as far as they are well formed."""
        at = 0
        while at < len(self.options):
            kind = self.options[at]
            if kind == 0:
                return
            if kind == 1:
                at += 1
                continue
            length = self.options[at + 1] if at + 1 < len(self.options) else 0
            if length < 2 or at + length > len(self.options):
                return
            yield kind, self.options[at + 2:at + length]
            at += length

    # ---- What it is ----

    @property
    def kind(self):
        """A word for people and tests: SYN, SYN-ACK, ACK, DATA, FIN, RST, RST-ACK; "other" where it is no TCP."""
        if not self.is_tcp:
            return "other"
        flags = self.flags
        if flags & RST:
            return "RST-ACK" if flags & ACK else "RST"
        if flags & SYN:
            return "SYN-ACK" if flags & ACK else "SYN"
        if flags & FIN:
            return "FIN"
        return "DATA" if self.payload_length else "ACK"

    @property
    def end_seq(self):
        """The sequence number behind it."""
        return (self.seq + self.payload_length + bool(self.flags & SYN) + bool(self.flags & FIN)) % (1 << 32)

    @property
    def segments(self):
        """How many segments it is on a real wire: more than one for a super-segment."""
        return -(-self.payload_length // self.gso_size) if self.is_tcp and self.gso_size and self.payload_length else 1

    @property
    def identity(self):
        """Equal for a segment and its repetitions."""
        return self.came_from, self.kind, self.seq, self.ack, self.payload_length

    def checksum_is_right(self):
        """Of a complete one; with NEEDS_CHECKSUM it holds the pseudo-header's sum only."""
        return ones_complement_sum(self._pseudo_header() + self.raw[self._ip_end:self._end]) == 0xFFFF

    def __str__(self):
        where = f"{self.came_from or 'forged':>8} "
        if not self.is_tcp:
            return where + f"{len(self.raw)} bytes that are no TCP"
        ways = f" {self.ways}" if self.ways else ""
        gso = f" in {self.segments} segments" if self.segments > 1 else ""
        return (where + f"{self.kind:7} {self.source_port} > {self.destination_port} seq {self.seq} ack {self.ack} window {self.window} "
                f"payload {self.payload_length}{gso}{ways}{' ' + self.fate if self.fate else ''}")

    # ---- Changed and forged ----

    def altered(self, **fields):
        """A copy with some of these replaced, and checksums that fit: source, destination (addresses), source_port,
        destination_port, seq, ack, flags, window, options (padded to four bytes), payload, came_from."""
        get = lambda name: fields.get(name, getattr(self, name))  # noqa: E731
        unknown = set(fields) - {"source", "destination", "source_port", "destination_port", "seq", "ack", "flags", "window",
                                 "options", "payload", "came_from"}
        if unknown:
            raise TypeError(f"no such field: {unknown}")
        options, payload = get("options"), get("payload")
        options += bytes(-len(options) % 4)
        header_length = TCP.size + len(options)
        head = ETHERNET.pack(self.destination_mac, self.source_mac, 0x0800)
        total = IPV4.size + header_length + len(payload)
        addresses = [socket.inet_aton(get("source")), socket.inet_aton(get("destination"))]
        fixed = [0x45, self.raw[15], total, *struct.unpack_from("!HH", self.raw, 18), self.raw[22], socket.IPPROTO_TCP]
        ip = IPV4.pack(*fixed, 0, *addresses)
        ip = IPV4.pack(*fixed, ~ones_complement_sum(ip) & 0xFFFF, *addresses)
        tcp = TCP.pack(get("source_port"), get("destination_port"), get("seq") % (1 << 32), get("ack") % (1 << 32),
                       (header_length // 4) << 4, get("flags"), get("window"), 0, self.urgent) + options
        result = Frame(head + ip + tcp + payload, came_from=get("came_from"))
        super_segment = self.gso_size and len(payload) > self.gso_size
        result.gso_type, result.gso_size = (self.gso_type, self.gso_size) if super_segment else (0, 0)
        result.needs_checksum = bool(super_segment)
        partial = ones_complement_sum(result._pseudo_header())
        whole = ~ones_complement_sum(result._pseudo_header() + result.raw[result._ip_end:]) & 0xFFFF
        result.checksum = partial if super_segment else whole
        at = result._ip_end + TCP_CHECKSUM_AT
        result.raw = result.raw[:at] + struct.pack("!H", result.checksum) + result.raw[at + 2:]
        return result

    def without_option(self, kind):
        """As a middlebox strips it: overwritten by NOPs."""
        options, at = bytearray(self.options), 0
        while at < len(options) and options[at] != 0:
            length = 1 if options[at] == 1 else max(2, options[at + 1] if at + 1 < len(options) else 2)
            if options[at] == kind:
                options[at:at + length] = b"\1" * len(options[at:at + length])
            at += length
        return self.altered(options=bytes(options))

    def answer(self, **fields):
        """A bare ACK that its receiver might send: addresses turned round, what it has been told acknowledged. As a base to forge
        from: `fields` as with altered(); it comes from the other side, so say `came_from`."""
        turned = {"source": self.destination, "destination": self.source, "source_port": self.destination_port,
                  "destination_port": self.source_port, "seq": self.ack, "ack": self.end_seq, "flags": ACK, "options": b"",
                  "payload": b"", "came_from": None}
        result = self.altered(**{**turned, **fields})
        result.raw = self.source_mac + self.destination_mac + result.raw[12:]
        result.destination_mac, result.source_mac = self.source_mac, self.destination_mac
        return result

    def forget_payload(self):
        """So that a record of many frames stays small."""
        if self.is_tcp and self.payload_length:
            self.raw, self.payload, self._end = self.raw[:self._tcp_end], b"", self._tcp_end

    def meta(self):
        """The virtio_net_hdr to send it with. Whether somebody has verified the checksum stays behind: the receiver does it anew."""
        if not self.needs_checksum:
            return bytes(META.size)
        if not self.is_tcp:
            return META.pack(NEEDS_CHECKSUM, *self._given_meta[1:])
        return META.pack(NEEDS_CHECKSUM, self.gso_type, self._tcp_end, self.gso_size, self._ip_end, TCP_CHECKSUM_AT)

    def _pseudo_header(self):
        return self.raw[26:34] + struct.pack("!BBH", 0, socket.IPPROTO_TCP, self._end - self._ip_end)


def made(**fields):
    """A bare SYN that nobody has sent, with fields as in altered()."""
    head = ETHERNET.pack(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 0x0800)
    ip = IPV4.pack(0x45, 0, 40, 7, 0x4000, 64, socket.IPPROTO_TCP, 0, socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2"))
    tcp = TCP.pack(1000, 2000, 5, 0, 5 << 4, SYN, 100, 0, 0)
    return Frame(head + ip + tcp, came_from="a").altered(**fields)


def ways_option(ways, step, copies=0, flags=0, nonce=0, echo=0):
    """Its bytes."""
    return struct.pack("!BBHBBBBII", WAYS_KIND, WAYS_LENGTH, WAYS_ID, ways, step, copies, flags, nonce, echo)


def ones_complement_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
