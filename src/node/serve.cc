#include "node/serve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

#include "location/unique_fd.h"
#include "node/bucket_node.h"
#include "node/child.h"
#include "node/device.h"
#include "node/entropy.h"
#include "node/host_address.h"
#include "node/keeper.h"
#include "node/limits.h"
#include "node/logging.h"
#include "node/node.h"
#include "node/output.h"
#include "node/places.h"
#include "node/service_notify.h"

namespace holdfast::node {
namespace {

constexpr const char* kStoredLinkName = "holdfast-link";

// The device's descriptor: what systemd kept for us, or a newly opened one.
Result<std::unique_ptr<link::Tap>> open_link(const ServeOptions& options, const std::string& pcap) {
  const link::TapOptions tap{.name = options.link.device, .mtu = options.link.mtu, .pcap = pcap};
  std::unique_ptr<link::Tap> taken_back;
  for (const int kept : take_descriptors(kStoredLinkName)) {
    if (taken_back) {
      ::close(kept);
      continue;
    }
    auto adopted = link::Tap::adopt(kept, tap);
    if (adopted) {
      taken_back = *std::move(adopted);
      continue;
    }
    // Of another --link, say: it would keep the new one out of the store for good.
    spdlog::warn("of what systemd kept a descriptor is of no use ({}): it is dropped", adopted.error().message);
    forget_descriptors(kStoredLinkName);
  }
  if (taken_back) {
    spdlog::info("device {}: taken back from systemd", options.link.device);
    return taken_back;
  }
  if (auto free = check_not_ours(options.address.address); !free) return std::unexpected(free.error());
  auto opened = attach(tap);
  if (!opened) return opened;
  if (options.host_address) {
    auto configured = configure_host_end(options.link.device, *options.host_address);
    if (!configured) return std::unexpected(configured.error());
    if (const auto rival = rival_interface(options.link.device, options.address.address); !rival.empty()) {
      spdlog::warn(
          "interface {} has an address in the node's network too: programs of this host may look for {} there; "
          "`ip link del {}` if it is an earlier --link",
          rival, options.address.address.to_string(), rival);
    }
  }
  return opened;
}

// The device outlives us from now on.
void keep_device(link::Tap& tap, const ServeOptions& options) {
  if (auto kept = keep_for_good(tap); !kept) spdlog::warn("{}", kept.error().message);
  spdlog::info("device {} stays when the node ends; `ip link del {}` removes it", options.link.device,
               options.link.device);
}

int exit_status(const Result<bool>& handed_over) {
  if (!handed_over) return report(handed_over.error());
  return *handed_over ? kExitHandedOver : kExitDone;
}

int exit_status(const Result<void>& ran) { return ran ? kExitDone : report(ran.error()); }

int run_without_keeper(const ServeCommand& command, const EventFile& events) {
  auto tap = open_link(command.options, command.options.pcap);
  if (!tap) return report(tap.error());
  auto* const device = tap->get();
  const std::function<void()> ready = [&] {
    keep_device(*device, command.options);
    notify_service("READY=1");
  };
  const int status = command.options.buckets > 0
                         ? exit_status(run_bucket_node(command, *std::move(tap), events, ready))
                         : exit_status(run_node(command.options, *std::move(tap), events, ready));
  notify_service("STOPPING=1");
  return status;
}

int run_kept(const ServeCommand& command, const EventFile& events) {
  // Again, because the kernel forgets it when the program has capabilities of its own (prctl(2), PR_SET_PDEATHSIG).
  if (!die_with_parent(command.inherited.keeper)) return kExitFailed;
  auto options = command.options;
  options.identity = command.inherited.identity;
  auto pcap = options.pcap;
  if (!pcap.empty() && command.inherited.start > 1) pcap += fmt::format(".{}", command.inherited.start);
  auto tap =
      link::Tap::adopt(command.inherited.link, {.name = options.link.device, .mtu = options.link.mtu, .pcap = pcap});
  if (!tap) return report(tap.error());
  const std::function<void()> ready = [&] {
    const char byte = 'R';
    if (::write(command.inherited.status, &byte, 1) != 1) spdlog::warn("the keeper does not listen");
  };
  if (options.buckets > 0) return exit_status(run_bucket_node(command, *std::move(tap), events, ready));
  return exit_status(run_node(options, *std::move(tap), events, ready));
}

// The frames of one bucket, from the process that reads the device.
int run_worker(const ServeCommand& command) {
  if (!die_with_parent(command.inherited.keeper)) return kExitFailed;
  const auto events = EventFile::adopt(command.inherited.events);
  const auto part = inherited_part(command);
  if (!part) return report(part.error());
  auto options = command.options;
  options.part = *part;
  options.identity = command.inherited.identity;
  options.link.mac = options.link.mac.value_or(group_mac(who_we_are(options.identity).identity));
  options.group = cluster::bucket_group(options.group, part->bucket);
  auto tap = link::Tap::adopt(
      command.inherited.link,
      {.name = options.link.device, .mtu = options.link.mtu, .pcap = {}, .receive_from = command.inherited.frames});
  if (!tap) return report(tap.error());
  return exit_status(run_node(options, *std::move(tap), events, [] {}));
}

int run_with_keeper(const ServeCommand& command, const EventFile& events) {
  auto tap = open_link(command.options, "");  // the node captures
  if (!tap) return report(tap.error());
  int status[2] = {-1, -1};
  if (::pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) {
    return report({Error::Kind::kUnavailable, fmt::format("can't make a pipe: {}", std::strerror(errno))});
  }
  const location::UniqueFd status_read(status[0]), status_write(status[1]);
  // The node reads the configuration that we read, however often it starts and whatever becomes of the file.
  const location::UniqueFd config(::memfd_create("holdfast-config", MFD_CLOEXEC));
  const auto& text = command.config_text;
  if (!config || ::pwrite(config.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return report({Error::Kind::kUnavailable, fmt::format("can't keep the configuration: {}", std::strerror(errno))});
  }
  KeeperConfig keeper;
  keeper.command = command.arguments;
  keeper.command.push_back(fmt::format("--inherited-keeper={}", ::getpid()));
  keeper.command.push_back(fmt::format("--inherited-link={}", (*tap)->fd()));
  keeper.command.push_back(fmt::format("--inherited-config={}", config.get()));
  keeper.command.push_back(fmt::format("--inherited-status={}", status_write.get()));
  keeper.command.push_back(fmt::format("--inherited-identity={}", draw_seed()));
  keeper.inherited = {(*tap)->fd(), config.get(), status_write.get()};
  keeper.status_fd = status_read.get();
  if (command.options.buckets > 0) keeper.stop_bound = kLongestLeave;
  keeper.events = &events;
  keeper.first_ready = [&] {
    keep_device(**tap, command.options);
    store_descriptor((*tap)->fd(), kStoredLinkName);
    notify_service("READY=1");
  };
  keeper.has_device = [&] { return (*tap)->is_attached(); };
  return run_keeper(keeper);
}

}  // namespace

int serve(const ServeCommand& command) {
  const bool is_node = command.inherited.keeper != 0 || command.options.no_keeper;
  const bool is_worker = command.inherited.bucket >= 0;
  set_up_logging(command.options.log_level, is_worker ? fmt::format("b{:03}", command.inherited.bucket)
                                            : is_node ? "node"
                                                      : "keeper");
  if (is_worker) {
    if (auto enough = raise_descriptor_limit(command.options.data.size()); !enough) return report(enough.error());
    return run_worker(command);
  }
  auto events = EventFile::open(command.options.events);
  if (!events) return report(events.error());
  if (auto enough = raise_descriptor_limit(command.options.data.size()); !enough) return report(enough.error());
  if (command.inherited.keeper != 0) return run_kept(command, *events);
  return command.options.no_keeper ? run_without_keeper(command, *events) : run_with_keeper(command, *events);
}

}  // namespace holdfast::node
