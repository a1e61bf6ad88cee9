#include "stack/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/endian.h"
#include "base/mutant.h"
#include "stack/engine_impl.h"

namespace holdfast::stack {
namespace {

Secret secret_from(std::span<const std::byte, 64> bits, std::size_t at) {
  Secret secret;
  std::copy_n(bits.begin() + static_cast<std::ptrdiff_t>(at), secret.key.size(), secret.key.begin());
  return secret;
}

// How long a restarted node waits, at most, for room for what its predecessor promised.
constexpr Duration kWaitForRoom = std::chrono::milliseconds(500);

gate::Options gate_options(const Config& config, const RandomBits& random) {
  gate::Options options;
  options.max_receive_window = config.tcp.max_receive_window;
  options.initial_receive_window = config.initial_receive_window;
  options.stall_after = config.stall_after;
  options.nudge = config.nudge;
  options.nonce_secret = random.volatile_cookie;
  return options;
}

ip::Config ip_config(const Config& config, const RandomBits& random) {
  ip::Config ip = config.ip;
  ip.seed = random.ip_seed;
  return ip;
}

}  // namespace

RandomBits::RandomBits(std::span<const std::byte, 64> bits)
    : volatile_isn(secret_from(bits, 0)),
      volatile_timestamp(secret_from(bits, 16)),
      volatile_cookie(derive(volatile_isn, std::byte{'c'})),
      demux(secret_from(bits, 32)),
      ip_seed(load_le<std::uint64_t>(bits.data() + 48)),
      ports(load_le<std::uint64_t>(bits.data() + 56)) {}

Engine::Impl::Impl(const Config& config_in, wire::FrameSink& link_in, std::unique_ptr<log::Log> log,
                   gate::Recovery recovered_in, const RandomBits& random_in, Observer* observer_in, Time now)
    : config(config_in),
      link(link_in),
      observer(observer_in != nullptr ? *observer_in : silent_observer),
      random(random_in),
      demux(random_in.demux),
      gate(gate_options(config_in, random_in), std::move(log), *this, observer, config_in.wall_clock, now),
      ip(*this, link_in, ip_config(config_in, random_in)),
      scratch(std::size_t{1} << 16),
      recovered(std::move(recovered_in)),
      port_draw(random_in.ports) {
  for (const Service& service : config.services) listening.push_back({service, tcp::Listener(config.max_half_open)});
}

Engine::Engine(const Config& config, wire::FrameSink& link, std::unique_ptr<log::Log> log, gate::Recovery recovered,
               std::span<const std::byte, 64> random, Observer* observer, Time now)
    : impl_(std::make_unique<Impl>(config, link, std::move(log), std::move(recovered), RandomBits(random), observer,
                                   now)) {
  impl_->pump(now);
}

Engine::~Engine() = default;

// ---- Input ----

bool Engine::wants_frames() const {
  log::Log* log = impl_->log();
  if (log == nullptr) return true;
  if (impl_->recovering()) return HF_MUTANT(kRefuseBeforeRecovery);
  return impl_->gate.stalled() || !log->receive_space().empty() || !log->busy();
}

MutableBytes Engine::receive_space() {
  log::Log* log = impl_->log();
  return log == nullptr ? MutableBytes{} : log->receive_space();
}

void Engine::on_frame(const wire::RxFrame& frame, Time now) {
  if (impl_->recovering() && !HF_MUTANT(kRefuseBeforeRecovery))
    return;  // silence: nothing may be said yet, nothing is promised
  impl_->gate.set_now(now);
  impl_->ip.on_frame(frame, now);
}

void Engine::pump(Time now) { impl_->pump(now); }

void Engine::Impl::pump(Time now) {
  gate.set_now(now);
  gate.pump(now);
  if (!started) {
    if (!ready_to_speak(now)) return;
    started = true;
    if (log() != nullptr) cookies.recovered(gate.clock().start(), now);
    ip.announce(now);
    resume_all(now);
    if (log() != nullptr) gate.speak_all(now);
    gate.pump(now);
  }
  if (ip.deadline() <= now) {
    ip.on_deadline(now);
    gate.pump(now);
  }
}

// The epoch's start is stored; and the log has room again for the windows that were promised, unless it can't have: a
// window that shrinks because the node restarted is within RFC 9293 (SHLD-14), but better a moment's more silence than
// that.
bool Engine::Impl::ready_to_speak(Time now) {
  const log::Log* log = this->log();
  if (log == nullptr) return true;
  if (log->durable() < log->epoch_start()) return false;
  if (resume_by == kNever) resume_by = now + kWaitForRoom;
  return now >= resume_by || log->full() || log->inheritable() >= recovered.promised_room();
}

Time Engine::deadline() const {
  const Time at = std::min(impl_->gate.deadline(), impl_->ip.deadline());
  return impl_->started ? at : std::min(at, impl_->resume_by);
}

bool Engine::busy() const {
  log::Log* log = impl_->log();
  return log != nullptr && log->busy();
}

// ---- Active connections ----

Result<StreamId> Engine::connect(wire::Endpoint to, ClientHandler& handler, Time now, const ConnectOptions& options) {
  Impl& self = *impl_;
  self.gate.set_now(now);
  const auto port = options.local_port ? self.given_port(*options.local_port, to) : self.free_port(to);
  if (!port) return std::unexpected(port.error());
  const wire::FourTuple tuple{{self.config.ip.address.address, *port}, to};
  tcp::Config config = self.tcp_config_for(to.address, now);
  config.ways = options.ways;
  auto connection = tcp::Connection::connect(self.gate, config, self.gate.next_id(), tuple,
                                             self.initial_sequence(tuple), self.timestamp_offset(tuple), now);
  gate::Entry* entry = self.gate.add(std::move(connection), ServiceKind::kClient, &handler, now);
  if (entry == nullptr) {
    return fail(Error::Kind::kFull,
                "no room in the log for one more connection: free some space, or raise --max-bytes");
  }
  self.demux.insert(tuple, entry->connection.get());
  ++self.counters.opened;
  return entry->id;
}

std::size_t Engine::send_room(StreamId id) const {
  gate::Entry* entry = impl_->gate.find(id);
  if (entry == nullptr || entry->finished || entry->appended.out_fin) return 0;
  return entry->connection->send_room();
}

Result<StreamOffset> Engine::adopt(StreamId id, ClientHandler& handler) {
  Impl& self = *impl_;
  if (self.recovering()) {
    const auto found = self.recovered.connections().find(id);
    if (found != self.recovered.connections().end() && self.may_be_adopted(found->second)) {
      self.adopted[id] = &handler;
      return found->second.record.snapshot.rcv_end;
    }
  } else if (gate::Entry* entry = self.gate.find(id); entry != nullptr && !entry->finished &&
                                                      entry->service == ServiceKind::kClient &&
                                                      entry->handler == nullptr) {
    return self.gate.attach(*entry, handler);
  }
  return fail(Error::Kind::kUsage, fmt::format("stream {} is no connection to go on with", id.value));
}

bool Engine::Impl::may_be_adopted(const gate::RecoveredConnection& connection) const {
  return connection.record.service == static_cast<std::uint8_t>(ServiceKind::kClient) &&
         connection.record.snapshot.tuple.local.address == config.ip.address.address;
}

std::size_t Engine::send(StreamId id, Bytes bytes, Time now) {
  gate::Entry* entry = impl_->gate.find(id);
  if (entry == nullptr || entry->finished) return 0;
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const Bytes piece = bytes.subspan(taken, std::min<std::size_t>(bytes.size() - taken, log::kMaxPayload / 2));
    if (!impl_->gate.commit(*entry, entry->stored.in_end, piece, false, now)) break;
    taken += piece.size();
  }
  return taken;
}

