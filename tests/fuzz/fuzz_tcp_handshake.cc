// One side of an N-way handshake (tcp::Ways) and a peer that says what the fuzzer likes, in segments whose options are
// parsed from bytes. 4 bytes of configuration, then a list of steps; each starts with a byte that says what:
//   00..5f  a segment: 1 byte of length, then its options as they are on the wire
//   60..bf  the step that is due from an honest peer, with 4 bytes XORed over ways, step, copies and flags
//   c0..cf  the record is stored                    d0..df  so many copies exist
//   e0..e7  the roll call is over                   e8..ef  a time-out
//   f0..f7  a segment without the option            f8..ff  the side dies and is replaced, with its stored record
// What must hold: a step is taken in order only, with the echo of what this side has said and the N that is settled;
// nobody is established without; no step certifies what is not there; strict never goes on with too few; what leaves
// can be parsed.
#include <algorithm>
#include <optional>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "tcp/ways.h"

namespace holdfast::tcp {
namespace {

using fuzz::Input;

// As the stack reads them: from a whole header.
std::optional<wire::WaysOption> parsed(Bytes options) {
  std::vector<std::byte> header(wire::kTcpMinHeader + (options.size() + 3) / 4 * 4);
  header[12] = static_cast<std::byte>(header.size() / 4 << 4);
  std::copy(options.begin(), options.end(), header.begin() + wire::kTcpMinHeader);
  const auto tcp = wire::parse_tcp(header);
  return tcp ? tcp->header.options.ways : std::nullopt;
}

// As they arrive at the other end.
std::optional<wire::WaysOption> over_the_wire(const wire::WaysOption& option) {
  std::vector<std::byte> header(wire::kTcpMaxHeader);
  wire::TcpHeader tcp;
  tcp.options.ways = option;
  const std::size_t length = wire::emit_tcp(tcp, header);
  return parsed(Bytes(header).subspan(wire::kTcpMinHeader, length - wire::kTcpMinHeader));
}

class Side {
 public:
  explicit Side(Input& input) : in_(input) {
    const std::uint8_t bits = in_.byte();
    initiator_ = (bits & 1) != 0;
    stores_ = (bits & 2) != 0;
    config_.strict = (bits & 4) != 0;
    config_.max = static_cast<std::uint8_t>(wire::kMinWays + 1 + in_.byte() % (wire::kMaxWays - wire::kMinWays));
    config_.min = static_cast<std::uint8_t>(wire::kMinWays + in_.byte() % (config_.max - wire::kMinWays + 1));
    source_.secret.key[3] = std::byte{7};
    source_.initiator_isn = wire::SeqNum{100};
    source_.responder_isn = wire::SeqNum{initiator_ ? 0U : 200U};
    source_.connection = 9;
    begin((bits & 8) != 0);
  }

  void run() {
    while (ways_ && ways_->phase() != Ways::Phase::kFailed && ways_->phase() != Ways::Phase::kPlain && !in_.empty()) {
      one(in_.byte());
    }
  }

 private:
  using Do = Ways::Do;

  void begin(bool by_cookie) {
    if (initiator_) {
      ways_ = Ways::propose(config_, source_, stores_);
      return follow(ways_->speak());
    }
    wire::WaysOption first{.ways = static_cast<std::uint8_t>(4 + in_.byte() % 71), .step = 1, .nonce = 77};
    if (first.ways < config_.min) return;
    Ways two = Ways::answer(config_, source_, stores_, first);
    if (!by_cookie || two.phase() == Ways::Phase::kPlain) {
      ways_ = two;
      peer_nonce_ = first.nonce;
      return;
    }
    const wire::WaysOption said = two.option(0);
    wire::WaysOption third = honest(said);
    ways_ = Ways::by_cookie(config_, source_, stores_, third);
    FUZZ_CHECK(ways_.has_value());
    said_ = said;
    peer_nonce_ = third.nonce;
    third.echo ^= 1U << in_.byte() % 32;
    FUZZ_CHECK(!Ways::by_cookie(config_, source_, stores_, third));
  }

  wire::WaysOption honest(const wire::WaysOption& said) const {
    wire::WaysOption next{.ways = said.ways, .step = static_cast<std::uint8_t>(said.step + 1)};
    next.copies = wire::kMaxWays;
    next.nonce = said.nonce + 1;
    next.echo = said.nonce;
    return next;
  }

