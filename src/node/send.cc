#include "node/send.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <ranges>
#include <string>
#include <utility>

#include "gate/connection_record.h"
#include "gate/service.h"
#include "node/dialogue.h"
#include "node/handshake_values.h"
#include "node/input.h"
#include "node/output.h"
#include "node/progress.h"
#include "node/session.h"
#include "node/stored_log.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

constexpr auto kTellAfter = std::chrono::seconds(5);
// How long a peer is waited for that is to be told that its connection is no more.
constexpr auto kAnswerBound = std::chrono::seconds(3);
// A reader that does not see yet what was stored a moment ago looks again after this.
constexpr auto kReaderLag = std::chrono::milliseconds(1);
// The last so many of the stored answers are written without a look at the peer, who may send faster than they go.
constexpr std::uint64_t kWrittenAtOnce = 1U << 20;

std::size_t common_prefix(Bytes a, Bytes b) {
  const auto size = std::min(a.size(), b.size());
  return static_cast<std::size_t>(std::ranges::mismatch(a.first(size), b.first(size)).in1 - a.begin());
}

// What is to be sent is derived anew from the log in each run: the connection that it holds and has not ended goes on,
// what it says was delivered is not sent again. (docs/operating.md, "Sending".)
class Sender {
 public:
  explicit Sender(const SendCommand& command) : command_(command), session_(command) {}

  // Returns the exit status. What went wrong is told at once: what follows waits for writes, which may hang.
  int run() {
    if (auto prepared = prepare(); !prepared) return report(prepared.error());
    auto sent = session_.is_durable() ? deliver_durably() : deliver();
    if (sent) linger();
    const int status = sent ? kExitDone : report(with_what_to_do(std::move(sent.error())));
    session_.is_durable() ? end_durably(sent.has_value()) : end(sent.has_value());
    return status;
  }

 private:
  Result<void> prepare() {
    if (auto ring = session_.create_ring(); !ring) return ring;
    auto input = Input::open(command_.file, session_.ring());
    if (!input) return std::unexpected(input.error());
    input_ = *std::move(input);
    return session_.open();
  }

  // ---- Without a log ----

  Result<void> deliver() {
    if (auto connected = connect(); !connected) return connected;
    return work();
  }

  // A peer must not wait for one that has ended: whatever goes wrong here resets the connection.
  void end(bool sent) {
    if (sent || !stream_ || dialogue_.ended() || !session_.has_device()) return;
    session_.engine().abort(*stream_, shard::monotonic_now());
    session_.engine().pump(shard::monotonic_now());
  }

  // ---- With a log ----

  Result<void> deliver_durably() {
    auto found = find_unfinished();
    if (!found) return std::unexpected(found.error());
    const auto unfinished = *found;
    if (unfinished && !command_.abandon) {
      stream_ = unfinished->id;
      auto adopted = session_.engine().adopt(*stream_, dialogue_);
      if (!adopted) return std::unexpected(adopted.error());
      dialogue_.begin_at(*adopted);
      tell_at_ = shard::monotonic_now() + kTellAfter;
    }
    if (unfinished) {
      if (auto kept = session_.keep_device(); !kept) return kept;
    }
    if (auto started = session_.start(); !started) return started;
    if (session_.stop_asked()) return interrupted();
    if (unfinished) {
      if (const auto why = session_.not_resumed_because(unfinished->id)) return cannot_go_on(*why);
      if (!command_.abandon) return go_on(*unfinished);
      if (auto abandoned = abandon(*unfinished); !abandoned) return abandoned;
    }
    return begin(unfinished.has_value());
  }

  // The newest connection to the peer that has not ended.
  Result<std::optional<Unfinished>> find_unfinished() const {
    std::optional<Unfinished> found;
    for (const Unfinished& one : session_.unfinished()) {
      if (one.tuple.peer == command_.to) found = one;
    }
    if (!found || found->tuple.local.address == command_.address.address) return found;
    return fail(Error::Kind::kUnavailable,
                fmt::format("{} has an unfinished connection to {} from {}: give that --address to go on with it, or "
                            "another --data",
                            directories(), peer(), found->tuple.local.address.to_string()));
  }

