#include "sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/prng.h"

namespace holdfast::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a world may have. A theme sets some; the rest is drawn one by one.
struct Switches {
  bool bad_wire = false, slow_line = false, partition = false;
  bool deaths = false, power = false, recovery_deaths = false;
  bool slow_disks = false, stalls = false, full = false;
  bool bad_disks = false, split = false, quorum_lost = false;
  bool attack = false;
  bool aborts = false, reboots = false, plain = false, dials = false;
};

struct Theme {
  const char* name;
  unsigned weight;
  void (*set)(Switches&);
};

constexpr std::array kThemes = {
    Theme{"calm", 1, [](Switches&) {}},
    Theme{"wire", 3, [](Switches& s) { s.bad_wire = s.plain = true; }},
    Theme{"kills", 5, [](Switches& s) { s.deaths = s.recovery_deaths = true; }},
    Theme{"power", 3, [](Switches& s) { s.deaths = s.power = true; }},
    Theme{"disks", 3, [](Switches& s) { s.deaths = s.bad_disks = s.slow_disks = true; }},
    Theme{"split", 3, [](Switches& s) { s.deaths = s.recovery_deaths = s.bad_disks = s.split = true; }},
    Theme{"attack", 2, [](Switches& s) { s.attack = s.deaths = true; }},
    Theme{"stall", 2, [](Switches& s) { s.stalls = true; }},
    Theme{"full", 2, [](Switches& s) { s.full = true; }},
    Theme{"quorum", 1, [](Switches& s) { s.quorum_lost = true; }},
    Theme{"partition", 2, [](Switches& s) { s.partition = s.deaths = true; }},
    Theme{"closing", 2, [](Switches& s) { s.deaths = s.dials = s.bad_wire = s.aborts = true; }},
};

class Chooser {
 public:
  explicit Chooser(std::uint64_t seed) : prng_(seed, "scenario") { scenario_.seed = seed; }

  Scenario choose() {
    choose_theme();
    span_ = prng_.between(seconds(1), seconds(12));
    scenario_.faults_end = span_ + seconds(1);
    choose_storage();
    choose_node();
    choose_peers();
    choose_deaths();
    choose_spells();
    choose_partitions();
    scenario_.attack.on = on_.attack;
    scenario_.attack.gap = prng_.between_log(milliseconds(1), milliseconds(100));
    choose_handshakes();
    choose_flood();
    return std::move(scenario_);
  }

  // The same hosts and wires, and no disks.
  Scenario choose_for_group() {
    scenario_.theme = "group";
    for (bool* other : {&on_.bad_wire, &on_.slow_line, &on_.partition, &on_.aborts}) *other = prng_.one_in(5);
    on_.plain = prng_.one_in(2);
    span_ = prng_.between(seconds(1), seconds(10));
    scenario_.faults_end = span_ + seconds(1);
    choose_storage();
    scenario_.disks = scenario_.stored_on = 1;
    choose_node();
    choose_peers();
    choose_partitions();
    for (PlainPeerPlan& peer : scenario_.plain_peers) peer.asks_again = prng_.between(seconds(1), seconds(20));
    scenario_.group = choose_group(scenario_.seed, span_);
    for (const GroupEvent& event : scenario_.group.events) {
      scenario_.faults_end = std::max(scenario_.faults_end, event.at + event.lasts + milliseconds(1));
    }
    return std::move(scenario_);
  }

 private:
  void choose_theme() {
    unsigned sum = 0;
    for (const Theme& theme : kThemes) sum += theme.weight;
    auto drawn = static_cast<unsigned>(prng_.below(sum));
    const Theme* theme = kThemes.begin();
    while (drawn >= theme->weight) drawn -= theme++->weight;
    scenario_.theme = theme->name;
    theme->set(on_);
    if (theme == kThemes.begin()) return;
    for (bool* other :
         {&on_.bad_wire, &on_.slow_line, &on_.partition, &on_.deaths, &on_.power, &on_.recovery_deaths, &on_.slow_disks,
          &on_.stalls, &on_.bad_disks, &on_.attack, &on_.aborts, &on_.reboots, &on_.plain, &on_.dials}) {
      *other |= prng_.one_in(6);
    }
  }

