// Two connections, and between them a wire that loses, repeats, delays and reorders; time is simulated and one seed
// decides all.
#pragma once

#include <functional>
#include <map>
#include <random>

#include "endpoint.h"
#include "solo.h"

namespace holdfast::tcp::test {

struct WireFaults {
  double loss = 0, duplicate = 0, reorder = 0;
  Duration delay = std::chrono::milliseconds(5);
  Duration jitter{};      // extra delay of a reordered packet, up to this
  Duration per_byte{};    // bandwidth
  bool coalesce = false;  // receive super-segments as they were sent
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 2; ++i) side(i).clock_base = 1000 + static_cast<std::uint32_t>(i) * 777777;
  }

  Endpoint a, b;  // a opens
  WireFaults faults;
  Duration store_lag{};  // for a side with store_at_once off: a byte is stored so long after it came
  SeqNum a_iss{0xffffff00}, b_iss{0x7fffff00};  // sequence numbers wrap early
  std::uint64_t frames = 0, lost = 0;

  void connect() {
    const wire::FourTuple mirrored{kTuple.peer, kTuple.local};
    a.connection = Connection::connect(a, a.config, StreamId{1}, mirrored, a_iss, 11, now_);
    a.connection->on_record_stored(now_);
    collect();
  }

  Time now() const { return now_; }

  // Side b dies and comes back from what is stored. `old`: a snapshot from some time before, whose lagging parts are
  // believed.
  void replace_b(const Snapshot& old, bool lose_frames) { replace(1, old, lose_frames); }
  void replace(int which, const Snapshot& old, bool lose_frames) {
    collect();
    Endpoint& e = side(which);
    Snapshot s = e.connection->snapshot();
    if (old.state != State::kSynReceived) {
      s.snd_una = old.snd_una;
      s.snd_wnd = old.snd_wnd;
      s.fin_acked = old.fin_acked;
    }
    // What was received and not stored is gone, and with it the notes.
    e.received.resize(e.stored);
    e.received_fin = e.stored_fin;
    scheduled_[which] = e.stored;
    scheduled_fin_[which] = e.stored_fin;
    storing_[which].clear();
    e.held.clear();
    s.rcv_end = StreamOffset{e.stored};
    s.rcv_fin = e.stored_fin;
    if (lose_frames) packets_.clear();
    const bool fin_written = s.snd_fin;
    e.connection = Connection::resume(e, e.config, StreamId{2}, s, now_);
    e.connection->queue(Bytes(e.to_write).subspan(s.snd_una.value, s.snd_end - s.snd_una));
    e.connection->on_outbound_stored(s.snd_end, fin_written, now_);
    e.connection->speak(now_);
    collect();
  }
  // Until nothing is left to happen or `limit` has passed. False: time ran out.
  bool run(Duration limit, const std::function<bool()>& done = {}) {
    const Time until = now_ + limit;
    for (std::uint64_t steps = 0; steps < 5'000'000; ++steps) {
      collect();
      if (done && done()) return true;
      const Time next = next_event();
      if (next == kNever) return true;
      if (next > until) {
        set_now(until);
        return false;
      }
      set_now(std::max(now_, next));
      step();
    }
    return false;
  }
  double chance() { return std::uniform_real_distribution<>(0, 1)(random_); }
  std::uint64_t pick(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_); }

 private:
  struct Packet {
    int to = 0;
    Sent sent;
  };
  Endpoint& side(int i) { return i == 0 ? a : b; }
  void set_now(Time t) { now_ = a.now = b.now = t; }

  Time next_event() {
    Time next = kNever;
    if (!packets_.empty()) next = packets_.begin()->first;
    for (int i = 0; i < 2; ++i) {
      if (live(i)) next = std::min(next, side(i).connection->deadline());
      if (!storing_[i].empty()) next = std::min(next, storing_[i].front().at);
    }
    return next;
  }
  bool live(int i) { return side(i).connection && !side(i).close_reason; }

  void step() {
    while (!packets_.empty() && packets_.begin()->first <= now_) {
      const Packet p = std::move(packets_.begin()->second);
      packets_.erase(packets_.begin());
      arrive(p);
      collect();
    }
    for (int i = 0; i < 2; ++i) {
      store(i);
      if (live(i) && side(i).connection->deadline() <= now_) side(i).connection->on_deadline(now_);
      collect();
    }
  }

  void arrive(const Packet& p) {
    Endpoint& to = side(p.to);
    const SegmentIn in{p.sent.header, Bytes(p.sent.payload)};
    if (!to.connection && in.header.flags.syn && !in.header.flags.ack) {
      to.connection = Connection::accept(to, to.config, StreamId{2}, kTuple, in, b_iss, 22, now_);
      to.connection->on_record_stored(now_);
      to.top_up(*to.connection);
      return;
    }
    if (live(p.to)) to.connection->on_segment(in, now_);
  }

  void collect() {
    for (int i = 0; i < 2; ++i) {
      Endpoint& from = side(i);
      if (!from.store_at_once && (from.received.size() > scheduled_[i] || from.received_fin != scheduled_fin_[i])) {
        scheduled_[i] = from.received.size();
        scheduled_fin_[i] = from.received_fin;
        storing_[i].push_back({now_ + store_lag, from.received.size(), from.received_fin});
      }
      if (!from.store_at_once && from.connection) from.release_stored(*from.connection);
      while (!from.out.empty()) send(1 - i, from.next());
    }
  }

  void store(int i) {
    while (!storing_[i].empty() && storing_[i].front().at <= now_) {
      side(i).stored = storing_[i].front().size;
      side(i).stored_fin = storing_[i].front().fin;
      storing_[i].pop_front();
    }
    if (side(i).connection && live(i)) side(i).release_stored(*side(i).connection);
  }

  void send(int to, const Sent& sent) {
    if (sent.gso_size == 0 || faults.coalesce) return launch(to, sent);
    for (std::size_t at = 0; at < sent.payload.size(); at += sent.gso_size) {
      Sent part = sent;
      const std::size_t n = std::min<std::size_t>(sent.gso_size, sent.payload.size() - at);
      const bool last = at + n == sent.payload.size();
      part.payload.assign(sent.payload.begin() + static_cast<std::ptrdiff_t>(at),
                          sent.payload.begin() + static_cast<std::ptrdiff_t>(at + n));
      part.header.seq = sent.header.seq + static_cast<std::uint32_t>(at);
      if (!last) part.header.flags.fin = part.header.flags.psh = false;
      launch(to, part);
    }
  }

  void launch(int to, const Sent& sent) {
    ++frames;
    if (chance() < faults.loss) {
      ++lost;
      return;
    }
    // A queue in front of the wire: packets leave one after the other.
    free_at_[to] = std::max(free_at_[to], now_) + faults.per_byte * static_cast<std::int64_t>(sent.payload.size() + 60);
    Time at = free_at_[to] + faults.delay;
    if (faults.jitter > Duration::zero() && chance() < faults.reorder) {
      at += Duration(static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(faults.jitter.count()) + 1)));
    }
    packets_.emplace(at, Packet{to, sent});
    if (chance() < faults.duplicate) packets_.emplace(at + faults.delay / 3, Packet{to, sent});
  }

  struct Storing {
    Time at;
    std::size_t size;
    bool fin;
  };
  std::mt19937_64 random_;
  Time now_{};
  std::multimap<Time, Packet> packets_;
  Time free_at_[2] = {};
  std::deque<Storing> storing_[2];
  std::size_t scheduled_[2] = {};
  bool scheduled_fin_[2] = {};
};

}  // namespace holdfast::tcp::test
