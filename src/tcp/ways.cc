#include "tcp/ways.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::tcp {
namespace {

constexpr std::uint32_t kManyCounts = ~std::uint32_t{0};

void count(std::uint32_t& counter) {
  if (counter < kManyCounts) ++counter;
}

}  // namespace

// ---- Beginnings ----

Ways::Ways(const WaysConfig& config, const NonceSource& source, bool stores, bool initiator)
    : config_(config), source_(source), initiator_(initiator), stores_(stores) {
  HF_ASSERT(config.min >= wire::kMinWays && config.min <= config.max && config.max <= wire::kMaxWays);
}

Ways Ways::propose(const WaysConfig& config, const NonceSource& source, bool stores) {
  Ways ways(config, source, stores, true);
  ways.asked_ = ways.ways_ = config.max;
  return ways;
}

Ways Ways::answer(const WaysConfig& config, const NonceSource& source, bool stores, const wire::WaysOption& syn) {
  HF_ASSERT(syn.ways >= config.min);
  Ways ways(config, source, stores, false);
  ways.asked_ = syn.ways;
  ways.ways_ = HF_MUTANT(kWaysSettleLarger) ? syn.ways : std::min(syn.ways, config.max);
  ways.received_ = 1;
  ways.due_ = 2;
  ways.peer_nonce_ = syn.nonce;
  ways.peer_volatile_ = syn.is_volatile;
  ways.phase_ = ways.ways_ > wire::kMinWays ? Phase::kStoring : Phase::kPlain;
  return ways;
}

std::optional<Ways> Ways::by_cookie(const WaysConfig& config, const NonceSource& source, bool stores,
                                    const wire::WaysOption& third) {
  const bool settled = third.ways >= config.min && third.ways <= config.max;
  if (third.step != 3 || third.is_refused || !settled) return std::nullopt;
  Ways ways(config, source, stores, false);
  ways.asked_ = ways.ways_ = third.ways;
  ways.sent_ = 2;
  if (!ways.answers(third, false) && !HF_MUTANT(kWaysCookieUnproved)) return std::nullopt;
  ways.take(third);
  ways.phase_ = ways.ways_ > wire::kMinWays ? Phase::kStoring : Phase::kPlain;
  return ways;
}

Ways Ways::resume(const WaysConfig& config, const NonceSource& source, bool stores, bool initiator,
                  const WaysRecord& record) {
  HF_ASSERT(record.ways > wire::kMinWays && record.ways <= wire::kMaxWays && record.received <= record.ways);
  WaysConfig asked = config;
  asked.strict = record.strict;
  if (record.received == 0) asked.min = std::clamp(record.min, wire::kMinWays, record.ways);
  asked.max = std::max(asked.max, asked.min);
  Ways ways(asked, source, stores, initiator);
  ways.resumed_ = true;
  ways.asked_ = ways.ways_ = record.ways;
  ways.received_ = record.received;
  ways.peer_nonce_ = HF_MUTANT(kWaysForgetNonce) ? 0 : record.peer_nonce;
  if (record.received == record.ways) {
    ways.phase_ = Phase::kDone;
  } else if (record.received > 0) {
    ways.due_ = static_cast<std::uint8_t>(record.received + 1);
    ways.phase_ = Phase::kCalling;
  }
  return ways;
}

Ways::Do Ways::speak() {
  if (phase_ == Phase::kOpening) return Do::kSend;
  return phase_ == Phase::kCalling ? call() : Do::kNothing;
}

// ---- What happens ----

Ways::Do Ways::syn_arrives(const std::optional<wire::WaysOption>& option, bool acked, wire::SeqNum responder_isn) {
  HF_ASSERT(phase_ == Phase::kOpening && initiator_);
  // A SYN that acknowledges nothing may be anybody's: it must not end what wants more than an ordinary handshake.
  if (!acked && config_.min > wire::kMinWays) return drop();
  // Two SYNs that cross fall back to RFC 9293's own four segments.
  if (!acked || !option) {
    fell_back_ = true;
    peer_limit_ = wire::kMinWays;
    if (config_.min > wire::kMinWays) return fail(WaysFailure::kPeerOffersLess);
    return fall_back();
  }
  if (option->step != 2 || option->is_refused || option->ways > asked_ || !answers(*option, false)) return drop();
  source_.responder_isn = responder_isn;
  ways_ = option->ways;
  received_ = 2;
  peer_nonce_ = option->nonce;
  peer_volatile_ = option->is_volatile;
  if (ways_ < asked_) peer_limit_ = ways_;
  if (ways_ < config_.min) return fail(WaysFailure::kPeerOffersLess);
  due_ = 3;
  if (ways_ == wire::kMinWays) {
    phase_ = Phase::kPlain;
    return Do::kFallBack;
  }
  phase_ = Phase::kStoring;
  return Do::kStore;
}

