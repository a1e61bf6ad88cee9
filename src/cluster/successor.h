// Who has taken a log that was given back.
#pragma once

#include <optional>
#include <string_view>

#include "location/rados/pool.h"
#include "wire/address.h"

namespace holdfast::cluster {

struct Successor {
  location::rados::Owner owner;
  wire::MacAddress mac;
};

// As far as the last look has shown, and begins the next one; to be called between the pool's poll()s. Nullopt: nobody
// yet, or nobody whose address can be read. Never waits. `own`: identity.
inline std::optional<Successor> look_for_successor(location::rados::Pool& pool, std::string_view own) {
  pool.begin_look();
  const auto head = pool.take_look();
  const auto* const owner = head && *head ? (*head)->active_owner() : nullptr;
  if (owner == nullptr || owner->identity == own) return std::nullopt;
  const auto mac = wire::MacAddress::parse(owner->mac);
  if (!mac) return std::nullopt;
  return Successor{*owner, *mac};
}

}  // namespace holdfast::cluster
