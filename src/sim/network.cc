#include "sim/network.h"

#include <algorithm>

#include "wire/ethernet.h"

namespace holdfast::sim {

namespace {

bool is_arp(const Packet& packet) {
  const auto ethernet = wire::parse_ethernet(packet.bytes);
  return ethernet && ethernet->ether_type == wire::kEtherTypeArp;
}

}  // namespace

unsigned Network::attach(std::string name, wire::MacAddress mac, Receiver receiver) {
  ports_.push_back({std::move(name), mac, std::move(receiver), {}, {}});
  return static_cast<unsigned>(ports_.size() - 1);
}

void Network::calm() {
  for (Port& port : ports_) {
    for (Line* line : {&port.up, &port.down}) {
      LineFaults quiet;
      quiet.pass_whole = line->faults.pass_whole;
      quiet.delay = line->faults.delay;
      quiet.bytes_per_second = line->faults.bytes_per_second;
      quiet.max_queue = line->faults.max_queue;
      line->faults = quiet;
    }
  }
}

void Network::send(unsigned from, Packet packet) {
  context_.trace.fold(packet.bytes);
  if (packet.bytes.size() < wire::kEthernetHeader) return;
  const wire::MacAddress destination = wire::load_mac(packet.bytes.data());
  for (unsigned to = 0; to < ports_.size(); ++to) {
    if (to == from) continue;
    if (destination.is_multicast() || destination == ports_[to].mac) carry(from, to, packet);
  }
}

void Network::carry(unsigned from, unsigned to, const Packet& packet) {
  pass(ports_[from].up, packet, context_.now(), [&](const Packet& half_way, Time then) {
    pass(ports_[to].down, half_way, then, [&](Packet arrived, Time when) {
      context_.queue.at(when, [this, to, frame = std::move(arrived)]() mutable {
        context_.trace.fold(frame.bytes);
        ports_[to].receiver(std::move(frame));
      });
    });
  });
}

std::vector<Packet> Network::as_on_the_line(const Line& line, const Packet& packet) {
  if (packet.gso_size != 0 || packet.partial_checksum) {
    if (prng_.ppm(line.faults.pass_whole)) {
      if (packet.gso_size != 0) context_.faults.add(Fault::kSuperSegment);
      return {packet};
    }
  }
  std::vector<Packet> frames = cut(packet);
  if (!prng_.ppm(line.faults.fragment)) return frames;
  std::vector<Packet> fragments;
  const auto mtu = static_cast<std::uint16_t>(prng_.between(576, 1400));
  for (const Packet& frame : frames) {
    auto parts = fragment(frame, mtu);
    if (parts.size() > 1) context_.faults.add(Fault::kFragment);
    std::ranges::move(parts, std::back_inserter(fragments));
  }
  return fragments;
}

void Network::pass(Line& line, const Packet& packet, Time start, const std::function<void(Packet, Time)>& next) {
  const LineFaults& faults = line.faults;
  for (Packet& frame : as_on_the_line(line, packet)) {
    if (faults.cut_off) {
      context_.faults.add(Fault::kPartitionDrop);
      continue;
    }
    if (prng_.ppm(faults.loss)) {
      context_.faults.add(Fault::kLoss);
      continue;
    }
    Time leaves = start;
    if (faults.bytes_per_second != 0) {
      leaves = std::max(start, line.busy_until);
      if (leaves - start > faults.max_queue) {
        context_.faults.add(Fault::kQueueDrop);
        continue;
      }
      leaves += Duration(frame.bytes.size() * 1'000'000'000ULL / faults.bytes_per_second);
      line.busy_until = leaves;
    }
    Time arrives = leaves + faults.delay + prng_.between(Duration::zero(), faults.jitter);
    if (prng_.ppm(faults.reorder)) {
      context_.faults.add(Fault::kReorder);
      arrives += prng_.between(std::chrono::microseconds(1), 4 * faults.delay + std::chrono::milliseconds(5));
    } else {
      arrives = std::max(arrives, line.last_arrival);
      line.last_arrival = arrives;
    }
    if (prng_.ppm(faults.duplicate)) {
      context_.faults.add(Fault::kDuplicate);
      next(frame, arrives + prng_.between(Duration::zero(), 2 * faults.delay));
    }
    const bool may_be_corrupted = !frame.partial_checksum && frame.whole == nullptr && !is_arp(frame);
    if (may_be_corrupted && prng_.ppm(faults.corrupt)) corrupt(frame);
    next(std::move(frame), arrives);
  }
}

// Changes that an Internet checksum is bound to catch: one bit, or one byte. ARP has no checksum, and the Ethernet
// header only the frame check sequence, which is not simulated: those are left alone.
void Network::corrupt(Packet& packet) {
  if (packet.bytes.size() <= wire::kEthernetHeader) return;
  context_.faults.add(Fault::kCorrupt);
  const std::size_t at = static_cast<std::size_t>(prng_.between(wire::kEthernetHeader, packet.bytes.size() - 1));
  const auto mask = prng_.one_in(2) ? std::uint64_t{1} << prng_.below(8) : prng_.between(1, 254);
  packet.bytes[at] ^= static_cast<std::byte>(mask);
}

}  // namespace holdfast::sim
