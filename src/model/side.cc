#include "model/side.h"

#include "model/hash.h"

namespace holdfast::model {
namespace {

constexpr std::uint32_t kResponder = 0x20000000, kBetween = 0x100000;  // further apart than any window

void add(Hash& hash, const tcp::Ways& ways) {
  const tcp::WaysRecord record = ways.record();
  const tcp::WaysReport report = ways.report();
  hash.add(static_cast<unsigned>(ways.phase()))
      .add(ways.ways() << 24 | ways.sent() << 16 | ways.received() << 8 | ways.due())
      .add(record.peer_nonce)
      .add(ways.tries() << 8 | report.copies << 16 | report.peer_copies << 24)
      .add(ways.option(0).is_short);
}

void add(Hash& hash, const Record& r) {
  hash.add(r.live)
      .add(static_cast<unsigned>(r.state))
      .add(r.ways.ways << 8 | r.ways.received)
      .add(r.ways.peer_nonce)
      .add(r.iss)
      .add(r.irs)
      .add(r.number);
}

}  // namespace

Side Side::without_connection() const {
  Side rest;
  rest.initiator = initiator;
  rest.life = life;
  rest.incarnations = incarnations;
  rest.agreed = agreed;
  rest.used = used;
  rest.by_policy = by_policy;
  return rest;
}

std::size_t hash_of(const Side& s) {
  Hash hash;
  hash.add(s.initiator);
  hash.add(static_cast<unsigned>(s.state) << 8 | static_cast<unsigned>(s.reason))
      .add(s.iss)
      .add(s.irs)
      .add(s.record_stored | s.synced << 1 | s.ack_owed << 2 | s.data_held << 3 | s.resumed << 4 | s.by_policy << 5)
      .add(s.syn_tries << 16 | s.copies << 8 | s.settled)
      .add(s.life << 8 | s.incarnations)
      .add(s.writing);
  if (s.ways) add(hash, *s.ways);
  add(hash, s.disk);
  for (std::uint8_t i = 0; i < s.writing; ++i) add(hash, s.writes[i].record);
  for (const std::uint32_t isn : s.agreed) hash.add(isn);
  for (const std::uint32_t isn : s.used) hash.add(isn);
  hash.add(s.number);
  return hash.value();
}

std::uint32_t isn_of(bool initiator, std::uint8_t incarnation) {
  return (initiator ? 0 : kResponder) + (incarnation + 2U) * kBetween;
}

std::uint32_t old_isn_of(bool initiator) { return (initiator ? 0 : kResponder) + kBetween; }

std::uint32_t cookie_isn_of(std::uint32_t peer_isn, std::uint8_t life) { return kResponder + peer_isn + life; }

std::uint8_t offer_of(std::uint32_t isn) { return static_cast<std::uint8_t>(isn / kBetween); }

tcp::NonceSource nonce_source(bool initiator, std::uint8_t life, std::uint32_t initiator_isn,
                              std::uint32_t responder_isn, std::uint8_t number) {
  const wire::Endpoint a{wire::Ipv4Address{0x0a000001}, wire::Port{40000}};
  const wire::Endpoint b{wire::Ipv4Address{0x0a000002}, wire::Port{7000}};
  tcp::NonceSource source;
  source.secret.key[0] = std::byte{initiator ? std::uint8_t{1} : std::uint8_t{2}};
  source.secret.key[1] = std::byte{life};
  source.tuple = initiator ? wire::FourTuple{a, b} : wire::FourTuple{b, a};
  source.initiator_isn = wire::SeqNum{initiator_isn};
  source.responder_isn = wire::SeqNum{responder_isn};
  source.connection = number;
  return source;
}

}  // namespace holdfast::model
