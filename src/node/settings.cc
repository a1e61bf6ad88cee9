#include "node/settings.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <utility>

#include "location/rados/address.h"

namespace holdfast::node {
namespace {

using Applied = Parsed<void>;

// Puts a parsed value where it belongs, or hands on why it could not be parsed.
template <class T, class Target>
Applied assign(Parsed<T> parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed).error());
  target = static_cast<Target>(*std::move(parsed));
  return {};
}

Applied apply_path(std::string& target, const std::string& value) {
  if (value.empty()) return std::unexpected("must name a file");
  target = value;
  return {};
}

Applied apply_address(ServeOptions& options, const std::string& value) {
  auto parsed = wire::Ipv4Prefix::parse(value);
  if (!parsed || value.find('/') == std::string::npos) {
    return std::unexpected("must be an IPv4 address with its prefix length, such as 10.77.0.2/24");
  }
  if (!parsed->address.is_unicast_host()) return std::unexpected("is no address that a host can have");
  options.address = *parsed;
  return {};
}

Applied apply_host_address(ServeOptions& options, const std::string& value) {
  ServeOptions parsed;
  auto applied = apply_address(parsed, value);
  if (applied) options.host_address = parsed.address;
  return applied;
}

Applied apply_gateway(ServeOptions& options, const std::string& value) {
  auto parsed = wire::Ipv4Address::parse(value);
  if (!parsed || !parsed->is_unicast_host()) return std::unexpected("must be a host's IPv4 address, such as 10.77.0.1");
  options.gateway = *parsed;
  return {};
}

Applied apply_data(ServeOptions& options, const std::string& value) {
  if (value.empty()) return std::unexpected("must name a directory, or a pool as in rados:POOL/NAMESPACE");
  if (location::rados::is_address(value)) {
    const auto address = location::rados::parse_address(value);
    if (!address) return std::unexpected(address.error());
  }
  options.data.push_back(value);
  return {};
}

Applied apply_node_address(ServeOptions& options, const std::string& value) {
  const auto parsed = wire::Ipv4Prefix::parse(value);
  if (!parsed || !parsed->address.is_unicast_host()) {
    return std::unexpected("must be a host's address and the link's length, such as 10.77.0.101/24");
  }
  options.node_address = *parsed;
  return {};
}

Applied apply_service(ServeOptions& options, const std::string& value) {
  auto parsed = parse_service(value);
  if (!parsed) return std::unexpected(parsed.error());
  options.services.push_back(*parsed);
  return {};
}

Applied apply_congestion(ServeOptions& options, const std::string& value) {
  if (value != "reno" && value != "cubic") return std::unexpected("must be cubic or reno");
  options.tcp.congestion = value == "reno" ? tcp::CongestionControl::kReno : tcp::CongestionControl::kCubic;
  return {};
}

Applied apply_log_level(ServeOptions& options, const std::string& value) {
  static const std::set<std::string> kLevels{"trace", "debug", "info", "warn", "error", "off"};
  if (!kLevels.contains(value)) return std::unexpected("must be one of trace, debug, info, warn, error, off");
  options.log_level = value;
  return {};
}

Applied apply_segment_size(ServeOptions& options, const std::string& value) {
  constexpr std::uint64_t kMiB = 1ULL << 20;
  auto parsed = parse_size(value, kMiB, 1024 * kMiB);
  if (!parsed) return std::unexpected(parsed.error());
  if (*parsed % kMiB != 0) return std::unexpected("must be whole MiB");
  options.log.segment_size = *parsed;
  return {};
}

constexpr std::size_t kMostBucketGroup = 59;  // "NAME.b007" is a log's name
constexpr const char* kNetwork = "Network";
constexpr const char* kStorage = "Storage";
constexpr const char* kTransport = "TCP";
constexpr const char* kOperation = "Operation";