  Result<void> cannot_go_on(const Error& why) {
    told_what_to_do_ = true;
    return fail(why.kind, fmt::format("the unfinished connection to {} cannot be read back: {}: give all directories, "
                                      "or begin anew in empty ones",
                                      peer(), why.message));
  }

  // The connection that an earlier run left: what is stored is the input's beginning, or it is another input's.
  Result<void> go_on(const Unfinished& from) {
    session_.say(fmt::format("going on with the connection from {} to {}: {} bytes of it are stored{}",
                             from.tuple.local.to_string(), peer(), from.out_end.value,
                             command_.ways.max > wire::kMinWays ? "; --ways and --policy are a new connection's" : ""));
    auto stored = open_stored();
    if (!stored) return std::unexpected(stored.error());
    auto same = compare(from.id, from.out_end, from.out_fin);
    if (!same) return std::unexpected(same.error());
    if (!*same) return differs(from);
    fin_sent_ = from.out_fin;
    if (auto written = write_stored_answer(); !written) return written;
    return work();
  }

  Result<void> differs(const Unfinished& from) {
    told_what_to_do_ = true;
    return fail(Error::Kind::kUnavailable,
                fmt::format("{} is not what {} has begun to send to {} ({} bytes stored{}, stream {}): send that again "
                            "to finish it, or give --abandon to reset its connection first",
                            input_->name(), directories(), peer(), from.out_end.value,
                            from.out_fin ? ", all of it" : "", from.id.value));
  }

  // Resets it, and waits until the log knows. The peer takes a reset only at the place where it is: it is asked first.
  Result<void> abandon(const Unfinished& unfinished) {
    session_.say(fmt::format("abandoning the connection from {} to {}", unfinished.tuple.local.to_string(), peer()));
    const Time bound = shard::monotonic_now() + kAnswerBound;
    for (;;) {
      const auto info = session_.connection(unfinished.id);
      if (!info || info->answered || shard::monotonic_now() >= bound) break;
      if (auto turned = turn(bound); !turned) return turned;
    }
    session_.engine().abort(unfinished.id, shard::monotonic_now());
    while (session_.connection(unfinished.id)) {
      if (auto turned = turn(kNever); !turned) return turned;
    }
    if (session_.store_all()) return {};
    return fail(Error::Kind::kIo,
                fmt::format("the end of the connection to {} could not be stored: try again", peer()));
  }

  // A new connection, unless the last one has delivered this very input. What of it was compared is taken from the log.
  Result<void> begin(bool abandoned) {
    if (!command_.again && !abandoned) {
      auto last = find_delivered();
      if (!last) return std::unexpected(last.error());
      if (*last) {
        auto same = compare((*last)->id, (*last)->out.end, true);
        if (!same) return std::unexpected(same.error());
        if (*same) {
          session_.say(
              fmt::format("delivered already: {} has acknowledged all of {} (stream {}); --again sends it once "
                          "more",
                          peer(), input_->name(), (*last)->id.value));
          return {};
        }
        if (auto connected = connect(); !connected) return connected;
        if (auto sent = send_stored((*last)->id); !sent) return sent;
        return work();
      }
    }
    return deliver();
  }

  // The newest stream to the peer, if it was finished and has ended well.
  Result<std::optional<log::StreamInfo>> find_delivered() {
    // What this start has changed is to be seen.
    session_.store_all();
    auto stored = open_stored();
    if (!stored) return std::unexpected(stored.error());
    auto all = stored_->reader().list();
    if (!all) return std::unexpected(cannot_tell(all.error()));
    for (auto& stream : std::views::reverse(*all)) {
      const auto record = gate::decode_connection_record(stream.connection);
      if (!record || record->service != static_cast<std::uint8_t>(gate::ServiceKind::kClient)) continue;
      if (record->snapshot.tuple.peer != command_.to) continue;
      const bool well =
          stream.closed && static_cast<tcp::CloseReason>(stream.close_reason) == tcp::CloseReason::kNormal;
      return well && stream.out.fin ? std::optional(std::move(stream)) : std::nullopt;
    }
    return std::nullopt;
  }