void Ways::refused(const std::optional<wire::WaysOption>& option) {
  if (!option || !option->is_refused || option->step != 2 || !answers(*option, false)) return;
  peer_limit_ = option->ways;
  fail(WaysFailure::kPeerWantsMore);
}

void Ways::reset_by_peer() {
  if (confirming() || proving()) fail(WaysFailure::kReset);
}

Ways::Do Ways::arrives(const std::optional<wire::WaysOption>& option) {
  if (!confirming() && phase_ != Phase::kProving) return Do::kNothing;
  return option ? step_arrives(*option) : plain_arrives();
}

// What only an established peer sends, unless something on the path takes our option away.
Ways::Do Ways::plain_arrives() {
  if (phase_ == Phase::kProving) {
    phase_ = Phase::kDone;
    return Do::kNothing;
  }
  // It answers our SYN-ACK, whose option did not arrive, or its own was taken away. It is the ordinary handshake then.
  // A replacement cannot tell that from a peer that is steps ahead, and whose option was taken away just now.
  const bool first_answer = (!resumed_ && sent_ == 2 && received_ == 1) || HF_MUTANT(kWaysFallBackLate);
  if (!initiator_ && phase_ == Phase::kWaiting && first_answer && config_.min == wire::kMinWays) {
    fell_back_ = true;
    return fall_back();
  }
  // The predecessor's step N has arrived.
  if (resumed_ && due_ == ways_) {
    sent_ = due_;
    due_ = 0;
    phase_ = Phase::kDone;
    return Do::kEstablished;
  }
  return drop();
}

Ways::Do Ways::step_arrives(const wire::WaysOption& option) {
  if (option.ways != ways_ || ours(option.step) || option.is_refused) return drop();
  const bool any = HF_MUTANT(kWaysAnyStep);
  if (option.step > received_ || (any && option.step < received_)) {
    const bool next = option.step == sent_ + 1 || any;
    if (phase_ == Phase::kWaiting && next && answers(option, sent_short_)) return take(option);
    // Our predecessor had sent the step that it answers: the nonce proves it.
    if (resumed_ && confirming() && answers_either(option)) {
      sent_short_ = !answers(option, false);
      sent_ = static_cast<std::uint8_t>(option.step - 1);
      return take(option);
    }
    return drop();
  }
  // The peer has not seen our latest step yet. While that is still to be stored or counted: silence.
  if (option.step == received_ && option.nonce == peer_nonce_) {
    return due_ != 0 || phase_ == Phase::kStoring ? Do::kNothing : Do::kSend;
  }
  // An older one, or the same from a replacement whose roll call has ended otherwise than its predecessor's.
  if (option.step == 1 || !answers_either(option)) return drop();
  return due_ != 0 || phase_ == Phase::kStoring || HF_MUTANT(kWaysOldUnanswered) ? Do::kNothing : Do::kSendSeldom;
}

Ways::Do Ways::take(const wire::WaysOption& option) {
  received_ = option.step;
  peer_nonce_ = option.nonce;
  peer_volatile_ = option.is_volatile;
  peer_copies_ = option.copies;
  peer_asked_ = option.is_volatile ? std::uint8_t{0} : copies_asked(option.step);
  tries_ = 0;
  const bool too_few = peer_asked_ > 0 && (option.is_short || option.copies < peer_asked_);
  if (too_few && config_.strict && !HF_MUTANT(kWaysFewTaken)) return fail(WaysFailure::kTooFewCopies);
  due_ = received_ == ways_ ? std::uint8_t{0} : static_cast<std::uint8_t>(received_ + 1);
  // "Established" is stored before step N leaves; and by its receiver before the peer can see that it arrived.
  if (due_ == 0 || (due_ == ways_ && !HF_MUTANT(kWaysSendUnstored))) {
    phase_ = Phase::kStoring;
    return Do::kStore;
  }
  return call();
}

Ways::Do Ways::stored() {
  if (phase_ != Phase::kStoring) return Do::kNothing;
  if (received_ == ways_) {
    phase_ = Phase::kDone;
    return Do::kEstablished;
  }
  return call();
}

Ways::Do Ways::call() {
  phase_ = Phase::kCalling;
  due_short_ = false;
  return asked_of_us() == 0 ? Do::kSend : Do::kAwaitCopies;
}

Ways::Do Ways::copies(std::uint8_t copies) {
  return phase_ == Phase::kCalling && copies >= asked_of_us() ? Do::kSend : Do::kNothing;
}