const Setting kSettings[] = {
    {.name = "link",
     .value = "tap:NAME[,mac=MAC][,mtu=N]",
     .group = kNetwork,
     .help = "Device that frames come from: a TAP device, attached to where it exists, else created. It stays when "
             "the node ends; `ip link del NAME` removes it",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_link(v), o.link); }},
    {.name = "address",
     .value = "A.B.C.D/LEN",
     .group = kNetwork,
     .help = "The node's IPv4 address. It must not be an address of the host",
     .apply = apply_address},
    {.name = "gateway",
     .value = "A.B.C.D",
     .group = kNetwork,
     .help = "Next hop to what is not on the link",
     .apply = apply_gateway},
    {.name = "host-address",
     .value = "A.B.C.D/LEN",
     .group = kNetwork,
     .help = "Address to give to the kernel's end of the TAP device, so that programs on this host reach the node",
     .apply = apply_host_address},
    {.name = "service",
     .value = "KIND:PORT[,ways=N|MIN..MAX][,policy=P][,roll-call-timeout=TIME]",
     .group = kNetwork,
     .help = "store:PORT keeps what arrives, and sends its FIN after the peer's is stored; echo:PORT keeps what "
             "arrives and sends it back. ways: handshakes of more than three ways with peers that ask for them, and "
             "none below MIN (default 3..3; most 74); policy: strict resets a peer that holds fewer copies than a step "
             "asks for (default best-effort); roll-call-timeout: how long a step waits for our own copies (default "
             "1s). Repeatable",
     .repeatable = true,
     .apply = apply_service},
    {.name = "data",
     .value = "DIR",
     .group = kStorage,
     .help = "Directory to store in: one storage location each, best on devices of their own. Repeatable",
     .repeatable = true,
     .apply = apply_data},
    {.name = "stored-on",
     .value = "W",
     .group = kStorage,
     .help = "Acknowledge once so many locations have stored it (default: all but one where there are three or more, "
             "else all)",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_number(v, 1, 64), o.log.stored_on); }},
    {.name = "volatile",
     .value = "",
     .group = kStorage,
     .help = "Store nothing: no --data, \"stored\" means \"in memory\"",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_bool(v), o.is_volatile); }},
    {.name = "segment-size",
     .value = "SIZE",
     .group = kStorage,
     .help = "Size of a segment file, fixed when a directory is first used: 1MiB..1GiB (default 32MiB)",
     .apply = apply_segment_size},
    {.name = "prepared-segments",
     .value = "N",
     .group = kStorage,
     .help = "Segments kept ready ahead of the one being written, beyond those that receive windows are promised from: "
             "2..64 (default 4)",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_number(v, 2, 64), o.log.prepared_segments); }},
    {.name = "max-bytes",
     .value = "SIZE",
     .group = kStorage,
     .help = "Most that segments may occupy in each location (default: as much as the file system gives)",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_size(v, 4ULL << 20, 1ULL << 60), o.log.max_bytes); }},
    {.name = "retain-bytes",
     .value = "SIZE",
     .group = kStorage,
     .help = "Keep so much in each location, in whole segments, and release the oldest of what is more; what a live "
             "connection still needs stays (default: keep all)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           return assign(parse_size(v, 1ULL << 20, 1ULL << 60), o.log.retention.bytes);
         }},
    {.name = "retain-age",
     .value = "TIME",
     .group = kStorage,
     .help = "Release segments whose newest byte is older: 1s and more, as in 90m or 720h (default: keep all)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           return assign(parse_duration(v, std::chrono::seconds(1), std::chrono::hours(24 * 36500)),
                         o.log.retention.age);
         }},
    {.name = "copy-limit",
     .value = "SIZE",
     .group = kStorage,
     .help =
         "Most that a start copies to a directory that lacks some of the log (default 1GiB). One that lacks more is "
         "left behind, unless too few would be left to start with",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_size(v, 0, 1ULL << 60), o.log.copy_limit); }},
    {.name = "batch-size",
     .value = "SIZE",
     .group = kStorage,
     .help = "Largest write: 128KiB..4MiB (default 512KiB)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           auto applied = assign(parse_size(v, 128U << 10, 4U << 20), o.log.batch_size);
           if (applied && o.log.batch_size % 4096 != 0) return Applied(std::unexpected("must be whole 4 KiB blocks"));
           return applied;
         }},
    {.name = "writes-in-flight",
     .value = "N",
     .group = kStorage,
     .help = "Writes under way at once: 1..32 (default: 4; at a pool that is far away as many as the way there holds, "
             "up to "
             "32)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           auto applied = assign(parse_number(v, 1, 32), o.log.max_in_flight);
           o.log.most_in_flight = o.log.max_in_flight;
           return applied;
         }},
    {.name = "stall-after",
     .value = "TIME",
     .group = kStorage,
     .help = "When nothing became stored for so long, windows are closed so that peers wait (default 2s)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           return assign(parse_duration(v, std::chrono::milliseconds(100), std::chrono::hours(1)), o.stall_after);
         }},
    {.name = "congestion",
     .value = "NAME",
     .group = kTransport,
     .help = "Congestion control of what we send: cubic (default) or reno",
     .apply = apply_congestion},
    {.name = "receive-window",
     .value = "SIZE",
     .group = kTransport,
     .help = "Largest receive window of a connection: 64KiB..1GiB (default 8MiB)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           return assign(parse_size(v, 64U << 10, 1U << 30), o.tcp.max_receive_window);
         }},
    {.name = "send-buffer",
     .value = "SIZE",
     .group = kTransport,
     .help = "Bytes of a connection held until its peer has acknowledged them: 16KiB..1GiB (default 1MiB)",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_size(v, 16U << 10, 1U << 30), o.tcp.send_buffer); }},
    {.name = "keepalive",
     .value = "",
     .group = kTransport,
     .help = "Probe idle connections (after 2 h), and close those whose peer is gone",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_bool(v), o.tcp.keepalive); }},
    {.name = "max-connections",
     .value = "N",
     .group = kTransport,
     .help = "Connections at once: 1..1048576 (default 131072)",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_number(v, 1, 1U << 20), o.max_connections); }},
    {.name = "max-half-open",
     .value = "N",
     .group = kTransport,
     .help = "Half-open connections of one service: 1..65536 (default 1024); further SYNs get SYN cookies",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_number(v, 1, 1U << 16), o.max_half_open); }},
    {.name = "service-group",
     .value = "NAME",
     .group = kOperation,
     .help = "One of several nodes that share one log in RADOS pools: one of them serves, the others stand by and take "
             "over. All are given the same address, services and pools",
     .apply = [](ServeOptions& o, const std::string& v) -> Applied {
       if (!location::rados::is_log_name(v))
         return std::unexpected(fmt::format("must be {}", location::rados::kLogNames));
       o.group = v;
       return {};
     }},
    {.name = "buckets",
     .value = "N",
     .group = kOperation,
     .help =
         "With --service-group: the address is served by all nodes of the group together. Its connections fall into "
         "N buckets (1 to 256, settled by the first node), each of which is a log in the pool; the nodes share them "
         "out, and again when a node comes or goes",
     .apply = [](ServeOptions& o,
                 const std::string& v) { return assign(parse_number(v, 1, cluster::kMostBuckets), o.buckets); }},
    {.name = "node-address",
     .value = "A.B.C.D/LEN",
     .group = kOperation,
     .help = "With --buckets: an address of this node alone, on the link of --address, for a router that spreads "
             "--address over the nodes' (ECMP). Then nobody answers ARP requests for --address itself",
     .apply = apply_node_address},
    {.name = "standby",
     .value = "",
     .group = kOperation,
     .help = "With --service-group: leave a log that nobody serves to the other nodes for a while before taking it",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_bool(v), o.standby); }},
    {.name = "lease",
     .value = "TIME",
     .group = kOperation,
     .help = "Who has not renewed for so long that it owns a log in a pool may lose it to another node: 100ms to 10m "
             "(default 2s)",
     .apply =
         [](ServeOptions& o, const std::string& v) {
           return assign(parse_duration(v, std::chrono::milliseconds(100), std::chrono::minutes(10)), o.lease);
         }},
    {.name = "nudge",
     .value = "",
     .group = kOperation,
     .help =
         "After a takeover, wake peers that wait for a time-out to retransmit, by ICMP host unreachable (RFC 6069). "
         "Sockets with IP_RECVERR see it as an error",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_bool(v), o.nudge); }},
    {.name = "no-keeper",
     .value = "",
     .group = kOperation,
     .help = "One process: nothing holds the device and restarts the node when it dies",
     .apply = [](ServeOptions& o, const std::string& v) { return assign(parse_bool(v), o.no_keeper); }},
    {.name = "pcap",
     .value = "FILE",
     .group = kOperation,
     .help = "Write every frame, both ways, to a pcapng file; a node that the keeper has restarted writes to FILE.2, "
             "FILE.3, …",
     .apply = [](ServeOptions& o, const std::string& v) { return apply_path(o.pcap, v); }},
    {.name = "events",
     .value = "FILE",
     .group = kOperation,
     .help = "Append what happens (started, recovered, ready, stalled, …) to a file, a JSON object a line",
     .apply = [](ServeOptions& o, const std::string& v) { return apply_path(o.events, v); }},
    {.name = "log-level",
     .value = "LEVEL",
     .group = kOperation,
     .help = "trace, debug, info (default), warn, error or off; messages go to standard error",
     .apply = apply_log_level},
};