  Error cannot_tell(const Error& why) const {
    return {why.kind,
            fmt::format("{}: whether it was delivered already cannot be told; --again sends it", why.message)};
  }

  Result<void> open_stored() {
    auto stored = StoredLog::open(command_.data, StoredLog::Owner::kUs);
    if (!stored) return std::unexpected(stored.error());
    stored_ = *std::move(stored);
    return {};
  }

  // Whether the input begins with the stored bytes [0, end) of a stream, and, with `whole`, ends there. Takes from the
  // input what is the same: `compared_` bytes.
  Result<bool> compare(StreamId id, StreamOffset end, bool whole) {
    // (A size of 0 may be that of a file that is made when it is read.)
    const auto size = input_->size().value_or(0);
    if (size != 0 && (size < end.value || (whole && size != end.value))) return false;
    Progress progress("compare", end.value, !command_.quiet);
    Result<bool> same = true;
    auto read = read_stored(id, log::Direction::kOut, StreamOffset{0}, end, [&](Bytes piece) {
      same = compare_piece(piece);
      progress.update(compared_.value);
      return same && *same;
    });
    if (!read) return std::unexpected(read.error());
    if (!same || !*same || !whole) return same;
    auto more = look();
    if (!more) return std::unexpected(more.error());
    return more->empty();
  }

  Result<bool> compare_piece(Bytes piece) {
    while (!piece.empty()) {
      auto ahead = look();
      if (!ahead) return std::unexpected(ahead.error());
      if (ahead->empty()) return false;
      const auto count = common_prefix(*ahead, piece);
      const bool differs = count < std::min(ahead->size(), piece.size());
      input_->take(count);
      compared_ = compared_ + count;
      if (differs) return false;
      piece = piece.subspan(count);
    }
    return true;
  }

  // Connections live on meanwhile.
  template <class Take>
  Result<void> read_stored(StreamId id, log::Direction direction, StreamOffset from, StreamOffset end, Take&& take) {
    Result<void> turned;
    auto read = stored_->reader().read(id, direction, from, end - from, [&](StreamOffset, Bytes piece) {
      if (!take(piece)) return false;
      turned = turn(shard::monotonic_now());
      return turned.has_value();
    });
    if (!read) return std::unexpected(stream_ ? read.error() : cannot_tell(read.error()));
    return turned;
  }

  // Waits for the input; empty only at its end.
  Result<Bytes> look() {
    for (;;) {
      auto ahead = input_->look();
      if (!ahead || !ahead->empty() || input_->at_end()) return ahead;
      if (auto turned = turn(kNever); !turned) return std::unexpected(turned.error());
    }
  }

  // What the peer has sent so far, from the stream's beginning; from then on it is written as it comes.
  Result<void> write_stored_answer() {
    while (dialogue_.written_end() < dialogue_.received_end() && !dialogue_.is_output_gone()) {
      auto grown = stored_->reader().refresh();
      if (!grown) return std::unexpected(grown.error());
      auto known = stored_->reader().show(*stream_);
      if (!known) return std::unexpected(known.error());
      const StreamOffset end = std::min(known->in.end, dialogue_.received_end());
      if (end <= dialogue_.written_end()) {  // a batch behind
        if (auto turned = turn(shard::monotonic_now() + kReaderLag); !turned) return turned;
        continue;
      }
      Result<void> turned;
      auto read = stored_->reader().read(*stream_, log::Direction::kIn, dialogue_.written_end(),
                                         end - dialogue_.written_end(), [&](StreamOffset, Bytes piece) {
                                           if (!dialogue_.write(piece)) return false;
                                           if (end - dialogue_.written_end() < kWrittenAtOnce) return true;
                                           turned = turn(shard::monotonic_now());
                                           return turned.has_value();
                                         });
      if (!read || !turned) return read ? turned : read;
      if (dialogue_.output_error()) return std::unexpected(*dialogue_.output_error());
    }
    return {};
  }

