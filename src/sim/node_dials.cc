#include "sim/node_dials.h"

#include <algorithm>

namespace holdfast::sim {

// A poll every few milliseconds, by what the engine says of the connection: it needs little memory of its own, so that
// it is the same before and after a crash. After one it adopts its connection, before that speaks or later.
class NodeDials::Dial final : public stack::ClientHandler {
 public:
  Dial(Context& context, Oracle& oracle, NodeHost& node, const DialPlan& plan, wire::Ipv4Address target, Prng prng)
      : context_(context), oracle_(oracle), node_(node), plan_(plan), target_(target), prng_(prng) {
    context.queue.after(plan.stream.start, [this] { go_on(); });
  }

  bool done() const { return done_; }
  std::string progress() const {
    return fmt::format("dialled stream {} ({}): {} bytes of {} queued", plan_.stream.number, tuple_.to_string(),
                       queued_, plan_.stream.bytes);
  }

  void received(Bytes bytes) override {
    const std::size_t right = plan_.stream.echo ? plan_.stream.content.matching(received_, bytes) : 0;
    if (right != bytes.size())
      context_.fail("dialled connection {}: byte {} is wrong", tuple_.to_string(), received_ + right);
    received_ += bytes.size();
  }
  void peer_finished() override {
    if (plan_.stream.echo && received_ != plan_.stream.bytes) {
      context_.fail("dialled connection {}: the echo ended after {} bytes", tuple_.to_string(), received_);
    }
  }
  void finished(tcp::CloseReason reason) override {
    if (reason == tcp::CloseReason::kNormal) return;
    context_.fail("dialled connection {} ended by reason {}", tuple_.to_string(), static_cast<int>(reason));
  }

 private:
  void go_on() {
    if (done_) return;
    if (node_.running()) {
      const bool recovering = node_.runner().engine().recovering();
      if (!recovering || prng_.one_in(2)) adopt();
      if (node_.running() && !recovering) work();
    }
    context_.queue.after(prng_.between(std::chrono::milliseconds(1), std::chrono::milliseconds(20)),
                         [this] { go_on(); });
  }

  // Refused where it has this handler, or is not the same connection.
  void adopt() {
    if (id_ == StreamId{}) return;
    const auto stored = oracle_.model().streams().find(id_);
    if (stored == oracle_.model().streams().end() || stored->second.tuple != tuple_) return;
    const auto from = node_.runner().call([&](stack::Engine& engine) { return engine.adopt(id_, *this); });
    if (from) received_ = from->value;
  }

  void work() {
    if (id_ == StreamId{}) return open();
    // An id that was never stored names another stream after a crash.
    for (const stack::ConnectionInfo& info : node_.runner().engine().list()) {
      if (info.id == id_ && info.tuple == tuple_) return send(info);
    }
    // Gone: finished, or never stored before a crash; then it is dialled again.
    const auto stored = oracle_.model().streams().find(id_);
    if (stored != oracle_.model().streams().end() && stored->second.tuple == tuple_) {
      done_ = true;
      check_end();
    } else {
      id_ = StreamId{};
    }
  }

  void open() {
    const wire::Endpoint to{target_, wire::Port{plan_.stream.echo ? kEchoPort : kStorePort}};
    const auto id = node_.runner().call([&](stack::Engine& engine) -> Result<StreamId> {
      auto connected = engine.connect(to, *this, context_.now(), {.local_port = {}, .ways = plan_.stream.ways});
      if (!connected) return connected;
      for (const stack::ConnectionInfo& info : engine.list()) {
        if (info.id == *connected) tuple_ = info.tuple;
      }
      oracle_.expect(tuple_, plan_.stream);
      return connected;
    });
    if (id) id_ = *id;
    received_ = 0;
    if (node_.running()) node_.runner().turn();
  }

  void send(const stack::ConnectionInfo& info) {
    queued_ = info.out_queued;
    const bool may_send = info.state == tcp::State::kEstablished || info.state == tcp::State::kCloseWait;
    if (!may_send) return;
    node_.runner().call([&](stack::Engine& engine) {
      if (queued_ >= plan_.stream.bytes) {
        engine.send_fin(id_, context_.now());
        return;
      }
      const std::uint64_t room = engine.send_room(id_);
      const std::uint64_t chunk =
          std::min({prng_.between(plan_.stream.chunk_min, plan_.stream.chunk_max), plan_.stream.bytes - queued_, room});
      if (chunk == 0) return;
      std::vector<std::byte> bytes(chunk);
      plan_.stream.content.fill(queued_, bytes);
      engine.send(id_, bytes, context_.now());
    });
    if (node_.running()) node_.runner().turn();
  }

  void check_end() {
    const DurableStream& stream = oracle_.model().streams().at(id_);
    const std::uint64_t in = plan_.stream.echo ? plan_.stream.bytes : 0;
    if (stream.out_end != plan_.stream.bytes || !stream.out_fin || stream.in_end != in || !stream.in_fin) {
      context_.fail("dialled connection {} ended with {} bytes out, {} in", tuple_.to_string(), stream.out_end,
                    stream.in_end);
    }
  }

  Context& context_;
  Oracle& oracle_;
  NodeHost& node_;
  const DialPlan& plan_;
  wire::Ipv4Address target_;
  Prng prng_;
  StreamId id_;
  wire::FourTuple tuple_;
  std::uint64_t queued_ = 0;
  std::uint64_t received_ = 0;
  bool done_ = false;
};

NodeDials::NodeDials(Context& context, Oracle& oracle, NodeHost& node, const std::vector<DialPlan>& plans,
                     std::vector<wire::Ipv4Address> targets, Prng prng) {
  for (const DialPlan& plan : plans) {
    dials_.push_back(
        std::make_unique<Dial>(context, oracle, node, plan, targets[plan.client], Prng(prng.next(), "dial")));
  }
}

NodeDials::~NodeDials() = default;

bool NodeDials::done() const {
  return std::ranges::all_of(dials_, [](const auto& dial) { return dial->done(); });
}

std::string NodeDials::unfinished() const {
  std::string text;
  for (const auto& dial : dials_) {
    if (!dial->done()) text += dial->progress() + " ";
  }
  return text;
}

}  // namespace holdfast::sim
