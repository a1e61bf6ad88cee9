#include "node/pool_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "location/rados/address.h"
#include "node/help.h"
#include "node/places.h"
#include "node/values.h"

namespace holdfast::node {
namespace {

Result<void> check_group(const std::string& group) {
  if (group.empty() || location::rados::is_log_name(group)) return {};
  return fail(Error::Kind::kUsage, fmt::format("--service-group: must be {}", location::rados::kLogNames));
}

Result<void> check_pool(const std::string& text) {
  if (!location::rados::is_address(text)) {
    return fail(Error::Kind::kUsage, fmt::format("--data {}: must be a pool, as in rados:POOL/NAMESPACE", text));
  }
  const auto address = pool_address(text);
  return address ? Result<void>() : std::unexpected(address.error());
}

CLI::Option* add_data(CLI::App& app, auto& target, const char* help) {
  return app.add_option("--data", target, help)
      ->type_name("rados:POOL[/NAMESPACE][?conf=FILE]")
      ->allow_extra_args(false)
      ->required();
}

}  // namespace

void HandoverFlags::add_to(CLI::App& app) {
  add_data(app, command_.data, "The group's pool, as its nodes have it; of several the first");
  app.add_option("--service-group", command_.group, "The group's name")->type_name("NAME")->required();
  app.add_option("--timeout", timeout_, "Give up waiting for the new owner: 100ms to 10m (default 10s)")
      ->type_name("TIME");
  app.add_flag("--json", command_.json, "For programs")->disable_flag_override();
  app.footer(help::kHandover);
}

Result<HandoverCommand> HandoverFlags::finish() {
  if (auto good = check_group(command_.group); !good) return std::unexpected(good.error());
  if (auto good = check_pool(command_.data); !good) return std::unexpected(good.error());
  if (!timeout_.empty()) {
    const auto timeout = parse_duration(timeout_, std::chrono::milliseconds(100), std::chrono::minutes(10));
    if (!timeout) return fail(Error::Kind::kUsage, fmt::format("--timeout {}: {}", timeout_, timeout.error()));
    command_.timeout = *timeout;
  }
  return command_;
}

void StoreFlags::add_to(CLI::App& app) {
  app.require_subcommand(1);
  auto* const status = app.add_subcommand("status", "Pools that logs are in: copies, places, health, latency, owner");
  add_data(*status, command_.data, "A pool. Repeatable");
  status->add_option("--service-group", command_.group, "Look at this group's log")->type_name("NAME");
  status->add_flag("--json", command_.json, "For programs")->disable_flag_override();
  status->footer(help::kStoreStatus);
}

Result<StoreCommand> StoreFlags::finish() {
  if (auto good = check_group(command_.group); !good) return std::unexpected(good.error());
  for (const auto& place : command_.data) {
    if (auto good = check_pool(place); !good) return std::unexpected(good.error());
  }
  return command_;
}

void BucketsFlags::add_to(CLI::App& app) {
  add_data(app, command_.data, "The service's pool, as its nodes have it");
  app.add_option("--service-group", command_.group, "The service's name")->type_name("NAME")->required();
  app.add_flag("--json", command_.json, "For programs")->disable_flag_override();
  app.footer(help::kBuckets);
}

Result<BucketsCommand> BucketsFlags::finish() {
  if (auto good = check_group(command_.group); !good) return std::unexpected(good.error());
  if (auto good = check_pool(command_.data); !good) return std::unexpected(good.error());
  return command_;
}

}  // namespace holdfast::node
