// The oracle and SYN cookies: SYN-ACKs for which nothing is stored. When one may leave, what it may say, and which of
// several initial sequence numbers counts: the one that the peer has acknowledged.
#include <algorithm>

#include "sim/oracle.h"

namespace holdfast::sim {

// Of this service's connections, at the node, at this moment. More than that cannot be: whose SYN reached it, and no
// ACK of its SYN-ACK since it was started last; or an N-way handshake is under way, which keeps its place to the end.
std::size_t Oracle::half_open_at_most(wire::Port service) const {
  return static_cast<std::size_t>(std::ranges::count_if(flows_, [&](const Flow& flow) {
    if (flow.dialled || flow.tuple.local.port != service || !flow.syn_delivered) return false;
    const DurableStream* stream = flow.iss ? model_.find(flow.tuple, *flow.iss) : nullptr;
    if (stream != nullptr && stream->closed) return false;
    const bool confirming = flow.ways > wire::kMinWays && (stream == nullptr || !stream->established);
    return !flow.answered_in_this_life || confirming;
  }));
}

void Oracle::check_cookie(Flow& flow, const TcpView& view) {
  const wire::TcpOptions& options = view.tcp.options;
  if (view.tcp.window != 0) {
    return context_.fail("{}: SYN-ACK leaves before the connection's record is stored", flow.tuple.to_string());
  }
  const std::size_t half_open = half_open_at_most(flow.tuple.local.port);
  if (half_open < max_half_open_) {
    return context_.fail("{}: a SYN cookie leaves with {} connections half-open at most, of {}", flow.tuple.to_string(),
                         half_open, max_half_open_);
  }
  if (!options.timestamps && (options.window_scale || options.sack_permitted)) {
    return context_.fail("{}: a SYN cookie promises what it cannot keep", flow.tuple.to_string());
  }
  if (options.ways && (options.ways->step != 2 || options.ways->copies > 0)) {
    return context_.fail("{}: a SYN cookie certifies {} copies with step {}, and nothing is stored",
                         flow.tuple.to_string(), options.ways->copies, options.ways->step);
  }
  if (!check_offered(flow, options)) return;
  context_.faults.add(Fault::kSynCookie);
  const auto known = std::ranges::find(flow.cookies, view.tcp.seq, &Flow::Cookie::iss);
  const Flow::Cookie cookie{view.tcp.seq, options.timestamps ? std::optional(options.timestamps->value) : std::nullopt,
                            options.sack_permitted, options.window_scale};
  if (known != flow.cookies.end()) {
    *known = cookie;
  } else {
    flow.cookies.push_back(cookie);
  }
  if (!flow.chosen && !flow.synack_left) take_cookie(flow, cookie);
}

// The flow goes on as the cookie says.
void Oracle::take_cookie(Flow& flow, const Flow::Cookie& cookie) {
  flow.by_cookie = true;
  flow.iss = cookie.iss;
  flow.timestamps = cookie.timestamp.has_value();
  flow.last_ts = cookie.timestamp;
  flow.sack = cookie.sack;
  flow.scale = cookie.scale.value_or(0);
  flow.peer_scale = cookie.scale ? flow.syn_scale : std::nullopt;
  flow.right_edge = 0;
}

// The peer's first segment behind its SYN, as it is sent.
void Oracle::note_choice(Flow& flow, const TcpView& view) {
  if (flow.dialled || flow.chosen || !view.tcp.flags.ack) return;
  const auto chosen = std::ranges::find(flow.cookies, view.tcp.ack - 1, &Flow::Cookie::iss);
  flow.chosen = chosen != flow.cookies.end() || (flow.iss && *flow.iss + 1 == view.tcp.ack);
  if (chosen == flow.cookies.end()) return;
  context_.faults.add(Fault::kSynCookieTaken);
  take_cookie(flow, *chosen);
}

}  // namespace holdfast::sim
