// The connections that the log holds, at a start: which of them go on, and which cannot or have ended.
#include <map>

#include "stack/engine_impl.h"

namespace holdfast::stack {

// A connection that ended while the log had no room to say so, and whose peer has opened another since: it is not two
// connections, and the older one has nobody to speak to.
void Engine::Impl::close_overtaken() {
  std::map<wire::FourTuple, StreamId> newest;
  auto& connections = recovered.connections();  // ascending ids: the newest comes last
  for (const auto& [id, connection] : connections) newest[connection.record.snapshot.tuple] = id;
  for (auto it = connections.begin(); it != connections.end();) {
    const auto& [id, connection] = *it;
    if (newest[connection.record.snapshot.tuple] == id) {
      ++it;
      continue;
    }
    const tcp::Snapshot& s = connection.record.snapshot;
    const auto reason = s.rcv_fin && s.snd_fin ? tcp::CloseReason::kNormal : tcp::CloseReason::kOvertaken;
    if (const auto handler = adopted.find(id); handler != adopted.end()) {
      handler->second->finished(reason);
      adopted.erase(handler);
    }
    gate.set_aside(id, std::move(it->second));
    gate.end_aside(id, reason);
    it = connections.erase(it);
  }
}

void Engine::Impl::resume_all(Time now) {
  close_overtaken();
  for (auto& [id, connection] : recovered.connections()) {
    const wire::FourTuple tuple = connection.record.snapshot.tuple;
    if (tuple.local.address != config.ip.address.address) {
      gate.set_aside(id, std::move(connection));
      continue;
    }
    Listening* at = listening_at(tuple.local.port);
    const wire::Ipv4Address peer = tuple.peer.address;
    const tcp::Config tcp = at != nullptr ? tcp_config_for(*at, peer, now) : tcp_config_for(peer, now);
    auto resumed = gate.resume(id, connection, tcp, now);
    if (!resumed) {
      const tcp::Snapshot& s = connection.record.snapshot;
      const auto end = [](StreamOffset offset, bool fin) { return static_cast<std::uint32_t>(offset.value) + 1 + fin; };
      muted[tuple] = {id, s.iss + end(s.snd_end, s.snd_fin), s.irs + end(s.rcv_end, s.rcv_fin), {}};
      gate.set_aside(id, std::move(connection));
      continue;
    }
    gate::Entry& entry = **resumed;
    if (at != nullptr && entry.connection->state() == tcp::State::kSynReceived) {
      entry.half_open = true;
      at->listener.half_opened();
    }
    entry.by_cookie = at != nullptr;  // who knows
    demux.insert(tuple, entry.connection.get());
    ++counters.resumed;
    if (const auto handler = adopted.find(id); handler != adopted.end()) gate.attach(entry, *handler->second);
  }
  recovered.connections().clear();
  adopted.clear();
}

}  // namespace holdfast::stack