  void choose_storage() {
    using Counts = std::pair<unsigned, unsigned>;  // R, W
    constexpr std::array kAny = {Counts{1, 1}, Counts{1, 1}, Counts{2, 2}, Counts{2, 1},
                                 Counts{3, 2}, Counts{3, 2}, Counts{3, 3}, Counts{3, 1}};
    constexpr std::array kRedundant = {Counts{3, 2}, Counts{3, 2}, Counts{3, 2}, Counts{5, 3}};
    std::tie(scenario_.disks, scenario_.stored_on) =
        on_.bad_disks ? kRedundant[prng_.below(kRedundant.size())] : kAny[prng_.below(kAny.size())];
    // So many may be lost and the rest still holds, and can find, all that is durable.
    if (on_.bad_disks) {
      scenario_.bad_disks = std::min(scenario_.disks - scenario_.stored_on, scenario_.stored_on - 1);
    }
    scenario_.first_bad = static_cast<unsigned>(prng_.below(scenario_.disks));
    DiskFaults& disk = scenario_.disk;
    disk.latency = prng_.between_log(microseconds(10), milliseconds(on_.slow_disks ? 30 : 3));
    disk.spread = prng_.between_log(Duration(1), 3 * disk.latency);
    disk.slow = on_.slow_disks ? 20'000 : 0;
    disk.late = static_cast<std::uint32_t>(prng_.below(1'000'000));
    disk.late_by = prng_.between_log(milliseconds(1), seconds(5));
    scenario_.bad_disk = disk;
    if (on_.bad_disks && prng_.one_in(2)) scenario_.bad_disk.write_error = 10'000;
    if (on_.split && prng_.one_in(2)) {
      // Ahead of the others: what it has and they have not is what a later start must not choose.
      scenario_.bad_disk.latency = microseconds(5);
      scenario_.bad_disk.spread = microseconds(5);
    }
    // Small where one disk is to be several batches ahead of the others.
    scenario_.batch_size = static_cast<std::uint32_t>((on_.split ? prng_.between(2, 8) : prng_.between(40, 64)) * 4096);
    scenario_.max_in_flight = static_cast<unsigned>(on_.split ? prng_.between(4, 8) : prng_.between(1, 6));
    scenario_.prepared_segments = static_cast<unsigned>(prng_.between(2, 4));
    scenario_.checkpoint_every = prng_.between_log(64U << 10, 4U << 20);
    if (on_.full) scenario_.disk_capacity = prng_.between(3, 6) << 20;
  }

  void choose_node() {
    scenario_.node_tcp = choose_tcp();
    scenario_.node_tcp.msl = prng_.between(milliseconds(200), seconds(3));
    // A peer that is gone without a word must be noticed some time; and one that is only cut off for a while must not
    // be given up.
    scenario_.node_tcp.keepalive = true;
    scenario_.node_tcp.keepalive_idle = seconds(60);
    scenario_.node_tcp.keepalive_interval = seconds(20);
    scenario_.node_tcp.keepalive_probes = 9;
    scenario_.node_initial_window = static_cast<std::uint32_t>(prng_.between_log(4U << 10, 256U << 10));
    scenario_.node_burst = prng_.one_in(2) ? prng_.between_log(microseconds(1), microseconds(500)) : Duration{};
    scenario_.keeper_queue = prng_.one_in(4) ? 20 : 1000;
  }

  tcp::Config choose_tcp() {
    tcp::Config tcp;
    tcp.max_receive_window = static_cast<std::uint32_t>(prng_.between_log(64U << 10, 2U << 20));
    tcp.send_buffer = static_cast<std::uint32_t>(prng_.between_log(16U << 10, 512U << 10));
    tcp.timestamps = !prng_.one_in(4);
    tcp.window_scale = !prng_.one_in(4);
    tcp.sack = !prng_.one_in(4);
    tcp.nagle = !prng_.one_in(4);
    tcp.congestion = prng_.one_in(4) ? tcp::CongestionControl::kReno : tcp::CongestionControl::kCubic;
    tcp.msl = prng_.between(milliseconds(200), seconds(3));
    return tcp;
  }

