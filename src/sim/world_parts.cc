#include "sim/world_parts.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace holdfast::sim {

namespace {

constexpr unsigned kFirstPeer = 10;

}  // namespace

wire::MacAddress mac_of(unsigned host) { return {{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(host)}}; }
wire::Ipv4Address address_of(unsigned host) { return {0x0a4d0000U + host}; }

Peers::Peers(Context& context, Network& network, Oracle& oracle, const Scenario& scenario, wire::Ipv4Address service)
    : context_(context), network_(network) {
  unsigned host = kFirstPeer;
  for (const ClientPlan& plan : scenario.clients) {
    ClientHost::Place place{fmt::format("client{}", host), mac_of(host), {address_of(host), 24}, service};
    clients_.push_back(std::make_unique<ClientHost>(context, network, oracle, std::move(place), plan,
                                                    Prng(scenario.seed ^ host, "client")));
    ports_.push_back(clients_.back()->port());
    ++host;
  }
  for (const PlainPeerPlan& plan : scenario.plain_peers) {
    PlainPeer::Place place{fmt::format("plain{}", host), mac_of(host), address_of(host), service};
    plain_peers_.push_back(std::make_unique<PlainPeer>(context, network, oracle, std::move(place), plan,
                                                       Prng(scenario.seed ^ host, "plain")));
    ports_.push_back(plain_peers_.back()->port());
    ++host;
  }
}

bool Peers::done() const {
  const auto is_done = [](const auto& host) { return host->done(); };
  return std::ranges::all_of(clients_, is_done) && std::ranges::all_of(plain_peers_, is_done);
}

std::string Peers::unfinished() const {
  std::string text;
  for (const auto& client : clients_) text += client->unfinished() + " ";
  for (const auto& peer : plain_peers_) text += peer->unfinished() + " ";
  return text;
}

std::vector<wire::Ipv4Address> Peers::clients() const {
  std::vector<wire::Ipv4Address> addresses;
  for (const auto& client : clients_) addresses.push_back(client->address());
  return addresses;
}

void Peers::cut(const Partition& partition, bool cut) {
  const unsigned port = ports_[partition.host];
  context_.note("partition of host {} {}", partition.host, cut ? "begins" : "ends");
  if (partition.to_node) network_.to_switch(port).cut_off = cut;
  if (partition.from_node) network_.from_switch(port).cut_off = cut;
}

std::string unfinished(const stack::ConnectionInfo& info) {
  return fmt::format("stream {} {} {} received {} released {} queued {} acknowledged {}", info.id.value,
                     info.tuple.to_string(), tcp::to_string(info.state), info.in_received, info.in_released,
                     info.out_queued, info.out_acknowledged);
}

void run_to_the_end(Context& context, const Scenario& scenario, std::uint64_t most_events, const bool& complete,
                    const std::function<std::string()>& unfinished) {
  const Time end = Time{} + scenario.faults_end + scenario.grace;
  while (!context.verdict.failed() && !complete) {
    if (context.queue.events() > most_events) {
      context.fail("no end after {} events: {}", context.queue.events(), unfinished());
    } else if (context.now() > end) {
      context.fail("not complete at the end of time: {}", unfinished());
    } else if (!context.queue.run_next()) {
      context.fail("nothing happens any more: {}", unfinished());
    }
  }
}

WorldResult result_of(const Context& context, const Scenario& scenario, Oracle& oracle) {
  WorldResult result;
  result.seed = scenario.seed;
  result.ok = !context.verdict.failed();
  if (!result.ok) result.failure = context.verdict.why();
  result.scenario = describe(scenario);
  result.trace_hash = context.trace.hash();
  result.events = context.queue.events();
  result.simulated_seconds = std::chrono::duration<double>(context.now().time_since_epoch()).count();
  result.faults = context.faults;
  result.streams = oracle.model().streams().size();
  for (const auto& [id, stream] : oracle.model().streams()) result.bytes_stored += stream.in_end;
  result.lives = oracle.model().epochs();
  return result;
}

}  // namespace holdfast::sim
