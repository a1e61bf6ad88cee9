#include "sim/client_host.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace holdfast::sim {

// One connection's user: sends what its plan says, checks what comes back, ends as the plan says.
class ClientHost::Script final : public stack::ClientHandler {
 public:
  Script(ClientHost& host, const StreamPlan& plan, Prng prng) : host_(host), plan_(plan), prng_(prng) {}

  const StreamPlan& plan() const { return plan_; }
  bool done() const { return done_; }
  std::string progress() const {
    return fmt::format("stream {} ({}): {} of {} bytes sent, {} received{}{}", plan_.number, tuple_.to_string(), sent_,
                       plan_.bytes, received_, fin_sent_ ? ", FIN sent" : "", peer_finished_ ? ", FIN received" : "");
  }

  void begin() {
    const wire::Endpoint to{host_.place_.node, wire::Port{plan_.echo ? kEchoPort : kStorePort}};
    const auto id = host_.runner_.call([&](stack::Engine& engine) {
      auto connected = engine.connect(to, *this, host_.context_.now(), {.local_port = {}, .ways = plan_.ways});
      if (connected) {
        // Before its SYN is on the wire: the turn that sends it has not come.
        for (const stack::ConnectionInfo& info : engine.list()) {
          if (info.id == *connected) tuple_ = {info.tuple.peer, info.tuple.local};
        }
        host_.oracle_.expect(tuple_, plan_);
      }
      return connected;
    });
    if (!id) return host_.context_.fail("client cannot connect: {}", id.error().message);
    id_ = *id;
    alive_ = true;
    host_.context_.note("{} opens stream {}: {} bytes, {}", host_.place_.name, plan_.number, plan_.bytes,
                        plan_.echo ? "echo" : "store");
    host_.runner_.turn();
  }

  // The host forgets: so does its script.
  void forget() {
    if (!alive_) return;
    host_.oracle_.peer_gone(tuple_);
    alive_ = false;
    done_ = true;
  }

  // ---- stack::ClientHandler; called inside the engine, which is called back later ----
  void established() override { go_on_soon(Duration::zero()); }
  void writable() override {
    if (!thinking_) go_on_soon(Duration::zero());
  }
  void received(Bytes bytes) override {
    if (!plan_.echo) return host_.context_.fail("{}: a store service sent {} bytes", tuple_.to_string(), bytes.size());
    const std::size_t right = plan_.content.matching(received_, bytes);
    if (right != bytes.size()) {
      host_.context_.fail("{}: echoed byte {} is wrong", tuple_.to_string(), received_ + right);
    }
    received_ += bytes.size();
    if (received_ > sent_) host_.context_.fail("{}: more bytes came back than were sent", tuple_.to_string());
  }
  void peer_finished() override {
    peer_finished_ = true;
    if (!fin_sent_) host_.context_.fail("{}: the service ended the stream first", tuple_.to_string());
    if (plan_.echo && received_ != sent_) {
      host_.context_.fail("{}: the echo ended after {} of {} bytes", tuple_.to_string(), received_, sent_);
    }
  }
  void finished(tcp::CloseReason reason) override {
    alive_ = false;
    done_ = true;
    host_.oracle_.peer_gone(tuple_);
    host_.context_.note("{} stream {} ends, reason {}", host_.place_.name, plan_.number, static_cast<int>(reason));
    if (aborted_ || plan_.node_aborts) return;
    if (reason != tcp::CloseReason::kNormal || !peer_finished_) {
      host_.context_.fail("{} ended by reason {} instead of normally: {}", tuple_.to_string(), static_cast<int>(reason),
                          progress());
    }
  }

 private:
  void go_on_soon(Duration delay) {
    if (scheduled_) return;
    scheduled_ = true;
    thinking_ = delay > Duration::zero();
    host_.context_.queue.after(delay, [this] {
      scheduled_ = thinking_ = false;
      if (alive_) go_on();
    });
  }

  void go_on() {
    while (alive_ && sent_ < plan_.bytes && !fin_sent_) {
      if (should_abort()) return abort();
      const std::size_t room = host_.runner_.engine().send_room(id_);
      if (room == 0) return;
      const std::uint64_t chunk = std::min(
          {prng_.between(plan_.chunk_min, plan_.chunk_max), plan_.bytes - sent_, static_cast<std::uint64_t>(room)});
      std::vector<std::byte> bytes(chunk);
      plan_.content.fill(sent_, bytes);
      sent_ += chunk;
      host_.runner_.call([&](stack::Engine& engine) { engine.send(id_, bytes, host_.context_.now()); });
      host_.runner_.turn();
      if (plan_.think_max > Duration::zero()) {
        return go_on_soon(prng_.between(plan_.think_min, plan_.think_max) + Duration(1));
      }
    }
    if (!alive_ || fin_sent_) return;
    if (should_abort()) return abort();
    fin_sent_ = true;
    host_.runner_.call([&](stack::Engine& engine) { engine.send_fin(id_, host_.context_.now()); });
    host_.runner_.turn();
  }

