// The nodes of a service whose address is spread over buckets, as the service's members object in the pool has them:
//
//   attribute "service"   "buckets=N\nkey=32 hexadecimal digits\n": made once, by the first node
//   entry "member-ID"     a node (Member), lines of "key=value"; rewritten by that node alone, every fifth of the lease
//
// Pure functions. What is decoded is hostile until checked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/bucket.h"
#include "cluster/placement.h"
#include "location/rados/object_store.h"

namespace holdfast::cluster {

struct Member {
  std::string host;                         // for people
  std::uint64_t process = 0;                // for people
  wire::MacAddress mac;                     // where datagrams of its buckets are passed on to
  std::string address;                      // the node's own, for people; may be empty
  std::uint64_t lease = 0;                  // nanoseconds
  std::uint64_t renewal = 0;                // counts up
  bool leaving = false;                     // its buckets are for others
  std::map<Bucket, std::uint64_t> serving;  // and the epoch of the log's head under which it owns it
  std::vector<Bucket> acquiring;
  bool operator==(const Member&) const = default;
};

inline constexpr const char* kAttributeService = "service";
std::string members_object(const std::string& service);
std::string member_entry(const std::string& identity);

std::string encode(const Buckets& buckets);
std::optional<Buckets> decode_buckets(std::string_view text);
std::string encode(const Member& member);
std::optional<Member> decode_member(std::string_view text, std::uint32_t buckets);

struct Roll {
  Buckets buckets;
  std::map<std::string, Member> members;  // by identity
  std::size_t strange = 0;                // entries that make no sense
};
location::rados::ObjectRead members_read(const std::string& service);
// `read` is what that brought. kCorrupt.
Result<Roll> decode_roll(const location::rados::Finished& read, const std::string& service);

// Who lives: those whose counter is seen to change, each by the watcher's own clock.
class MemberWatch {
 public:
  // Who has not renewed for so much of its lease is taken for dead: its buckets are got ready for. Whether they may be
  // taken is for the lease of each log to say.
  static Duration patience(const Member& member);

  // The members as they were at some moment between the two.
  void see(const std::map<std::string, Member>& members, Time asked, Time came);
  bool lives(const std::string& identity) const;
  // Not seen to renew for many leases.
  bool long_gone(const std::string& identity) const;

 private:
  struct Seen {
    std::uint64_t renewal = 0;
    Time since{};
    Duration silent{}, patience{};
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace holdfast::cluster
