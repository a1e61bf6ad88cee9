// The kernel's end of the link: the host's own addresses, by rtnetlink(7).
#pragma once

#include <string>

#include "base/error.h"
#include "wire/address.h"

namespace holdfast::node {

// Brings the interface up and gives it the address, unless it has it. Neither is ever taken away again: open
// connections to the node hang on them.
Result<void> configure_host_end(const std::string& interface, const wire::Ipv4Prefix& address);

// Another interface of this host with an address in the same network: it may be the one through which the host's kernel
// looks for `address`. Empty where there is none.
std::string rival_interface(const std::string& interface, wire::Ipv4Address address);

// Fails (kUnavailable) when the address is one of this host's own: its kernel would answer for the node.
Result<void> check_not_ours(wire::Ipv4Address address);

}  // namespace holdfast::node
