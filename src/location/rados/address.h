// Where a log lies in a RADOS cluster, as people write it:
//
//   rados:POOL[/NAMESPACE][?conf=FILE][&id=NAME][&keyring=FILE][&log=NAME][&copies=N]
//
//   conf     the cluster's configuration (default /etc/ceph/ceph.conf)
//   id       the client's name, without "client." (default admin)
//   keyring  overrides the configuration's
//   log      distinguishes logs in one namespace (default "log"): a prefix of the objects' names
//   copies   a pool that goes on with fewer copies than that (its min_size) is refused: 1 to 16 (default 2)
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace holdfast::location::rados {

struct Address {
  std::string pool;
  std::string name_space;
  std::string conf = "/etc/ceph/ceph.conf";
  std::string id = "admin";
  std::string keyring;
  std::string log = "log";
  unsigned copies = 2;

  // "rados:POOL/NAMESPACE", with the log's name where it is not the default: the place, for messages, and the same for
  // all that write it the same way or another.
  std::string place() const;
};

inline constexpr std::string_view kScheme = "rados:";
inline bool is_address(std::string_view text) { return text.starts_with(kScheme); }

// What a log may be called; kLogNames says it.
bool is_log_name(std::string_view text);
inline constexpr std::string_view kLogNames = "1 to 64 of a-z A-Z 0-9 . _ -";

// The error says what would have been right.
std::expected<Address, std::string> parse_address(std::string_view text);

}  // namespace holdfast::location::rados
