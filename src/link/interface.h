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

// A text that the kernel keeps with the interface for as long as it exists (`ip link set NAME alias …`); empty: none.
inline constexpr std::size_t kMaxAlias = 255;
Result<std::string> alias_of(const std::string& name);
Result<void> set_alias(const std::string& name, const std::string& alias);  // at most kMaxAlias bytes

}  // namespace holdfast::link
