#include "ip/neighbours.h"

#include <algorithm>
#include <array>

#include "base/mutant.h"
#include "wire/arp.h"
#include "wire/ethernet.h"

namespace holdfast::ip {

Neighbours::Neighbours(Output& output, const Config& config, Counters& counters)
    : output_(output),
      config_(config),
      counters_(counters),
      table_(kEntries, config.seed),
      pool_(kQueuedBlocks),
      flushed_(std::make_unique_for_overwrite<std::byte[]>(FramePool::kMaxFrame)) {}

void Neighbours::start(Time now) {
  if (started_) return;
  started_ = true;
  table_.for_each([&](Entry& entry) {
    const State state = entry.value.state;
    if (state == State::kIncomplete || state == State::kProbing) ask(entry, state, now);
  });
}

void Neighbours::send(wire::Ipv4Address next_hop, MutableBytes head, const wire::TxFrame& frame, Time now) {
  Entry* entry = table_.find(next_hop);
  if (entry == nullptr) {
    entry = &add(next_hop);
    ask(*entry, State::kIncomplete, now);
  } else {
    table_.touch(*entry);
  }
  Neighbour& neighbour = entry->value;
  if (neighbour.state == State::kFailed && now >= neighbour.timeout) ask(*entry, State::kIncomplete, now);
  if (neighbour.state == State::kReachable && now - neighbour.confirmed >= kReachableTime) {
    ask(*entry, State::kProbing, now);
  }
  switch (neighbour.state) {
    case State::kReachable:
    case State::kProbing:
      wire::store_mac(head.data(), neighbour.mac);
      output_.transmit(frame);
      break;
    case State::kIncomplete:
      enqueue(neighbour, frame);
      break;
    case State::kFailed:
      ++counters_.dropped_unresolved;
      break;
  }
}

std::optional<wire::MacAddress> Neighbours::find(wire::Ipv4Address address) const {
  const Entry* entry = table_.find(address);
  if (entry == nullptr) return std::nullopt;
  const State state = entry->value.state;
  if (state != State::kReachable && state != State::kProbing) return std::nullopt;
  return entry->value.mac;
}

void Neighbours::learn(wire::Ipv4Address address, const wire::MacAddress& mac, bool create, Time now) {
  if (!is_plausible(address, mac)) return;
  Entry* entry = table_.find(address);
  if (entry == nullptr) {
    if (!create) return;
    entry = &add(address);
  }
  Neighbour& neighbour = entry->value;
  neighbour.state = State::kReachable;
  neighbour.due = 0;
  neighbour.mac = mac;
  neighbour.confirmed = now;
  neighbour.timeout = kNever;
  flush(neighbour);
}

void Neighbours::hint(wire::Ipv4Address next_hop, const wire::MacAddress& mac, Time now) {
  Entry* entry = table_.find(next_hop);
  if (entry == nullptr || entry->value.state != State::kIncomplete || !started_ || !is_plausible(next_hop, mac)) return;
  entry->value.mac = mac;
  entry->value.confirmed = now - kReachableTime;
  ask(*entry, State::kProbing, now);
  flush(entry->value);
}

bool Neighbours::settled(wire::Ipv4Address next_hop, Time now) {
  Entry* entry = table_.find(next_hop);
  if (entry == nullptr) {
    // More peers than there are places: who is asked for must not be forgotten for the next one.
    if (!is_host_on_link(next_hop) || table_.full()) return true;
    entry = &add(next_hop);
    ask(*entry, State::kIncomplete, now);
  }
  return entry->value.state != State::kIncomplete;
}

void Neighbours::on_deadline(Time now) {
  if (now < deadline_) return;
  if (now >= clearance_at_) request_clearance(now);
  table_.for_each([&](Entry& entry) {
    const State state = entry.value.state;
    if ((state == State::kIncomplete || state == State::kProbing) && entry.value.timeout <= now) on_timeout(entry, now);
  });
  deadline_ = clearance_at_;
  table_.for_each([&](Entry& entry) {
    const State state = entry.value.state;
    if (state == State::kIncomplete || state == State::kProbing) deadline_ = std::min(deadline_, entry.value.timeout);
  });
}

void Neighbours::on_timeout(Entry& entry, Time now) {
  Neighbour& neighbour = entry.value;
  if (neighbour.due != 0) {
    neighbour.timeout = now + kRequestInterval;  // storage stands still
  } else if (neighbour.requests < kRequests) {
    request(entry, now);
  } else if (neighbour.state == State::kProbing) {
    table_.erase(entry);
  } else {
    discard_waiting(neighbour);
    neighbour.state = State::kFailed;
    neighbour.timeout = now + kHoldDown;
  }
}

// A neighbour with our own MAC, or none, would have us talk to ourselves.
bool Neighbours::is_plausible(wire::Ipv4Address address, const wire::MacAddress& mac) const {
  return !mac.is_multicast() && mac != wire::MacAddress{} && mac != config_.mac && is_host_on_link(address);
}

bool Neighbours::is_host_on_link(wire::Ipv4Address address) const {
  if (address == config_.address.address || !address.is_unicast_host()) return false;
  if (config_.gateway == address) return true;
  if (!config_.address.contains(address)) return false;
  // The all-zeros and all-ones hosts are broadcasts, but for links of two (RFC 3021).
  if (config_.address.length >= 31) return true;
  return address != config_.address.broadcast() && address.value != (address.value & config_.address.mask());
}

Neighbours::Entry& Neighbours::add(wire::Ipv4Address address) {
  if (table_.full()) discard_waiting(table_.oldest()->value);
  return table_.insert(address);
}

void Neighbours::ask(Entry& entry, State state, Time now) {
  entry.value.state = state;
  entry.value.requests = 0;
  entry.value.due = 0;
  entry.value.timeout = kNever;
  if (started_) request(entry, now);
}

void Neighbours::request(Entry& entry, Time now) {
  Neighbour& neighbour = entry.value;
  ++neighbour.requests;
  neighbour.due = clearances_ + 1;
  neighbour.timeout = now + kRequestInterval;
  deadline_ = std::min(deadline_, neighbour.timeout);
  if (HF_MUTANT(kAskAtOnce)) return send_request(entry);
  request_clearance(now);
}

void Neighbours::request_clearance(Time now) {
  clearance_at_ = kNever;
  if (clearance_asked_) return;  // whose write may have begun already: on_clearance() asks for another
  if (now < next_clearance_) {
    clearance_at_ = next_clearance_;
    deadline_ = std::min(deadline_, clearance_at_);
    return;
  }
  next_clearance_ = now + kClearanceInterval;
  clearance_asked_ = true;
  ++clearances_;
  output_.request_clearance(now);
}

void Neighbours::on_clearance(Time now) {
  clearance_asked_ = false;
  bool more = false;
  table_.for_each([&](Entry& entry) {
    if (entry.value.due == 0) return;
    if (entry.value.due > clearances_) {
      more = true;
      return;
    }
    entry.value.timeout = now + kRequestInterval;
    send_request(entry);
  });
  if (more) request_clearance(now);
}

void Neighbours::send_request(Entry& entry) {
  Neighbour& neighbour = entry.value;
  neighbour.due = 0;
  const bool probing = neighbour.state == State::kProbing;
  const wire::MacAddress to = probing ? neighbour.mac : wire::kBroadcastMac;
  std::array<std::byte, wire::kEthernetHeader + wire::kArpPacket> request;
  wire::emit_ethernet({to, config_.mac, wire::kEtherTypeArp}, request);
  wire::emit_arp({.operation = wire::ArpOperation::kRequest,
                  .sender_mac = config_.mac,
                  .sender = config_.asks_as.value_or(config_.address.address),
                  .target_mac = {},
                  .target = entry.key},
                 MutableBytes(request).subspan(wire::kEthernetHeader));
  wire::TxFrame frame;
  frame.head = request;
  output_.transmit(frame);
}

void Neighbours::enqueue(Neighbour& neighbour, const wire::TxFrame& frame) {
  if (neighbour.waiting.count == kQueuedFrames) {
    pool_.drop(neighbour.waiting);
    ++counters_.dropped_unresolved;
  }
  if (!pool_.push(neighbour.waiting, frame)) ++counters_.dropped_unresolved;
}

void Neighbours::flush(Neighbour& neighbour) {
  const MutableBytes buffer(flushed_.get(), FramePool::kMaxFrame);
  while (!neighbour.waiting.empty()) {
    const wire::TxFrame frame = pool_.pop(neighbour.waiting, buffer);
    wire::store_mac(buffer.data(), neighbour.mac);
    output_.transmit(frame);
  }
}

void Neighbours::discard_waiting(Neighbour& neighbour) {
  while (!neighbour.waiting.empty()) {
    pool_.drop(neighbour.waiting);
    ++counters_.dropped_unresolved;
  }
}

}  // namespace holdfast::ip