  // The beginning of the input that was found in the log as that of another stream.
  Result<void> send_stored(StreamId id) {
    if (compared_ == StreamOffset{}) return {};
    while (!dialogue_.is_established() && !dialogue_.ended()) {
      if (auto turned = turn(kNever); !turned) return turned;
    }
    Result<void> turned;
    auto read = read_stored(id, log::Direction::kOut, StreamOffset{0}, compared_, [&](Bytes piece) {
      while (!piece.empty() && !dialogue_.ended() && turned) {
        const auto room = session_.engine().send_room(*stream_);
        const auto count = std::min(room, piece.size());
        const auto sent = session_.engine().send(*stream_, piece.first(count), shard::monotonic_now());
        piece = piece.subspan(sent);
        if (!piece.empty()) turned = turn(kNever);
      }
      return piece.empty();
    });
    return read ? turned : read;
  }

  // Whatever happened: what is stored stays stored, and nothing is left behind where nothing is left to do.
  void end_durably(bool sent) {
    const bool settled = session_.settle();
    if (auto released = session_.release_device(); !released) session_.say(released.error().message);
    if (sent && !settled) {
      session_.say(
          fmt::format("{} has acknowledged everything, but that could not be stored: the same command may send it "
                      "again",
                      peer()));
    }
    if (session_.engine().busy()) session_.say(fmt::format("waiting for writes that hang in {}", directories()));
  }

  Error with_what_to_do(Error error) const {
    if (session_.is_durable() && stream_ && !dialogue_.ended() && !told_what_to_do_) {
      error.message +=
          fmt::format("; the connection to {} stays in {}: the same command goes on with it", peer(), directories());
    }
    return error;
  }

  // ---- A connection ----

  Result<void> connect() {
    if (session_.is_durable()) {
      if (auto kept = session_.keep_device(); !kept) return kept;
    }
    const Time now = shard::monotonic_now();
    tell_at_ = now + kTellAfter;
    auto stream = session_.engine().connect(command_.to, dialogue_, now,
                                            {.local_port = command_.local_port, .ways = command_.ways});
    if (!stream) return std::unexpected(stream.error());
    stream_ = *stream;
    return {};
  }

  // Until everything is acknowledged, both ways, and stored.
  Result<void> work() {
    Progress progress("send", input_->size(), !command_.quiet);
    while (!dialogue_.ended()) {
      if (!fin_sent_ && dialogue_.is_established()) {
        if (auto fed = feed(); !fed) return fed;
      }
      const auto info = session_.connection(*stream_);
      if (info) progress.update(info->out_acknowledged);
      if (info && info->state == tcp::State::kTimeWait && dialogue_.has_peer_finished()) return {};
      if (auto turned = turn(kNever); !turned) return turned;
    }
    return verdict(*dialogue_.ended());
  }

  // All is acknowledged, both ways, and stored: nothing that happens here is an error any more. But our ACK of the
  // peer's FIN may be lost, or the peer be a node that dies before it has stored that it came. Then the FIN comes once
  // more, and nobody but us can acknowledge it (RFC 9293 section 3.6.1). TIME-WAIT is for that, and whoever waits for
  // the prompt gets some of it, not all (ARCHITECTURE.md, "Deliberate deviations").
  void linger() {
    if (!stream_) return;
    const Time until = shard::monotonic_now() + command_.linger;
    while (!dialogue_.ended() && !session_.stop_asked() && shard::monotonic_now() < until) {
      if (!session_.turn(until)) break;
    }
    session_.engine().retire(*stream_, shard::monotonic_now());
  }

  Result<void> turn(Time at_latest) {
    const bool waits = stream_ && !dialogue_.is_established();
    if (auto turned = session_.turn(waits ? std::min(at_latest, tell_at_) : at_latest); !turned) return turned;
    look_at_time();
    look_at_handshake();
    if (session_.stop_asked()) return interrupted();
    if (dialogue_.output_error()) return std::unexpected(*dialogue_.output_error());
    return {};
  }