Result<void> usage(std::string message) { return fail(Error::Kind::kUsage, std::move(message)); }

Result<void> check_addresses(const ServeOptions& o) {
  const auto& own = o.address;
  if (own.length < 31 && (own.address == own.broadcast() || (own.address.value & ~own.mask()) == 0)) {
    return usage(
        fmt::format("--address {}: is the network's own or its broadcast address: choose a host's", own.to_string()));
  }
  if (o.gateway && (!own.contains(*o.gateway) || *o.gateway == own.address)) {
    return usage(fmt::format("--gateway {}: is not another host on the link {}: choose one that is",
                             o.gateway->to_string(), own.to_string()));
  }
  if (o.host_address && o.host_address->address == own.address) {
    return usage(fmt::format("--host-address {}: is the node's own address: the host needs another one",
                             o.host_address->to_string()));
  }
  if (o.host_address && !o.host_address->contains(own.address)) {
    return usage(fmt::format("--host-address {}: does not cover --address {}: choose two on one link",
                             o.host_address->to_string(), own.to_string()));
  }
  return {};
}

Result<void> check_buckets(const ServeOptions& o) {
  if (o.buckets == 0) {
    if (o.node_address) return usage("--node-address without --buckets: the address is one node's at a time");
    return {};
  }
  if (o.group.empty()) return usage("--buckets without --service-group: name the service that the nodes share");
  if (o.group.size() > kMostBucketGroup) {
    return usage(fmt::format("--service-group {}: at most {} characters with --buckets: each bucket adds five", o.group,
                             kMostBucketGroup));
  }
  if (o.data.size() > 1) return usage("--buckets with several --data: one pool, whose copies the cluster keeps");
  if (o.standby) return usage("--buckets and --standby: the nodes share the buckets out by themselves");
  if (!o.pcap.empty()) return usage("--buckets and --pcap: capture at the device, as in `tcpdump -i DEVICE -w FILE`");
  if (o.node_address && (!o.address.contains(o.node_address->address) || o.node_address->length != o.address.length ||
                         o.node_address->address == o.address.address)) {
    return usage(fmt::format("--node-address {}: is not another address on the link {}: choose one that is",
                             o.node_address->to_string(), o.address.to_string()));
  }
  return {};
}

}  // namespace