bool Engine::send_fin(StreamId id, Time now) {
  gate::Entry* entry = impl_->gate.find(id);
  if (entry == nullptr || entry->finished || entry->appended.out_fin) return true;
  entry->want_fin = !impl_->gate.commit(*entry, entry->stored.in_end, {}, true, now);
  return !entry->want_fin;
}

void Engine::abort(StreamId id, Time now) {
  gate::Entry* entry = impl_->gate.find(id);
  if (entry == nullptr || entry->finished) return;
  impl_->gate.set_now(now);
  entry->connection->abort(now);
}

void Engine::retire(StreamId id, Time now) {
  gate::Entry* entry = impl_->gate.find(id);
  if (entry == nullptr || entry->finished || entry->connection->state() != tcp::State::kTimeWait) return;
  impl_->gate.set_now(now);
  impl_->gate.retire(*entry);
}

void Engine::prepare_stop(Time now) {
  impl_->gate.set_now(now);
  // One batch more, whose mark says that all before it is durable: then each location by itself can prove it to a
  // reader.
  if (log::Log* log = impl_->log(); log != nullptr) log->barrier();
  impl_->gate.flush();
  impl_->pump(now);
}

// ---- State ----

bool Engine::recovering() const { return impl_->recovering(); }
std::size_t Engine::connections() const { return impl_->demux.size(); }
const ip::Counters& Engine::ip_counters() const { return impl_->ip.counters(); }
log::Log* Engine::log() { return impl_->log(); }

const Counters& Engine::counters() const {
  Counters& counters = impl_->counters;
  counters.notes_folded = impl_->gate.counters().notes_folded;
  counters.refusals_dropped = impl_->gate.counters().frames_dropped;
  counters.bytes_stored = impl_->gate.counters().bytes_stored;
  counters.widest_window = impl_->gate.counters().widest_window;
  counters.undeliverable = impl_->gate.counters().undeliverable;
  return counters;
}

std::vector<ConnectionInfo> Engine::list() const {
  std::vector<ConnectionInfo> all;
  for (const auto& [id, entry] : impl_->gate.entries()) {
    if (entry->finished) continue;
    const tcp::Connection& c = *entry->connection;
    all.push_back({id, c.tuple(), entry->service, c.state(), c.received().value, c.released().value, c.queued().value,
                   c.acknowledged().value, c.answered(), c.handshake(), c.smoothed_rtt(), c.retransmission_timeout()});
  }
  return all;
}

}  // namespace holdfast::stack
