#include "ip/path_mtu.h"

#include <algorithm>
#include <array>

namespace holdfast::ip {
namespace {

// RFC 1191 section 7.1: MTUs that exist, for routers that do not tell theirs.
constexpr std::array<std::uint16_t, 8> kPlateaus = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508};

std::uint16_t plateau_below(std::uint16_t total_length) {
  for (const std::uint16_t plateau : kPlateaus) {
    if (plateau < total_length) return plateau;
  }
  return PathMtu::kFloor;
}

}  // namespace

void PathMtu::lower(wire::Ipv4Address destination, std::uint16_t next_hop_mtu, std::uint16_t total_length, Time now) {
  const std::uint16_t told = std::max(kFloor, next_hop_mtu != 0 ? next_hop_mtu : plateau_below(total_length));
  auto* entry = table_.find(destination);
  if (entry == nullptr) {
    entry = &table_.insert(destination);
  } else {
    table_.touch(*entry);
    if (now < entry->value.expires && told > entry->value.mtu) return;
  }
  entry->value = {told, now + kLifetime};
}

std::uint16_t PathMtu::get(wire::Ipv4Address destination, std::uint16_t interface_mtu, Time now) const {
  const auto* entry = table_.find(destination);
  if (entry == nullptr || now >= entry->value.expires) return interface_mtu;
  return std::min(interface_mtu, entry->value.mtu);
}

}  // namespace holdfast::ip
