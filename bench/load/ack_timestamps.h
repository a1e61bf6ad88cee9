// Learns when the peer's TCP has acknowledged bytes, by event: SO_TIMESTAMPING with SOF_TIMESTAMPING_TX_ACK puts a
// notice on the socket's error queue when the ACK that covers a send() arrives (Linux,
// Documentation/networking/timestamping.rst). Where an ACK means "stored" that is the moment when a client knows. It
// only watches: what the socket sends is the same.
#pragma once

#include <cstdint>

namespace holdfast::bench {

// To be called on a connected socket before its first byte is sent: offsets count from there.
void watch_acks(int fd);

// Takes one notice from the error queue and returns the bytes acknowledged: `acked` so far, or more. A notice speaks
// for a whole send() and for all before it. Level-triggered epoll reports EPOLLERR while there are more: one system
// call a notice, as for a reply.
std::uint64_t take_ack(int fd, std::uint64_t acked);

}  // namespace holdfast::bench
