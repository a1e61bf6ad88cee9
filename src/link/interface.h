// The kernel's side of a device, by name.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace holdfast::link {

// 1 to 15 characters, no slash, no white space, no colon, neither "." nor "..": what the kernel takes.
bool is_interface_name(const std::string& name);

// Sets the MTU unless it is that already, and brings the interface up unless it is.
Result<void> bring_up(const std::string& name, std::uint16_t mtu);

}  // namespace holdfast::link