  // Fills the send buffer; after the last byte, our FIN.
  Result<void> feed() {
    for (;;) {
      const auto room = session_.engine().send_room(*stream_);
      if (room == 0) return {};
      auto ahead = input_->look();
      if (!ahead) return std::unexpected(ahead.error());
      const Time now = shard::monotonic_now();
      if (input_->at_end()) {
        fin_sent_ = session_.engine().send_fin(*stream_, now);
        return {};
      }
      const auto sent = session_.engine().send(*stream_, ahead->first(std::min(room, ahead->size())), now);
      if (sent == 0) return {};
      input_->take(sent);
    }
  }

  Result<void> interrupted() const {
    if (session_.is_durable()) {
      return fail(Error::Kind::kUnavailable, stream_ ? "interrupted" : "interrupted: nothing was sent");
    }
    return fail(Error::Kind::kUnavailable,
                fmt::format("interrupted: {}: {}", peer(),
                            dialogue_.is_established() ? "the connection was reset, the peer may have a part"
                                                       : "there was no connection yet"));
  }

  // People at a terminal should not wait for the time-out to learn what is up.
  void look_at_time() {
    if (!stream_ || dialogue_.is_established() || shard::monotonic_now() < tell_at_) return;
    tell_at_ = kNever;
    session_.say(fmt::format("no answer from {} yet: trying on, Ctrl-C ends it", peer()));
  }

  // What was asked for is not always what came about.
  void look_at_handshake() {
    const tcp::WaysReport& report = dialogue_.handshake_report();
    if (told_handshake_ || !dialogue_.is_established() || report.asked <= wire::kMinWays) return;
    told_handshake_ = true;
    session_.say(fmt::format("established by {}", describe(report)));
  }

  Result<void> no_connection(Error::Kind kind) const {
    return fail(kind, fmt::format("no connection: {}: {}", peer(), explain_failure(dialogue_.handshake_report())));
  }

  Result<void> verdict(tcp::CloseReason reason) const {
    const char* const anew = session_.is_durable() ? "; the next run sends it anew, over a new connection" : "";
    switch (reason) {
      case tcp::CloseReason::kNormal:
        return {};
      case tcp::CloseReason::kRefused:
        return fail(
            Error::Kind::kUnavailable,
            fmt::format("connection refused: {}: nothing listens there{}", peer(),
                        command_.ways.max > wire::kMinWays ? "" : ", or a service that requires more ways (--ways)"));
      case tcp::CloseReason::kTimeout:
        return fail(Error::Kind::kTimeout,
                    fmt::format("no answer: {}: {}{}", peer(),
                                dialogue_.is_established() ? "the peer is gone; not everything was acknowledged"
                                                           : "check the address, the link and a firewall between",
                                anew));
      case tcp::CloseReason::kPeerReset:
        if (dialogue_.handshake_report().failure == tcp::WaysFailure::kReset) {
          return no_connection(Error::Kind::kUnavailable);
        }
        return fail(Error::Kind::kUnavailable,
                    fmt::format("connection reset: {}: the peer may not have everything{}", peer(), anew));
      case tcp::CloseReason::kHandshakeRefused:
      case tcp::CloseReason::kTooFewCopies:
        return no_connection(Error::Kind::kUnavailable);
      case tcp::CloseReason::kHandshakeStopped:
        return no_connection(Error::Kind::kTimeout);
      case tcp::CloseReason::kAborted:
      case tcp::CloseReason::kOvertaken:
        break;
    }
    return fail(Error::Kind::kUnavailable, fmt::format("connection given up: {}", peer()));
  }

  std::string peer() const { return command_.to.to_string(); }
  std::string directories() const { return fmt::format("{}", fmt::join(command_.data, ", ")); }

  const SendCommand& command_;
  // In the order of need: what is below is destroyed first.
  Dialogue dialogue_;
  Session session_;
  std::optional<Input> input_;
  std::optional<StoredLog> stored_;
  std::optional<StreamId> stream_;
  StreamOffset compared_;  // of the input: found in the log
  Time tell_at_ = kNever;
  bool fin_sent_ = false;
  bool told_handshake_ = false;
  bool told_what_to_do_ = false;  // the error says how to go on
};

}  // namespace

int send(const SendCommand& command) { return Sender(command).run(); }

}  // namespace holdfast::node
