// One side of an N-way handshake (docs/handshake.md): which step is due, what must be stored and counted before it
// leaves, which of the peer's steps is believed, when to give up. A plain value without clock, timer or I/O: the
// connection feeds it (confirming.cc) and does what it says, and the model checker explores this very code.
//
// Steps alternate: odd ones are the initiator's, even ones the responder's. The sender of step N is established when it
// sends it, the receiver when it receives it and has stored that.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/config.h"
#include "tcp/nonce.h"
#include "wire/tcp.h"

namespace holdfast::tcp {

// How many copies of the connection's record the sender of a step is asked to certify: k/2-1 for even k, (k-3)/2 for
// odd.
constexpr std::uint8_t copies_asked(std::uint8_t step) {
  if (step < 4) return 0;
  return static_cast<std::uint8_t>(step % 2 == 0 ? step / 2 - 1 : (step - 3) / 2);
}

// Step 1 of more than three ways, if a SYN carries it ("Rules" 1 and 2): anything else asks for the ordinary handshake.
constexpr bool is_proposal(const wire::WaysOption& option) {
  return option.step == 1 && option.ways > wire::kMinWays && !option.is_refused;
}

// Why a handshake ended without a connection.
enum class WaysFailure : std::uint8_t {
  kNone = 0,
  kPeerWantsMore,   // it refused: its minimum is WaysReport::peer_limit
  kPeerOffersLess,  // it settled on peer_limit, or said nothing of ways (then peer_limit is 3)
  kTooFewCopies,    // strict: the peer certified peer_copies where peer_asked were asked for
  kStopped,         // the peer did not answer step `sent`, or (sender of step N) never proved that it arrived
  kReset,           // the peer gave it up, step `sent` being our latest
};

// For people and metrics.
struct WaysReport {
  std::uint8_t asked = 3;                           // what we proposed, or the peer did
  std::uint8_t ways = 3;                            // what is settled; 3 where the handshake is the ordinary one
  std::uint8_t sent = 0, received = 0;              // latest steps; after a restart 0 until one is sent
  std::uint8_t copies = 0, copies_asked = 0;        // certified by us in step `sent`, and what it asked for
  std::uint8_t peer_copies = 0, peer_asked = 0;     // likewise the peer's
  std::uint8_t peer_limit = 0;                      // see WaysFailure
  bool is_volatile = false, peer_volatile = false;  // stores nothing, certifies nothing
  bool fell_back = false;                           // the peer, or the path, knows no N-way handshake
  WaysFailure failure = WaysFailure::kNone;
  std::uint32_t dropped = 0;   // what was no acceptable step
  std::uint32_t repeated = 0;  // our steps that were sent again
};

// What a connection record holds of it: enough to go on.
struct WaysRecord {
  std::uint8_t ways = 0;      // proposed, then settled; 0: an ordinary handshake
  std::uint8_t received = 0;  // the peer's latest step when the record was written: 0, 1, 2, 3, N-1 or N
  std::uint32_t peer_nonce = 0;
  // What was asked for, where nobody can be asked again: after a restart a caller is gone.
  bool strict = false;
  std::uint8_t min = 0;  // fewer ways are refused; 0 where that is decided: `received` is not 0
  friend bool operator==(const WaysRecord&, const WaysRecord&) = default;
};

class Ways {
 public:
  enum class Phase : std::uint8_t {
    kOpening,  // initiator: step 1, until step 2 comes
    kStoring,  // the record must be stored before the next step leaves, or before the peer may see that it is over
    kCalling,  // the roll call: step due() waits for its copies
    kWaiting,  // step sent() has left, the next one is the peer's
    kProving,  // we sent step N: established, but the peer may not know
    kDone,     // established, and the peer knows or needs not to
    kPlain,    // the ordinary handshake after all
    kFailed,
  };

  // What the owner is to do next.
  enum class Do : std::uint8_t {
    kNothing,
    kSend,         // a segment with option(), then left(): for the first time (then it may be established()) or again
    kSendSeldom,   // the same, but at most once a second: what it answers may be a restarted peer's, or very old
    kStore,        // store the record anew (with record() as it is now), then call stored()
    kAwaitCopies,  // call copies() whenever there are more, roll_call_over() when it has lasted too long
    kEstablished,  // step N was received, and is stored
    kFallBack,     // this is an ordinary handshake: treat the segment as one without the option
    kReset,        // RST, and an error: report().failure
  };

  // ---- Beginnings ----
  // An active open that proposes config.max > 3 ways. `stores`: false for a side that stores nothing.
  static Ways propose(const WaysConfig& config, const NonceSource& source, bool stores);
  // A passive open, by a SYN with step 1 of at least config.min ways; settles on the lesser of its N and config.max.
  // Where that is 3, phase kPlain: steps 2 and 3 say so.
  static Ways answer(const WaysConfig& config, const NonceSource& source, bool stores, const wire::WaysOption& syn);
  // A passive open by step 3, where step 2 was a SYN cookie, of which nothing was kept (stack/cookies.h). Nothing where
  // the echo is not that step 2's nonce, or `third` says a number of ways that step 2 cannot have settled on. Where
  // that is 3, phase kPlain; else the record is to be stored first.
  static std::optional<Ways> by_cookie(const WaysConfig& config, const NonceSource& source, bool stores,
                                       const wire::WaysOption& third);
  // In the hands of a replacement, from a record with ways > 3, which also says what was asked for.
  static Ways resume(const WaysConfig& config, const NonceSource& source, bool stores, bool initiator,
                     const WaysRecord& record);
  // What a replacement says first. (For step 1 and 2, kSend means the SYN or the SYN-ACK.)
  Do speak();

