#include "node/send.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "gate/recovery.h"
#include "link/tap.h"
#include "location/ring.h"
#include "location/unique_fd.h"
#include "node/entropy.h"
#include "node/event_file.h"
#include "node/handshake_values.h"
#include "node/host_address.h"
#include "node/output.h"
#include "node/progress.h"
#include "node/stop_signals.h"
#include "node/values.h"
#include "shard/clock.h"
#include "shard/shard.h"
#include "stack/engine.h"

namespace holdfast::node {
namespace {

constexpr std::size_t kReadSize = 256U << 10;
// After both directions have ended: our ACK of the peer's FIN is on its way, and TIME-WAIT keeps nothing that a process
// about to exit could still answer.
constexpr std::uint32_t kSendBuffer = 8U << 20;
constexpr auto kTellAfter = std::chrono::seconds(5);

// What the connection has told us.
class Dialogue final : public stack::ClientHandler {
 public:
  void handshake(const tcp::WaysReport& report) override { handshake_ = report; }
  void established() override { established_ = true; }
  void received(Bytes bytes) override {
    if (output_gone_ || output_error_) return;
    auto written = write_all(STDOUT_FILENO, bytes);
    if (!written) output_error_ = written.error();
    output_gone_ = written && !*written;
  }
  void peer_finished() override { peer_finished_ = true; }
  void finished(tcp::CloseReason reason) override { finished_ = reason; }

  bool is_established() const { return established_; }
  bool has_peer_finished() const { return peer_finished_; }
  const std::optional<tcp::CloseReason>& ended() const { return finished_; }
  const tcp::WaysReport& handshake_report() const { return handshake_; }
  const std::optional<Error>& output_error() const { return output_error_; }

 private:
  bool established_ = false;
  tcp::WaysReport handshake_;
  bool peer_finished_ = false;
  bool output_gone_ = false;
  std::optional<Error> output_error_;
  std::optional<tcp::CloseReason> finished_;
};

// The bytes to be sent: a file, or a pipe that need not have any yet.
class Input {
 public:
  static Result<Input> open(const std::string& path, location::Ring& ring) {
    Input input;
    input.name_ = path == "-" ? "standard input" : path;
    input.file_ = location::UniqueFd(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!input.file_ || ::fstat(input.file_.get(), &status) != 0) return std::unexpected(input.error(errno));
    if (S_ISDIR(status.st_mode)) return std::unexpected(input.error(EISDIR));
    if (S_ISREG(status.st_mode)) {
      // Somebody may have read a part of it before.
      const off_t at = ::lseek(input.file_.get(), 0, SEEK_CUR);
      if (at < 0) return std::unexpected(input.error(errno));
      input.end_ = status.st_size;
      input.size_ = static_cast<std::uint64_t>(std::max<off_t>(0, status.st_size - at));
    } else {
      input.readable_ = std::make_unique<location::Readiness>(ring, input.file_.get(), POLLIN);
    }
    return input;
  }

  std::optional<std::uint64_t> size() const { return size_; }
  bool at_end() const { return at_end_; }

  // Up to `into.size()` bytes; empty when there are none now, or at the end.
  Result<Bytes> read(MutableBytes into) {
    if (at_end_ || into.empty()) return Bytes{};
    if (readable_) {
      if (!ready_) ready_ = readable_->take();
      readable_->arm();
      if (!ready_) return Bytes{};
    }
    ready_ = false;
    const auto size = ::read(file_.get(), into.data(), into.size());
    if (size < 0) {
      if (errno == EAGAIN || errno == EINTR) return Bytes{};
      return std::unexpected(error(errno));
    }
    at_end_ = size == 0;
    if (at_end_ && size_) {
      if (auto whole = check_not_shorter(); !whole) return std::unexpected(whole.error());
    }
    return Bytes(into.first(static_cast<std::size_t>(size)));
  }