  void choose_peers() {
    const std::uint64_t clients = prng_.between(1, 3);
    for (std::uint64_t i = 0; i < clients; ++i) scenario_.clients.push_back(choose_client());
    if (on_.plain) {
      const std::uint64_t peers = prng_.between(1, 2);
      for (std::uint64_t i = 0; i < peers; ++i) scenario_.plain_peers.push_back(choose_plain_peer());
    }
    if (on_.dials) choose_dials();
  }

  LineFaults choose_line() {
    LineFaults line;
    line.delay = prng_.between_log(microseconds(10), milliseconds(20));
    line.jitter = prng_.one_in(2) ? prng_.between_log(Duration(1), line.delay) : Duration{};
    line.pass_whole = prng_.one_in(3) ? 0 : static_cast<std::uint32_t>(prng_.below(1'000'001));
    if (on_.slow_line) {
      line.bytes_per_second = prng_.between_log(50'000, 10'000'000);
      line.max_queue = prng_.between_log(milliseconds(5), milliseconds(500));
      // A few segments: with less, slow start loses one of its first two again and again, a time-out each.
      constexpr std::uint64_t kFew = 4 * 1500;
      const Duration few = Duration(seconds(1)) * kFew / line.bytes_per_second;
      line.max_queue = std::max(line.max_queue, few);
    }
    if (!on_.bad_wire) return line;
    for (std::uint32_t* fault : {&line.loss, &line.duplicate, &line.reorder, &line.corrupt, &line.fragment}) {
      if (prng_.one_in(2)) *fault = static_cast<std::uint32_t>(prng_.between_log(1'000, 80'000));
    }
    return line;
  }

  StreamPlan choose_stream(bool may_be_large) {
    StreamPlan plan;
    plan.number = next_stream_++;
    plan.content.key = prng_.next();
    plan.bytes = prng_.one_in(12) ? prng_.below(3) : prng_.between_log(1, may_be_large ? 300'000 : 60'000);
    if ((on_.full || on_.split) && may_be_large) plan.bytes = prng_.between(600'000, 2'500'000);
    plan.echo = prng_.one_in(2);
    plan.start = prng_.between(Duration{}, span_ * 2 / 3);
    plan.chunk_max = prng_.between_log(1, std::max<std::uint64_t>(1, plan.bytes));
    plan.chunk_min = prng_.one_in(2) ? plan.chunk_max : prng_.between(1, plan.chunk_max);
    // So that it lasts for about as long as the faults do, and never for many thousands of chunks.
    if (plan.bytes / plan.chunk_min > 3000) plan.chunk_max = plan.chunk_min = plan.bytes / 1000;
    if (!prng_.one_in(3)) {
      const std::uint64_t chunks = std::max<std::uint64_t>(1, plan.bytes / plan.chunk_max);
      plan.think_max = std::min<Duration>(2 * span_ / static_cast<std::int64_t>(chunks), seconds(2));
      plan.think_min = plan.think_max / 4;
    }
    if (on_.aborts && plan.bytes > 0 && prng_.one_in(3)) {
      plan.ending = Ending::kAbort;
      plan.abort_at = prng_.between(1, plan.bytes);
    } else if (on_.aborts && prng_.one_in(4)) {
      plan.node_aborts = true;
    }
    return plan;
  }

  ClientPlan choose_client() {
    ClientPlan plan;
    plan.tcp = choose_tcp();
    // A client that hears nothing for long must find out that its server has forgotten it (after an abort).
    plan.tcp.keepalive = true;
    plan.tcp.keepalive_idle = seconds(60);
    plan.tcp.keepalive_interval = seconds(20);
    plan.tcp.keepalive_probes = 9;
    constexpr std::array<std::uint16_t, 6> kMtus = {1500, 1500, 1500, 576, 1280, 1400};
    plan.mtu = kMtus[prng_.below(kMtus.size())];
    plan.initial_receive_window = static_cast<std::uint32_t>(prng_.between_log(2U << 10, 128U << 10));
    plan.burst = prng_.one_in(2) ? prng_.between_log(microseconds(1), microseconds(200)) : Duration{};
    plan.to_node = choose_line();
    plan.from_node = choose_line();
    if (on_.split) {  // something is always under way
      plan.to_node.bytes_per_second = prng_.between_log(100'000, 1'000'000);
      plan.to_node.max_queue = milliseconds(500);
    }
    const std::uint64_t streams = prng_.between(1, 4);
    for (std::uint64_t i = 0; i < streams; ++i) plan.streams.push_back(choose_stream(i == 0));
    if (on_.reboots && !on_.dials && prng_.one_in(2)) plan.reboots.push_back(prng_.between(Duration{}, span_));
    return plan;
  }

  PlainPeerPlan choose_plain_peer() {
    PlainPeerPlan plan;
    plan.mss = static_cast<std::uint16_t>(prng_.between(64, 1460));
    plan.segment = static_cast<std::uint16_t>(prng_.between(64, 1400));
    plan.timestamps = prng_.one_in(3);
    if (prng_.one_in(3)) plan.window_scale = static_cast<std::uint8_t>(prng_.below(5));
    plan.change_boundaries = prng_.one_in(2);
    plan.receive_buffer = static_cast<std::uint32_t>(prng_.between_log(1000, 64'000));
    if (prng_.one_in(2)) plan.read_bytes_per_second = prng_.between_log(2'000, 1'000'000);
    plan.to_node = choose_line();
    plan.from_node = choose_line();
    const std::uint64_t streams = prng_.between(1, 2);
    for (std::uint64_t i = 0; i < streams; ++i) {
      plan.streams.push_back(choose_stream(false));
      StreamPlan& stream = plan.streams.back();
      stream.bytes = std::min<std::uint64_t>(stream.bytes, 30'000);
      if (stream.ending == Ending::kAbort)
        stream.abort_at = std::min(stream.abort_at, std::max<std::uint64_t>(1, stream.bytes));
      // A reader this slow would take for ever.
      if (plan.read_bytes_per_second != 0) stream.bytes = std::min(stream.bytes, plan.read_bytes_per_second * 10);
    }
    return plan;
  }

  void choose_dials() {
    const std::uint64_t dials = prng_.between(1, 2);
    for (std::uint64_t i = 0; i < dials; ++i) {
      DialPlan dial;
      dial.stream = choose_stream(false);
      dial.stream.ending = Ending::kClose;
      dial.stream.node_aborts = false;
      dial.client = static_cast<unsigned>(prng_.below(scenario_.clients.size()));
      scenario_.dials.push_back(dial);
    }
  }

  void choose_deaths() {
    if (!on_.deaths) return;
    const std::uint64_t count = prng_.between(1, 6);
    for (std::uint64_t i = 0; i < count; ++i) {
      DeathPlan death;
      death.at = prng_.between(Duration{}, span_);
      death.kind = on_.power && !prng_.one_in(3) ? Death::kPowerLoss : Death::kKill;
      if (prng_.one_in(12)) death.kind = Death::kCleanStop;
      if (prng_.one_in(2)) death.mid_call = static_cast<unsigned>(prng_.between_log(1, 60) - 1);
      if (on_.recovery_deaths && prng_.one_in(2))
        death.in_recovery = static_cast<unsigned>(prng_.between_log(1, 200) - 1);
      death.away = prng_.between_log(milliseconds(1), seconds(3));
      death.keeps_frames = !prng_.one_in(3);
      if (prng_.one_in(4)) {
        death.clock_jump = prng_.one_in(2) ? static_cast<std::int64_t>(prng_.below(1'000'000'000'000))
                                           : -static_cast<std::int64_t>(prng_.below(100'000'000'000'000));
      }
      death.rot = on_.bad_disks && prng_.one_in(2);
      death.bad_disks_away = on_.bad_disks && (on_.split ? prng_.one_in(2) : prng_.one_in(6));
      death.forge_tail = prng_.one_in(3);
      if (on_.split && prng_.one_in(2)) follow_quickly(death);
      scenario_.deaths.push_back(death);
    }
    std::ranges::sort(scenario_.deaths, {}, &DeathPlan::at);
  }

  // A quick succession of lives: with the bad disks, without them, with them again. These may have the longest log
  // then, and of an epoch that was given up.
  void follow_quickly(DeathPlan& death) {
    if (death.bad_disks_away) death.rot = false;  // or their lead would be lost
    DeathPlan next = death;
    for (unsigned more = 0; more < 2; ++more) {
      next.at = prng_.between_log(microseconds(100), milliseconds(100));
      next.away = prng_.between_log(milliseconds(1), milliseconds(20));
      next.bad_disks_away = !next.bad_disks_away;
      next.in_recovery.reset();
      death.then.push_back(next);
    }
    if (!death.bad_disks_away) return;
    death.kind = Death::kKill;
    death.mid_call.reset();
    death.in_recovery.reset();
    run_ahead(death);
  }

  // The bad disks have what the node wrote last, and no other has: these stand still for a moment before it dies.
  void run_ahead(DeathPlan& death) {
    death.bad_disks_ahead = true;
    death.patience = seconds(3);
    for (unsigned disk = 0; disk < scenario_.disks; ++disk) {
      if (scenario_.is_bad(disk)) continue;
      DiskSpell spell;
      spell.kind = DiskSpell::Kind::kStall;
      spell.from = death.at;
      spell.until = death.at + death.patience;
      spell.disk = disk;
      scenario_.disk_spells.push_back(spell);
    }
  }

  void add_spell(DiskSpell::Kind kind, Duration longest, std::optional<unsigned> disk) {
    DiskSpell spell;
    spell.kind = kind;
    spell.from = prng_.between(Duration{}, span_);
    spell.until = spell.from + prng_.between_log(milliseconds(50), longest);
    spell.disk = disk;
    scenario_.disk_spells.push_back(spell);
    scenario_.faults_end = std::max(scenario_.faults_end, spell.until + seconds(1));
  }

  void choose_spells() {
    if (on_.stalls) {
      const std::uint64_t count = prng_.between(1, 3);
      for (std::uint64_t i = 0; i < count; ++i) {
        std::optional<unsigned> disk;
        if (prng_.one_in(3)) disk = static_cast<unsigned>(prng_.below(scenario_.disks));
        add_spell(DiskSpell::Kind::kStall, seconds(10), disk);
      }
    }
    if (on_.full) add_spell(DiskSpell::Kind::kFull, seconds(10), std::nullopt);
    if (on_.quorum_lost) {
      add_spell(DiskSpell::Kind::kFail, seconds(10), std::nullopt);
      restart_after(scenario_.disk_spells.back().until);
    }
    if (on_.bad_disks && prng_.one_in(2)) {
      add_spell(DiskSpell::Kind::kFail, seconds(5), scenario_.first_bad);
    }
  }

  // Draws by itself, so that the rest of a seed's world is the same with it and without. On a bad line a long handshake
  // would rightly give up now and then.
  void choose_handshakes() {
    Prng prng(scenario_.seed, "handshakes");
    if (!prng.one_in(3)) return;
    const auto most = static_cast<std::uint8_t>(on_.bad_wire || on_.partition || on_.slow_line ? 12 : wire::kMaxWays);
    const auto draw = [&] {
      tcp::WaysConfig ways;
      ways.max = static_cast<std::uint8_t>(prng.between_log(4, most));
      ways.roll_call_timeout = prng.between_log(milliseconds(1), seconds(2));
      return ways;
    };
    scenario_.node_ways = draw();
    if (prng.one_in(2)) scenario_.node_ways.max = wire::kMaxWays;
    for (ClientPlan& client : scenario_.clients) {
      for (StreamPlan& stream : client.streams) {
        if (!prng.one_in(4)) stream.ways = draw();
      }
    }
    for (DialPlan& dial : scenario_.dials) {
      if (!prng.one_in(4)) dial.stream.ways = draw();
    }
  }

  // A node that has lost its quorum does nothing more: its operator starts it anew.
  void restart_after(Duration when) {
    DeathPlan death;
    death.at = when + milliseconds(100);
    death.away = milliseconds(100);
    scenario_.deaths.push_back(death);
    scenario_.faults_end = std::max(scenario_.faults_end, death.at + seconds(2));
  }

  void choose_partitions() {
    if (!on_.partition) return;
    const std::uint64_t count = prng_.between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) {
      Partition partition;
      partition.from = prng_.between(Duration{}, span_);
      partition.until = partition.from + prng_.between_log(milliseconds(50), seconds(20));
      partition.host = static_cast<unsigned>(prng_.below(scenario_.clients.size() + scenario_.plain_peers.size()));
      partition.to_node = !prng_.one_in(3);
      partition.from_node = !partition.to_node || !prng_.one_in(3);
      scenario_.partitions.push_back(partition);
      scenario_.faults_end = std::max(scenario_.faults_end, partition.until + seconds(1));
    }
  }

  // By a generator of its own, so that a world without a flood is what it would be if there were none.
  void choose_flood() {
    Prng prng(scenario_.seed, "flood");
    if (!prng.one_in(5)) return;
    scenario_.node_max_half_open = static_cast<std::uint32_t>(prng.between_log(1, 12));
    FloodPlan& flood = scenario_.attack.flood;
    flood.syns = static_cast<unsigned>(prng.between(scenario_.node_max_half_open, 120));
    flood.burst = static_cast<unsigned>(prng.between(1, 40));
    flood.gap = prng.between_log(milliseconds(1), span_ / 4);
  }

  Prng prng_;
  Scenario scenario_;
  Switches on_;
  Duration span_{};
  unsigned next_stream_ = 1;
};

}  // namespace

// By a draw of its own, so that all else of a seed's world stays as it was: many have little room, and give up the
// oldest of what they hold.
Scenario choose_scenario(std::uint64_t seed) {
  Scenario scenario = Chooser(seed).choose();
  Prng prng(seed, "retention");
  if (prng.one_in(3)) scenario.retain_bytes = prng.between(3, 6) << 20;
  return scenario;
}

Scenario choose_group_scenario(std::uint64_t seed) {
  Scenario scenario = Chooser(seed).choose_for_group();
  Prng prng(seed, "retention");
  if (prng.one_in(3)) scenario.retain_bytes = prng.between(3, 6) << 20;
  return scenario;
}

std::string describe(const Scenario& scenario) {
  std::size_t streams = 0;
  for (const ClientPlan& client : scenario.clients) streams += client.streams.size();
  for (const PlainPeerPlan& peer : scenario.plain_peers) streams += peer.streams.size();
  if (!scenario.group.nodes.empty()) {
    return fmt::format(
        "seed {} \"{}\": {} nodes, lease {} ms, {} clients, {} plain peers, {} streams, {} events, {} partitions",
        scenario.seed, scenario.theme, scenario.group.nodes.size(), scenario.group.lease / milliseconds(1),
        scenario.clients.size(), scenario.plain_peers.size(), streams, scenario.group.events.size(),
        scenario.partitions.size());
  }
  return fmt::format(
      "seed {} \"{}\": {} of {} disks, {} clients, {} plain peers, {} streams, {} dialled, {} deaths, "
      "{} disk spells, {} partitions{}{}{}{}",
      scenario.seed, scenario.theme, scenario.stored_on, scenario.disks, scenario.clients.size(),
      scenario.plain_peers.size(), streams, scenario.dials.size(), scenario.deaths.size(), scenario.disk_spells.size(),
      scenario.partitions.size(), scenario.attack.on ? ", attacker" : "",
      scenario.attack.flood.syns > 0
          ? fmt::format(", {} SYNs against {} places", scenario.attack.flood.syns, scenario.node_max_half_open)
          : "",
      scenario.node_ways.max > 3 ? fmt::format(", {} ways", scenario.node_ways.max) : "",
      scenario.retain_bytes > 0 ? fmt::format(", keeps {} MiB", scenario.retain_bytes >> 20) : "");
}

log::Options log_options(const Scenario& scenario) {
  log::Options options;
  options.segment_size = 1U << 20;
  options.batch_size = scenario.batch_size;
  options.max_in_flight = scenario.max_in_flight;
  options.prepared_segments = scenario.prepared_segments;
  options.checkpoint_every = scenario.checkpoint_every;
  options.retention.bytes = scenario.retain_bytes;
  return options;
}

}  // namespace holdfast::sim
