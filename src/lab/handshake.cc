#include "lab/handshake.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "lab/host.h"
#include "sim/network.h"
#include "wire/ethernet.h"

namespace holdfast::lab {
namespace {

constexpr Duration kLookAway = std::chrono::hours(1);
constexpr wire::Port kClosedPort{9};
constexpr std::uint64_t kMaxEvents = 1'000'000;

// A connection's caller that only listens.
class Caller final : public stack::ClientHandler {
 public:
  void finished(tcp::CloseReason reason) override { ended_ = reason; }
  const std::optional<tcp::CloseReason>& ended() const { return ended_; }

 private:
  std::optional<tcp::CloseReason> ended_;
};

// Which step a segment is. Without the option the flags tell, and an ACK of the initiator is step 3 of three.
unsigned step_of(const wire::TcpHeader& header, Side from, bool of_three_ways) {
  if (header.flags.rst) return 0;
  if (header.options.ways) return header.options.ways->step;
  if (header.flags.syn) return header.flags.ack ? 2 : 1;
  return from == Side::kInitiator && of_three_ways ? 3 : 0;
}

class World {
 public:
  World(const Conditions& conditions, std::uint64_t seed)
      : conditions_(conditions),
        context_(false),
        network_(context_, sim::Prng(seed, "network")),
        initiator_(context_, conditions_, Side::kInitiator, seed, hooks(Side::kInitiator)),
        responder_(context_, conditions_, Side::kResponder, seed, hooks(Side::kResponder)) {
    for (const Side side : {Side::kInitiator, Side::kResponder}) {
      port(side) = network_.attach(side == Side::kInitiator ? "initiator" : "responder", host(side).mac(),
                                   [this, side](sim::Packet packet) { deliver(side, std::move(packet)); });
      network_.from_switch(port(side)).delay = Duration::zero();
      network_.to_switch(port(side)).delay = conditions_.delay;
    }
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Result<Outcome> run() {
    for (Host* each : {&initiator_, &responder_}) {
      if (auto started = each->start(); !started) return std::unexpected(started.error());
    }
    if (auto met = resolve_addresses(); !met) return std::unexpected(met.error());
    if (auto begun = begin(); !begun) return std::unexpected(begun.error());
    const Time away = *began_ + kLookAway;
    while (!over() && context_.queue.next_time() <= away && context_.queue.events() < kMaxEvents) {
      context_.queue.run_next();
    }
    judge();
    return std::move(outcome_);
  }

 private:
  Host& host(Side side) { return side == Side::kInitiator ? initiator_ : responder_; }
  unsigned& port(Side side) { return ports_[static_cast<std::size_t>(side)]; }
  Stage& stage(Side side) { return stages_[static_cast<std::size_t>(side)]; }
  Duration since() const { return context_.now() - *began_; }

  Host::Hooks hooks(Side side) {
    return {.leaves = [this, side](sim::Packet packet) { leave(side, std::move(packet)); },
            .after_call = [this, side] { observe(side); }};
  }

  // Both sides know each other's Ethernet address afterwards: a connection to a port where nobody listens was refused.
  Result<void> resolve_addresses() {
    const auto speaking = [&] { return !initiator_.engine().recovering() && !responder_.engine().recovering(); };
    if (!go_on_until(speaking)) return fail(Error::Kind::kTimeout, "lab: the engines do not start");
    Caller caller;
    if (auto asked = dial(kClosedPort, caller, {}); !asked) return std::unexpected(asked.error());
    const auto refused = [&] {
      return caller.ended().has_value() && initiator_.idle() && responder_.idle() &&
             initiator_.engine().connections() == 0;
    };
    if (!go_on_until(refused)) return fail(Error::Kind::kTimeout, "lab: the hosts do not find each other");
    return {};
  }

  template <class Condition>
  bool go_on_until(const Condition& condition) {
    while (!condition()) {
      if (context_.queue.events() >= kMaxEvents || !context_.queue.run_next()) return false;
    }
    return true;
  }

  Result<void> begin() {
    for (const Side side : {Side::kInitiator, Side::kResponder}) {
      network_.to_switch(port(side)).jitter = conditions_.jitter;
    }
    began_ = context_.now();
    tcp::WaysConfig ways;
    ways.max = conditions_.ways;
    ways.strict = conditions_.strict(Side::kInitiator);
    ways.roll_call_timeout = conditions_.roll_call_timeout;
    return dial(kServicePort, caller_, ways);
  }

  Result<void> dial(wire::Port to, Caller& caller, const tcp::WaysConfig& ways) {
    auto stream = initiator_.runner().call([&](stack::Engine& engine) {
      return engine.connect({responder_.address(), to}, caller, context_.now(), {.local_port = {}, .ways = ways});
    });
    if (!stream) return std::unexpected(stream.error());
    initiator_.runner().turn();
    return {};
  }

  // ---- The wire ----

  void leave(Side side, sim::Packet packet) {
    const auto tcp = began_ ? sim::view_tcp(packet) : std::nullopt;
    auto& line = network_.to_switch(port(side));
    if (!tcp) {  // address resolution, or before it all begins
      const auto jitter = std::exchange(line.jitter, Duration::zero());
      network_.send(port(side), std::move(packet));
      line.jitter = jitter;
      return;
    }
    Passage passage;
    passage.from = side;
    passage.sent = since();
    passage.bytes = static_cast<unsigned>(packet.bytes.size() - wire::kEthernetHeader);
    passage.header = tcp->tcp;
    passage.step = step_of(tcp->tcp, side, certified_nothing());
    passage.repeated = passage.step != 0 && std::ranges::any_of(outcome_.passages, [&](const Passage& before) {
                         return before.from == side && before.step == passage.step;
                       });
    line.loss = conditions_.loss;
    const auto losses = context_.faults[sim::Fault::kLoss];
    network_.send(port(side), std::move(packet));
    line.loss = 0;
    passage.lost = context_.faults[sim::Fault::kLoss] != losses;
    if (!passage.lost) on_their_way_[static_cast<std::size_t>(side)].push_back(outcome_.passages.size());
    outcome_.passages.push_back(passage);
  }

  // No step beyond the SYNs had the option so far.
  bool certified_nothing() const {
    return std::ranges::none_of(outcome_.passages, [](const Passage& passage) {
      return passage.header.options.ways && passage.header.options.ways->step > 2;
    });
  }

  // Lines keep order, so that what arrives is the oldest that was not lost.
  void deliver(Side to, sim::Packet packet) {
    auto& queue = on_their_way_[static_cast<std::size_t>(other(to))];
    if (began_ && !queue.empty() && sim::view_tcp(packet)) {
      Passage& passage = outcome_.passages[queue.front()];
      queue.erase(queue.begin());
      passage.arrived = since();
      arrives(passage);
    }
    host(to).frame(std::move(packet));
  }

  void arrives(const Passage& passage) {
    const auto& option = passage.header.options.ways;
    if (passage.header.flags.rst) return;
    if (!option) {
      // Only an established peer sends such a segment.
      if (!passage.header.flags.syn) heard_plain_[static_cast<std::size_t>(other(passage.from))] = true;
      return;
    }
    Certificate& certificate = outcome_.of(passage.from).certificate;
    if (option->step <= certificate.step) return;
    certificate.step = option->step;
    certificate.copies = option->copies;
    certificate.asked = option->is_volatile ? std::uint8_t{0} : tcp::copies_asked(option->step);
    certificate.short_steps += option->is_short ? 1 : 0;
  }

  // ---- The two sides ----

  void observe(Side side) {
    if (!began_ || !host(side).runner().running()) return;
    Stage now = stage(side) == Stage::kNone ? Stage::kNone : Stage::kClosed;
    for (const stack::ConnectionInfo& info : host(side).engine().list()) {
      const wire::Port at = side == Side::kInitiator ? info.tuple.peer.port : info.tuple.local.port;
      if (at == kServicePort) now = stage_of(info, side);
    }
    if (now == stage(side)) return;
    stage(side) = now;
    outcome_.changes.push_back({side, since(), now});
    if (now != Stage::kEstablished) return;
    outcome_.of(side).established = since();
    if (outcome_.established()) both_established();
  }

  Stage stage_of(const stack::ConnectionInfo& info, Side side) {
    switch (info.state) {
      case tcp::State::kSynSent:
        return Stage::kSynSent;
      case tcp::State::kSynReceived: {
        const unsigned begins = side == Side::kInitiator ? 2 : 3;
        const bool confirming = info.handshake && info.handshake->ways > wire::kMinWays;
        return confirming && info.handshake->received >= begins ? Stage::kConfirming : Stage::kSynReceived;
      }
      case tcp::State::kClosed:
        return Stage::kClosed;
      default:
        return Stage::kEstablished;
    }
  }

  void both_established() {
    for (const Side side : {Side::kInitiator, Side::kResponder}) {
      for (const stack::ConnectionInfo& info : host(side).engine().list()) {
        if (info.handshake) settled_ = info.handshake->ways;
        outcome_.of(side).smoothed_rtt = info.smoothed_rtt;
        outcome_.of(side).retransmission_timeout = info.retransmission_timeout;
      }
    }
    for (const Passage& passage : outcome_.passages) {
      ++outcome_.segments;
      outcome_.bytes += passage.bytes;
      outcome_.lost += passage.lost ? 1 : 0;
      outcome_.repeated += passage.repeated ? 1 : 0;
    }
  }

  // Nothing more can come of it.
  bool over() {
    const bool quiet = on_their_way_[0].empty() && on_their_way_[1].empty();
    const auto gone = [this](Side side) { return stage(side) == Stage::kNone || stage(side) == Stage::kClosed; };
    if (gone(Side::kInitiator) && gone(Side::kResponder)) return quiet && caller_.ended().has_value();
    const auto there = [this](Side side) { return stage(side) == Stage::kEstablished; };
    if (!there(Side::kInitiator) || !there(Side::kResponder)) return false;
    // The sender of the last step goes on to prove that it arrived, unless there are three: then nobody does.
    if (settled_ <= wire::kMinWays) return true;
    const Side last = settled_ % 2 == 1 ? Side::kInitiator : Side::kResponder;
    return heard_plain_[static_cast<std::size_t>(last)];
  }

  void judge() {
    outcome_.end = std::min<Duration>(since(), kLookAway);
    outcome_.of(Side::kInitiator).closed = caller_.ended();
    const auto lone = [this] { return (stages_[0] == Stage::kEstablished) != (stages_[1] == Stage::kEstablished); };
    outcome_.one_sided = outcome_.sides[0].established.has_value() != outcome_.sides[1].established.has_value();
    outcome_.lasting = outcome_.one_sided && lone();
    stages_ = {};
    Duration before{};
    for (const Change& change : outcome_.changes) {
      if (lone()) outcome_.half_open += change.when - before;
      before = change.when;
      stage(change.side) = change.stage;
    }
    if (lone()) outcome_.half_open += (outcome_.lasting ? kLookAway : outcome_.end) - before;
  }

  const Conditions conditions_;
  sim::Context context_;
  sim::Network network_;
  Outcome outcome_;
  std::optional<Time> began_;
  std::array<unsigned, 2> ports_{};
  std::array<Stage, 2> stages_{};
  std::array<std::vector<std::size_t>, 2> on_their_way_;  // indices of passages, by sender
  std::array<bool, 2> heard_plain_{};                     // by the side that heard it
  unsigned settled_ = wire::kMinWays;
  Caller caller_;
  Host initiator_, responder_;  // last: their engines use all of the above
};

}  // namespace

std::string_view to_string(Stage stage) {
  switch (stage) {
    case Stage::kNone:
      return "";
    case Stage::kSynSent:
      return "SYN-SENT";
    case Stage::kSynReceived:
      return "SYN-RECEIVED";
    case Stage::kConfirming:
      return "CONFIRMING";
    case Stage::kEstablished:
      return "ESTABLISHED";
    case Stage::kClosed:
      return "CLOSED";
  }
  return "";
}

std::string_view failure_of(const Outcome& outcome) {
  const auto& closed = outcome.of(Side::kInitiator).closed;
  if (!closed) return outcome.one_sided ? "half-open" : "unfinished";
  switch (*closed) {
    case tcp::CloseReason::kPeerReset:
      return "reset by the responder";
    case tcp::CloseReason::kTimeout:
      return "timed out";
    case tcp::CloseReason::kRefused:
    case tcp::CloseReason::kHandshakeRefused:
      return "refused";
    case tcp::CloseReason::kTooFewCopies:
      return "too few copies";
    case tcp::CloseReason::kHandshakeStopped:
      return "stopped at a step";
    case tcp::CloseReason::kNormal:
    case tcp::CloseReason::kAborted:
    case tcp::CloseReason::kOvertaken:
      break;
  }
  return "ended";
}

Result<Outcome> shake_hands(const Conditions& conditions, std::uint64_t seed) {
  return std::make_unique<World>(conditions, seed)->run();
}

}  // namespace holdfast::lab