 private:
  // The size that the file system tells, not what could be read: /proc and /sys hold less than they say.
  Result<void> check_not_shorter() const {
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0) return std::unexpected(error(errno));
    if (status.st_size >= end_) return {};
    return fail(Error::Kind::kIo, fmt::format("{} became shorter while it was sent, {} bytes instead of {}: the "
                                              "connection is reset",
                                              name_, status.st_size, end_));
  }
  Error error(int number) const {
    return {Error::Kind::kUnavailable, fmt::format("can't read {}: {}: check FILE", name_, std::strerror(number))};
  }

  std::string name_;
  location::UniqueFd file_;
  std::optional<std::uint64_t> size_;              // bytes to be read
  off_t end_ = 0;                                  // of a regular file, when it was opened
  std::unique_ptr<location::Readiness> readable_;  // null for a regular file
  bool ready_ = false;
  bool at_end_ = false;
};

class Sender {
 public:
  explicit Sender(const SendCommand& command) : command_(command), buffer_(kReadSize) {}

  // A peer must not wait for one that has ended: whatever goes wrong here resets the connection.
  Result<void> run() {
    auto prepared = prepare();
    if (!prepared) return prepared;
    auto sent = work();
    if (!sent && !dialogue_.ended() && !tap_->failure()) {
      engine_->abort(stream_, shard::monotonic_now());
      engine_->pump(shard::monotonic_now());
    }
    return sent;
  }

 private:
  Result<void> work() {
    Progress progress("send", input_->size(), !command_.quiet);
    while (!dialogue_.ended()) {
      shard_->turn(dialogue_.is_established() ? kNever : tell_at_);
      stop_->take();
      look_at_time();
      if (stop_->asked()) return give_up();
      if (tap_->failure()) return std::unexpected(*tap_->failure());
      if (dialogue_.output_error()) return std::unexpected(*dialogue_.output_error());
      if (!fin_sent_ && dialogue_.is_established()) {
        if (auto fed = feed(); !fed) return fed;
      }
      const auto info = connection();
      if (info) progress.update(info->out_acknowledged);
      if (info && info->state == tcp::State::kTimeWait) return {};  // everything is acknowledged, both ways
    }
    return verdict(*dialogue_.ended());
  }

  Result<void> prepare() {
    auto ring = location::Ring::create();
    if (!ring) return std::unexpected(ring.error());
    ring_ = *std::move(ring);
    auto input = Input::open(command_.file, *ring_);
    if (!input) return std::unexpected(input.error());
    input_ = *std::move(input);
    if (auto free = check_not_ours(command_.address.address); !free) return free;
    auto tap = link::Tap::open({.name = command_.link.device, .mtu = command_.link.mtu, .pcap = command_.pcap});
    if (!tap) return std::unexpected(tap.error());
    tap_ = *std::move(tap);
    if (command_.host_address) {
      auto configured = configure_host_end(command_.link.device, *command_.host_address);
      if (!configured) return configured;
    }
    stop_ = std::make_unique<StopSignals>(*ring_);
    stop_->arm();
    const Time now = shard::monotonic_now();
    engine_ = std::make_unique<stack::Engine>(engine_config(), *tap_, nullptr, gate::Recovery(),
                                              std::span<const std::byte, 64>(draw_entropy<64>()), nullptr, now);
    shard_ = std::make_unique<shard::Shard>(*engine_, *tap_, *ring_);
    tell_at_ = now + kTellAfter;
    auto stream = engine_->connect(command_.to, dialogue_, now,
                                   {.local_port = command_.local_port, .ways = command_.ways});
    if (!stream) return std::unexpected(stream.error());
    stream_ = *stream;
    return {};
  }

  stack::Config engine_config() const {
    stack::Config config;
    config.ip.mac = command_.link.mac.value_or(default_mac(command_.address.address));
    config.ip.address = command_.address;
    config.ip.gateway = command_.gateway;
    config.ip.mtu = command_.link.mtu;
    config.ip.seed = draw_seed();
    config.tcp.mss = static_cast<std::uint16_t>(command_.link.mtu - 40);
    config.tcp.send_buffer = kSendBuffer;
    config.wall_clock = wall_clock_now();
    return config;
  }