Ways::Do Ways::roll_call_over(std::uint8_t copies) {
  if (phase_ != Phase::kCalling) return Do::kNothing;
  due_short_ = copies < asked_of_us() && !HF_MUTANT(kWaysCertifyUncounted);
  return Do::kSend;
}

Ways::Do Ways::timeout(std::uint8_t retries) {
  if (phase_ != Phase::kWaiting && phase_ != Phase::kProving) return Do::kNothing;
  if (HF_MUTANT(kWaysNoProof) && phase_ == Phase::kProving) {
    phase_ = Phase::kDone;
    return Do::kNothing;
  }
  if (HF_MUTANT(kWaysNeverStops)) return Do::kSend;
  if (tries_ > retries) {
    const Do reset = fail(WaysFailure::kStopped);
    return HF_MUTANT(kWaysGivesUpSilently) ? Do::kNothing : reset;
  }
  ++tries_;
  return Do::kSend;
}

Ways::Do Ways::give_up() { return confirming() || proving() ? fail(WaysFailure::kStopped) : Do::kNothing; }

Ways::Do Ways::fall_back() {
  ways_ = wire::kMinWays;
  due_ = 0;
  phase_ = Phase::kPlain;
  return Do::kFallBack;
}

Ways::Do Ways::drop() {
  count(dropped_);
  return Do::kNothing;
}

Ways::Do Ways::fail(WaysFailure failure) {
  failure_ = failure;
  phase_ = Phase::kFailed;
  return Do::kReset;
}

// ---- The option ----

wire::WaysOption Ways::bare(std::uint8_t step, bool is_short) const {
  wire::WaysOption option;
  option.ways = step == 1 ? asked_ : ways_;
  option.step = step;
  option.is_volatile = !stores_;
  option.is_short = is_short;
  return option;
}

bool Ways::answers(const wire::WaysOption& option, bool is_short) const {
  if (HF_MUTANT(kWaysEchoUnchecked)) return true;
  return option.echo == source_.nonce(bare(static_cast<std::uint8_t>(option.step - 1), is_short));
}

bool Ways::answers_either(const wire::WaysOption& option) const {
  return answers(option, false) || (stores_ && answers(option, true));
}

wire::WaysOption Ways::option(std::uint8_t copies) const {
  if (phase_ == Phase::kOpening) {
    wire::WaysOption first = bare(1, false);
    first.nonce = source_.nonce(first);
    first.copies = copies;
    return first;
  }
  wire::WaysOption option = due_ != 0 ? bare(due_, due_short_) : bare(sent_, sent_short_);
  option.nonce = source_.nonce(option);
  option.echo = peer_nonce_;
  option.copies = HF_MUTANT(kWaysCertifyUncounted) ? std::max(copies, tcp::copies_asked(option.step)) : copies;
  return option;
}

wire::WaysOption Ways::step_two(const wire::WaysOption& syn) const {
  wire::WaysOption option = bare(2, false);
  option.nonce = source_.nonce(option);
  option.echo = syn.nonce;
  return option;
}

void Ways::left(std::uint8_t copies) {
  const bool first = phase_ == Phase::kOpening ? std::exchange(sent_, std::uint8_t{1}) == 0 : due_ != 0;
  if (!first) {
    sent_again_ = true;
    return count(repeated_);
  }
  sent_again_ = false;
  if (phase_ == Phase::kOpening) return;
  sent_ = std::exchange(due_, std::uint8_t{0});
  sent_short_ = due_short_;
  copies_ = copies;
  tries_ = 1;
  if (phase_ == Phase::kCalling) phase_ = sent_ == ways_ ? Phase::kProving : Phase::kWaiting;
}

// ---- State ----

WaysReport Ways::report() const {
  WaysReport report;
  report.asked = asked_;
  report.ways = ways_;
  report.sent = sent_;
  report.received = received_;
  report.copies = copies_;
  report.copies_asked = stores_ ? tcp::copies_asked(sent_) : std::uint8_t{0};
  report.peer_copies = peer_copies_;
  report.peer_asked = peer_asked_;
  report.peer_limit = peer_limit_;
  report.is_volatile = !stores_;
  report.peer_volatile = peer_volatile_;
  report.fell_back = fell_back_;
  report.failure = failure_;
  report.dropped = dropped_;
  report.repeated = repeated_;
  return report;
}

Ways Ways::without_counts() const {
  Ways ways = *this;
  ways.dropped_ = ways.repeated_ = 0;
  ways.sent_again_ = false;
  return ways;
}

}  // namespace holdfast::tcp