  // ---- What happens ----
  // A SYN-ACK that acknowledges our SYN, or a SYN that crosses it (`acked` false: RFC 9293's simultaneous open).
  Do syn_arrives(const std::optional<wire::WaysOption>& option, bool acked, wire::SeqNum responder_isn);
  // An acceptable segment with an acceptable ACK, later on.
  Do arrives(const std::optional<wire::WaysOption>& option);
  // A RST in answer to our SYN. Notes the responder's minimum, if it says so and is believed.
  void refused(const std::optional<wire::WaysOption>& option);
  // A RST in mid-handshake; for the sender of step N: as long as nothing proves that it is over.
  void reset_by_peer();
  Do stored();
  Do copies(std::uint8_t copies);
  Do roll_call_over(std::uint8_t copies);
  // The answer did not come (kWaiting), or no proof (kProving).
  Do timeout(std::uint8_t retries);
  // Another limit than that one is reached, the caller's own for instance.
  Do give_up();

  // ---- The option ----
  // For the segment that leaves now: `copies` exist now. Step due() for the first time, else step sent() again.
  wire::WaysOption option(std::uint8_t copies) const;
  // The segment with it, asked for by kSend, has left.
  void left(std::uint8_t copies);
  // Step 2 for a SYN that came again, whatever has been sent since.
  wire::WaysOption step_two(const wire::WaysOption& syn) const;

  Phase phase() const { return phase_; }
  bool is_initiator() const { return initiator_; }
  // Neither established nor an ordinary handshake: no data is sent, data that comes is held.
  bool confirming() const {
    return phase_ == Phase::kStoring || phase_ == Phase::kCalling || phase_ == Phase::kWaiting;
  }
  bool established() const { return phase_ == Phase::kProving || phase_ == Phase::kDone; }
  // Every segment that leaves carries the option.
  bool proving() const { return phase_ == Phase::kProving; }
  // Proving, or given up while proving: whether the peer is established is not known.
  bool last_step_unproved() const { return proving() || (failure_ == WaysFailure::kStopped && sent_ == ways_); }
  std::uint8_t ways() const { return ways_; }
  std::uint8_t sent() const { return sent_; }
  std::uint8_t received() const { return received_; }
  // The step that is to leave next for the first time; 0: none.
  std::uint8_t due() const { return due_; }
  // How many copies step due() is to certify.
  std::uint8_t copies_wanted() const { return asked_of_us(); }
  std::uint8_t tries() const { return tries_; }    // 1, and one for each time-out
  bool sent_once() const { return !sent_again_; }  // sent() has left once only
  bool fell_back() const { return fell_back_; }
  // The record that is to be stored says "established".
  bool establishes() const {
    return (phase_ == Phase::kStoring || phase_ == Phase::kCalling) && (received_ == ways_ || due_ == ways_);
  }
  WaysRecord record() const {
    return {ways_, received_, peer_nonce_, config_.strict, received_ == 0 ? config_.min : std::uint8_t{0}};
  }
  WaysReport report() const;
  const WaysConfig& config() const { return config_; }
  // Without what is counted for people or for the round-trip time only: for comparing states.
  Ways without_counts() const;

  friend bool operator==(const Ways&, const Ways&) = default;

 private:
  Ways(const WaysConfig& config, const NonceSource& source, bool stores, bool initiator);
  bool ours(std::uint8_t step) const { return (step % 2 == 1) == initiator_; }
  wire::WaysOption bare(std::uint8_t step, bool is_short) const;
  bool answers(const wire::WaysOption& option, bool is_short) const;
  bool answers_either(const wire::WaysOption& option) const;
  std::uint8_t asked_of_us() const { return stores_ ? copies_asked(due_) : std::uint8_t{0}; }
  Do step_arrives(const wire::WaysOption& option);
  Do plain_arrives();
  Do take(const wire::WaysOption& option);
  Do call();
  Do fall_back();
  Do drop();
  Do fail(WaysFailure failure);

  WaysConfig config_;
  NonceSource source_;
  bool initiator_ = false;
  bool stores_ = false;
  bool resumed_ = false;  // which steps the predecessor sent is not known
  Phase phase_ = Phase::kOpening;
  std::uint8_t asked_ = 3, ways_ = 3;
  std::uint8_t sent_ = 0, received_ = 0, due_ = 0, tries_ = 0;
  bool due_short_ = false, sent_short_ = false, sent_again_ = false;
  std::uint32_t peer_nonce_ = 0;
  std::uint8_t copies_ = 0, peer_copies_ = 0, peer_asked_ = 0, peer_limit_ = 0;
  bool peer_volatile_ = false, fell_back_ = false;
  WaysFailure failure_ = WaysFailure::kNone;
  std::uint32_t dropped_ = 0, repeated_ = 0;
};

}  // namespace holdfast::tcp
