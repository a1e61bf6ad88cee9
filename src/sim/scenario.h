// One world, as the seed chooses it: which hosts, which traffic, which faults, and when. Plain data: the rest of the
// simulator does what it says.
//
// Worlds are chosen in two steps. A theme gives the world something to be about; then each other fault is switched on
// or off by itself ("swarm testing"), so that no fault is always masked by another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "log/log.h"
#include "sim/disk.h"
#include "sim/group_plan.h"
#include "sim/network.h"
#include "sim/stream_content.h"
#include "tcp/config.h"

namespace holdfast::sim {

inline constexpr std::uint16_t kStorePort = 7001;
inline constexpr std::uint16_t kEchoPort = 7002;

// How a script ends its connection.
enum class Ending : std::uint8_t {
  kClose,  // everything sent, then FIN; the node's FIN must follow
  kAbort,  // RST once `abort_at` bytes are sent
};

// One connection and what goes through it.
struct StreamPlan {
  unsigned number = 0;
  StreamContent content;  // of the bytes that the client sends
  std::uint64_t bytes = 0;
  bool echo = false;
  Duration start{};  // after the world's start
  std::uint64_t chunk_min = 1, chunk_max = 1;
  Duration think_min{}, think_max{};  // between chunks
  Ending ending = Ending::kClose;
  std::uint64_t abort_at = 0;
  tcp::WaysConfig ways;      // what its opener proposes
  bool node_aborts = false;  // the node resets it, at some moment, by its operator's wish
};

// A host that runs our own stack without storage.
struct ClientPlan {
  tcp::Config tcp;
  std::uint16_t mtu = 1500;
  std::uint32_t initial_receive_window = 64U << 10;
  Duration burst{};
  LineFaults to_node, from_node;
  std::vector<StreamPlan> streams;
  std::vector<Duration> reboots;  // the host forgets everything
};

// A host with a small TCP of its own (plain_peer.h).
struct PlainPeerPlan {
  std::uint16_t mss = 1460;      // of its SYN
  std::uint16_t segment = 1460;  // bytes it puts into a segment
  bool timestamps = false;
  std::optional<std::uint8_t> window_scale;
  bool change_boundaries = false;  // retransmits with other segment sizes: overlaps
  std::uint32_t receive_buffer = 32U << 10;
  std::uint64_t read_bytes_per_second = 0;  // 0: at once. Slow readers close their window
  LineFaults to_node, from_node;
  Duration asks_again{};  // how often it makes sure of the node's link address; 0: never
  std::vector<StreamPlan> streams;
};

// Connections that the node opens itself, to a client host.
struct DialPlan {
  StreamPlan stream;
  unsigned client = 0;
};

enum class Death : std::uint8_t { kKill, kPowerLoss, kCleanStop };

struct DeathPlan {
  Duration at{};
  Death kind = Death::kKill;
  std::optional<unsigned> mid_call;     // dies after so many frames and writes of a call
  std::optional<unsigned> in_recovery;  // the next start dies after so many steps
  Duration away{};                      // until the restart
  bool keeps_frames = true;             // the keeper queues what comes meanwhile
  std::int64_t clock_jump = 0;          // nanoseconds, of the wall clock
  bool rot = false;                     // on a bad disk, while the node is away
  bool bad_disks_away = false;          // at the next start
  bool bad_disks_ahead = false;         // what was under way reaches them, and no other
  Duration patience{};                  // and for so long it waits, at most, for something to be under way
  bool forge_tail = false;              // behind each disk's last batch, a batch of a client's making
  std::vector<DeathPlan> then;          // one after the other, each `at` after the node has begun to speak again
};

struct DiskSpell {
  enum class Kind : std::uint8_t { kStall, kFull, kFail };
  Kind kind = Kind::kStall;
  Duration from{}, until{};
  std::optional<unsigned> disk;  // nothing: all of them
};

struct Partition {
  Duration from{}, until{};
  unsigned host = 0;  // counted over clients, then plain peers
  bool to_node = true, from_node = true;
};

// SYNs from addresses and ports that the attacker makes up.
struct FloodPlan {
  unsigned syns = 0;                             // in all
  unsigned burst = 1;                            // at a time
  Duration gap = std::chrono::milliseconds(20);  // about, between two bursts
};

struct AttackPlan {
  bool on = false;
  Duration gap = std::chrono::milliseconds(20);  // about, between two forged frames
  bool probes = true;                            // segments to no connection, from the attacker's own address
  FloodPlan flood;
};

struct Scenario {
  std::uint64_t seed = 0;
  std::string theme;

  unsigned disks = 1, stored_on = 1;
  unsigned bad_disks = 0;  // so many from `first_bad` on (round the end): they may fail, rot, be away
  unsigned first_bad = 0;
  bool is_bad(unsigned number) const { return (number + disks - first_bad) % disks < bad_disks; }
  DiskFaults disk;
  DiskFaults bad_disk;
  std::uint64_t disk_capacity = 0;  // bytes; 0: as much as is wanted
  std::uint32_t batch_size = 128U << 10;
  unsigned max_in_flight = 4;
  unsigned prepared_segments = 2;
  std::uint64_t checkpoint_every = 1U << 20;
  std::uint64_t retain_bytes = 0;  // 0: all

  tcp::Config node_tcp;
  tcp::WaysConfig node_ways;  // of its services
  std::uint16_t node_mtu = 1500;
  std::uint32_t node_initial_window = 64U << 10;
  std::uint32_t node_max_half_open = 1024;
  Duration node_burst{};
  std::uint32_t keeper_queue = 1000;  // frames

  std::vector<ClientPlan> clients;
  std::vector<PlainPeerPlan> plain_peers;
  std::vector<DialPlan> dials;
  std::vector<DeathPlan> deaths;
  std::vector<DiskSpell> disk_spells;
  std::vector<Partition> partitions;
  AttackPlan attack;

  GroupPlan group;  // of a world in which a service group has the address

  // No fault begins after this; everything must be complete `grace` later.
  Duration faults_end{};
  Duration grace = std::chrono::minutes(20);
};

Scenario choose_scenario(std::uint64_t seed);
// Of a service group on a pool (group_world.h).
Scenario choose_group_scenario(std::uint64_t seed);
// For the node's log, wherever it lies; on how many of its locations it is stored is left open.
log::Options log_options(const Scenario& scenario);

// One line for people.
std::string describe(const Scenario& scenario);

}  // namespace holdfast::sim