  void one(std::uint8_t what) {
    if (what < 0x60) return arrives(parsed(in_.take(in_.byte() % 41)));
    if (what < 0xc0) {
      if (!said_) return;
      wire::WaysOption option = honest(*said_);
      option.ways ^= in_.byte();
      option.step ^= in_.byte();
      option.copies ^= in_.byte();
      const std::uint8_t flags = in_.byte();
      option.is_volatile = (flags & 1) != 0;
      option.is_short = (flags & 2) != 0;
      option.is_refused = (flags & 4) != 0;
      return arrives(over_the_wire(option));
    }
    if (what < 0xd0) {
      stored_ = ways_->record();
      was_stored_ = true;
      return follow(ways_->stored());
    }
    if (what < 0xe0) {
      copies_ = std::max(copies_, in_.byte());
      return follow(ways_->copies(copies_));
    }
    if (what < 0xe8) return follow(ways_->roll_call_over(copies_));
    if (what < 0xf0) return follow(ways_->timeout(3));
    if (what < 0xf8) return arrives(std::nullopt);
    return die();
  }

  void arrives(const std::optional<wire::WaysOption>& option) {
    const std::uint8_t before = ways_->received(), sent = ways_->sent();
    const bool was_established = ways_->established();
    Do what = Do::kNothing;
    if (ways_->phase() == Ways::Phase::kOpening) {
      if (!initiator_ || sent == 0) return;
      what = ways_->syn_arrives(option, true, wire::SeqNum{200});
    } else {
      what = ways_->arrives(option);
    }
    if (ways_->phase() == Ways::Phase::kFailed) return;
    FUZZ_CHECK(ways_->received() >= before);
    if (ways_->received() > before) {
      FUZZ_CHECK(option && said_ && option->step == ways_->received() && option->ways == ways_->ways());
      FUZZ_CHECK(resumed_ || (option->step == sent + 1 && option->echo == said_->nonce));
      FUZZ_CHECK((option->step % 2 == 1) != initiator_ && !option->is_refused);
      const std::uint8_t asked = option->is_volatile ? std::uint8_t{0} : copies_asked(option->step);
      FUZZ_CHECK(!config_.strict || asked == 0 || (!option->is_short && option->copies >= asked));
      peer_nonce_ = option->nonce;
    }
    // One that was replaced may learn from an answer of its peer that its predecessor had sent step N.
    FUZZ_CHECK(was_established || !ways_->established() || resumed_);
    follow(what);
  }

  void follow(Do what) {
    if (what == Do::kStore) was_stored_ = false;
    if (what == Do::kAwaitCopies) return follow(ways_->copies(copies_));
    if (what == Do::kEstablished) FUZZ_CHECK(resumed_ || (ways_->received() == ways_->ways() && was_stored_));
    if (what != Do::kSend && what != Do::kSendSeldom) return;
    const bool first = ways_->due() != 0;
    const wire::WaysOption option = ways_->option(copies_);
    FUZZ_CHECK(option.copies == copies_ && option.is_volatile == !stores_ && !option.is_refused);
    FUZZ_CHECK((option.step % 2 == 1) == initiator_ && option.step <= option.ways && option.ways <= config_.max);
    if (option.step > 1) FUZZ_CHECK(option.echo == peer_nonce_);
    // What is asked for exists, or SHORT says that it does not.
    if (first && stores_) FUZZ_CHECK(option.copies >= copies_asked(option.step) || option.is_short);
    if (first && option.step == option.ways) FUZZ_CHECK(was_stored_ || resumed_);
    FUZZ_CHECK(over_the_wire(option) == option);
    ways_->left(copies_);
    said_ = option;
  }

  void die() {
    if (!stores_ || !stored_ || stored_->ways <= wire::kMinWays) return;
    const WaysRecord record = *stored_;
    if (initiator_ && record.received > 0) source_.responder_isn = wire::SeqNum{200};
    ways_ = Ways::resume(config_, source_, stores_, initiator_, record);
    peer_nonce_ = record.peer_nonce;
    resumed_ = true;
    follow(ways_->speak());
  }

  Input& in_;
  bool initiator_ = false, stores_ = false, resumed_ = false, was_stored_ = false;
  WaysConfig config_;
  NonceSource source_;
  std::optional<Ways> ways_;
  std::optional<wire::WaysOption> said_;
  std::optional<WaysRecord> stored_;
  std::uint32_t peer_nonce_ = 0;
  std::uint8_t copies_ = 0;
};

}  // namespace
}  // namespace holdfast::tcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::fuzz::Input input(std::as_bytes(std::span(data, size)));
  holdfast::tcp::Side side(input);
  side.run();
  return 0;
}