  bool should_abort() const { return plan_.ending == Ending::kAbort && sent_ >= plan_.abort_at; }

  void abort() {
    aborted_ = true;
    host_.context_.faults.add(Fault::kAbort);
    host_.context_.note("{} aborts stream {}", host_.place_.name, plan_.number);
    host_.oracle_.peer_gone(tuple_);
    host_.runner_.call([&](stack::Engine& engine) { engine.abort(id_, host_.context_.now()); });
    host_.runner_.turn();
  }

  ClientHost& host_;
  const StreamPlan& plan_;
  Prng prng_;
  StreamId id_;
  wire::FourTuple tuple_;  // as the node sees it
  std::uint64_t sent_ = 0, received_ = 0;
  bool alive_ = false, done_ = false;
  bool fin_sent_ = false, peer_finished_ = false, aborted_ = false;
  bool scheduled_ = false, thinking_ = false;
};

ClientHost::ClientHost(Context& context, Network& network, Oracle& oracle, Place place, const ClientPlan& plan,
                       Prng prng)
    : context_(context),
      network_(network),
      oracle_(oracle),
      place_(std::move(place)),
      plan_(plan),
      prng_(prng),
      port_(network.attach(place_.name, place_.mac, [this](Packet packet) { runner_.frame(std::move(packet)); })),
      runner_(context, Prng(prng.next(), "runner"),
              {.leaves =
                   [this](Packet packet) {
                     context_.note("{} -> {}", place_.name, describe(packet));
                     oracle_.peer_sends(packet);
                     network_.send(port_, std::move(packet));
                   },
               .arrives = [this](const Packet& packet) { context_.note("{} <- {}", place_.name, describe(packet)); },
               .before_call = {},
               .after_call = {}}) {
  network.to_switch(port_) = plan.to_node;
  network.from_switch(port_) = plan.from_node;
  runner_.burst = plan.burst;
  boot();
  for (const StreamPlan& stream : plan.streams) {
    Script& script = *scripts_.emplace_back(std::make_unique<Script>(*this, stream, Prng(prng_.next(), "script")));
    context_.queue.after(stream.start, [this, &script] { begin(script); });
  }
  for (const Duration at : plan.reboots) {
    context_.queue.after(at, [this] { reboot(); });
  }
}

ClientHost::~ClientHost() = default;

void ClientHost::boot() {
  stack::Config config;
  config.ip.mac = place_.mac;
  config.ip.address = place_.address;
  config.ip.mtu = plan_.mtu;
  config.tcp = plan_.tcp;
  config.tcp.mss = static_cast<std::uint16_t>(std::min<unsigned>(config.tcp.mss, plan_.mtu - 40U));
  config.initial_receive_window = plan_.initial_receive_window;
  const tcp::WaysConfig ways{.max = wire::kMaxWays};
  config.services = {{stack::ServiceKind::kStore, wire::Port{kStorePort}, ways},
                     {stack::ServiceKind::kEcho, wire::Port{kEchoPort}, ways}};
  // A host without memory draws its initial sequence numbers from a clock that went on meanwhile.
  config.wall_clock = static_cast<std::uint64_t>(context_.now().time_since_epoch().count());
  std::array<std::byte, 64> random;
  prng_.fill(random);
  runner_.start([&](wire::FrameSink& link) {
    return std::make_unique<stack::Engine>(config, link, nullptr, gate::Recovery{}, random, nullptr, context_.now());
  });
}

void ClientHost::reboot() {
  context_.faults.add(Fault::kHostReboot);
  context_.note("{} reboots", place_.name);
  for (auto& script : scripts_) script->forget();
  runner_.stop();
  boot();
}

void ClientHost::begin(Script& script) { script.begin(); }

bool ClientHost::done() const {
  return std::ranges::all_of(scripts_, [](const auto& script) { return script->done(); });
}

std::string ClientHost::unfinished() const {
  std::string text;
  for (const auto& script : scripts_) {
    if (!script->done()) text += (text.empty() ? "" : "; ") + script->progress();
  }
  return text;
}

}  // namespace holdfast::sim