std::span<const Setting> serve_settings() { return kSettings; }

Result<void> check_storage(const ServeOptions& o) {
  if (o.is_volatile && !o.data.empty()) {
    return usage("--volatile and --data contradict each other: leave one of them out");
  }
  if (!o.is_volatile && o.data.empty()) {
    return usage("--data is missing: name a directory to store in, or say --volatile to store nothing");
  }
  if (o.is_volatile && o.log.stored_on != 0) return usage("--stored-on without --data: there is nothing to store on");
  if (!o.is_volatile && o.log.stored_on > o.data.size()) {
    return usage(fmt::format("--stored-on {}: more than the {} given with --data: lower it or add locations",
                             o.log.stored_on, o.data.size()));
  }
  if (o.standby && o.group.empty()) return usage("--standby without --service-group: there is nobody to stand by for");
  if (!o.group.empty() && o.is_volatile) return usage("--service-group and --volatile: there is no log to take over");
  if (auto good = check_buckets(o); !good) return good;
  std::set<std::string> seen;
  for (const auto& directory : o.data) {
    if (!o.group.empty() && !location::rados::is_address(directory)) {
      return usage(
          fmt::format("--data {}: a directory is this machine's alone, and nobody could take over from it: a "
                      "service group's log is in pools, as in rados:POOL/NAMESPACE",
                      directory));
    }
    std::string real = directory;
    if (location::rados::is_address(directory)) {
      if (const auto address = location::rados::parse_address(directory)) real = address->place();
    } else {
      std::error_code error;
      const auto canonical = std::filesystem::weakly_canonical(directory, error);
      if (!error) real = canonical.string();
    }
    if (!seen.insert(real).second) {
      return usage(fmt::format("--data {}: is given twice: each location needs a place of its own", directory));
    }
  }
  const bool retains = o.log.retention.bytes != 0 || o.log.retention.age > Duration::zero();
  if (o.is_volatile && retains) return usage("--volatile with --retain-…: there is nothing to keep");
  // Beside what is kept there are the segment being released and those that are prepared.
  const std::uint64_t beside = (2 + o.log.prepared_segments) * o.log.segment_size;
  if (o.log.max_bytes != 0 && o.log.retention.bytes != 0 && o.log.retention.bytes + beside > o.log.max_bytes) {
    return usage(
        fmt::format("--retain-bytes {}: with segments that are prepared beside them, more than --max-bytes {} "
                    "allows: keep {} less than that",
                    human_size(o.log.retention.bytes), human_size(o.log.max_bytes), human_size(beside)));
  }
  if (o.log.max_bytes != 0 && o.log.max_bytes < 2 * o.log.segment_size) {
    return usage(fmt::format("--max-bytes {}: holds fewer than two segments of {}: raise it or lower --segment-size",
                             human_size(o.log.max_bytes), human_size(o.log.segment_size)));
  }
  return {};
}

Result<void> check(const ServeOptions& options) {
  if (options.link.device.empty()) return usage("--link is missing: say where frames come from, as in tap:holdfast0");
  if (options.address.address.is_unspecified())
    return usage("--address is missing: give the node one, as in 10.77.0.2/24");
  if (options.services.empty()) return usage("--service is missing: say what to do, as in store:7000");
  if (auto done = check_addresses(options); !done) return done;
  if (auto done = check_storage(options); !done) return done;
  std::set<wire::Port> ports;
  for (const auto& service : options.services) {
    if (!ports.insert(service.port).second) {
      return usage(
          fmt::format("--service …:{}: the port is in use by another service: give each its own", service.port.value));
    }
  }
  return {};
}

}  // namespace holdfast::node