  // Fills the send buffer; after the last byte, our FIN.
  Result<void> feed() {
    for (;;) {
      const auto room = std::min(engine_->send_room(stream_), buffer_.size());
      if (room == 0) return {};
      auto piece = input_->read(MutableBytes(buffer_).first(room));
      if (!piece) return std::unexpected(piece.error());
      const Time now = shard::monotonic_now();
      if (input_->at_end()) {
        engine_->send_fin(stream_, now);
        fin_sent_ = true;
        return {};
      }
      if (piece->empty()) return {};
      engine_->send(stream_, *piece, now);
    }
  }

  std::optional<stack::ConnectionInfo> connection() const {
    for (const auto& info : engine_->list()) {
      if (info.id == stream_) return info;
    }
    return std::nullopt;
  }

  Result<void> give_up() const {
    return fail(Error::Kind::kUnavailable,
                fmt::format("interrupted: {}: {}", command_.to.to_string(),
                            dialogue_.is_established() ? "the connection was reset, the peer may have a part"
                                                       : "there was no connection yet"));
  }

  // People at a terminal should not wait for the time-out to learn what is up.
  void look_at_time() {
    const Time now = shard::monotonic_now();
    if (dialogue_.is_established() || now < tell_at_) return;
    tell_at_ = kNever;
    if (!command_.quiet) {
      std::fputs(
          fmt::format("holdfast: no answer from {} yet: trying on, Ctrl-C ends it\n", command_.to.to_string()).c_str(),
          stderr);
    }
  }

  Result<void> verdict(tcp::CloseReason reason) const {
    const auto peer = command_.to.to_string();
    switch (reason) {
      case tcp::CloseReason::kNormal:
        return {};
      case tcp::CloseReason::kRefused:
        return fail(Error::Kind::kUnavailable, fmt::format("connection refused: {}: nothing listens there", peer));
      case tcp::CloseReason::kTimeout:
        return fail(Error::Kind::kTimeout,
                    fmt::format("no answer: {}: {}", peer,
                                dialogue_.is_established() ? "the peer is gone; not everything was acknowledged"
                                                           : "check the address, the link and a firewall between"));
      case tcp::CloseReason::kPeerReset:
        return fail(Error::Kind::kUnavailable,
                    fmt::format("connection reset: {}: the peer may not have everything", peer));
      case tcp::CloseReason::kHandshakeRefused:
      case tcp::CloseReason::kTooFewCopies:
        return fail(Error::Kind::kUnavailable,
                    fmt::format("no connection: {}: {}", peer, explain_failure(dialogue_.handshake_report())));
      case tcp::CloseReason::kHandshakeStopped:
        return fail(Error::Kind::kTimeout,
                    fmt::format("no connection: {}: {}", peer, explain_failure(dialogue_.handshake_report())));
      case tcp::CloseReason::kAborted:
        break;
    }
    return fail(Error::Kind::kUnavailable, fmt::format("connection given up: {}", peer));
  }

  const SendCommand& command_;
  std::vector<std::byte> buffer_;
  // In the order of need: what is below is destroyed first.
  std::unique_ptr<location::Ring> ring_;
  std::optional<Input> input_;
  std::unique_ptr<link::Tap> tap_;
  std::unique_ptr<StopSignals> stop_;
  Dialogue dialogue_;
  std::unique_ptr<stack::Engine> engine_;
  std::unique_ptr<shard::Shard> shard_;
  StreamId stream_;
  Time tell_at_ = kNever;
  bool fin_sent_ = false;
};

}  // namespace

int send(const SendCommand& command) {
  const auto sent = Sender(command).run();
  return sent ? kExitDone : report(sent.error());
}

}  // namespace holdfast::node
