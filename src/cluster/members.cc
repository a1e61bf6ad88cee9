#include "cluster/members.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "location/rados/lease.h"
#include "location/rados/record_text.h"

namespace holdfast::cluster {

using location::rados::each_line;
using location::rados::is_printable;
using location::rados::LeaseWatch;
using location::rados::number_in;

namespace {

constexpr std::string_view kEntryPrefix = "member-";
constexpr std::size_t kMostEntry = 64U << 10;  // bytes
constexpr int kManyLeases = 15;

// All of it is shown to people.
template <class Take>
bool each_printable_line(std::string_view text, Take&& take) {
  return each_line(text, [&](std::string_view key, std::string_view value) {
    return is_printable(key) && is_printable(value) && take(key, value);
  });
}

// "1,2,3"
template <class Take>
bool each_item(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const auto end = text.find(',');
    if (!take(text.substr(0, end))) return false;
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return true;
}

std::optional<Bucket> bucket_in(std::string_view text, std::uint32_t buckets) {
  const auto value = number_in(text);
  if (!value || *value >= buckets) return std::nullopt;
  return static_cast<Bucket>(*value);
}

bool take_serving(std::string_view item, std::uint32_t buckets, Member& member) {
  const auto colon = item.find(':');
  if (colon == std::string_view::npos) return false;
  const auto bucket = bucket_in(item.substr(0, colon), buckets);
  const auto epoch = number_in(item.substr(colon + 1));
  if (!bucket || !epoch) return false;
  member.serving[*bucket] = *epoch;
  return true;
}

}  // namespace

std::string members_object(const std::string& service) { return service + ".members"; }
std::string member_entry(const std::string& identity) { return std::string(kEntryPrefix) + identity; }

std::string encode(const Buckets& buckets) {
  std::string text = fmt::format("buckets={}\nkey=", buckets.count);
  for (const std::byte octet : buckets.key.key) text += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
  return text + "\n";
}

std::optional<Buckets> decode_buckets(std::string_view text) {
  Buckets buckets;
  bool has_count = false, has_key = false;
  const bool sane = each_printable_line(text, [&](std::string_view key, std::string_view value) {
    if (key == "buckets") {
      const auto count = number_in(value);
      has_count = count && *count >= 1 && *count <= kMostBuckets;
      if (has_count) buckets.count = static_cast<std::uint32_t>(*count);
      return has_count;
    }
    if (key != "key") return true;
    if (value.size() != 2 * buckets.key.key.size()) return false;
    for (std::size_t i = 0; i < buckets.key.key.size(); ++i) {
      const auto octet = number_in(value.substr(2 * i, 2), 16);
      if (!octet) return false;
      buckets.key.key[i] = std::byte(*octet);
    }
    has_key = true;
    return true;
  });
  if (!sane || !has_count || !has_key) return std::nullopt;
  return buckets;
}

std::string encode(const Member& member) {
  std::string host = member.host;
  std::ranges::replace_if(host, [](char c) { return c <= ' ' || c >= 127; }, '?');
  std::string text = fmt::format(
      "host={}\nprocess={}\nmac={}\naddress={}\nlease={}\nrenewal={}\nleaving={}\nserving=", host, member.process,
      member.mac.to_string(), member.address, member.lease, member.renewal, member.leaving ? 1 : 0);
  const char* comma = "";
  for (const auto& [bucket, epoch] : member.serving) {
    text += fmt::format("{}{}:{}", comma, bucket, epoch);
    comma = ",";
  }
  text += "\nacquiring=";
  comma = "";
  for (const Bucket bucket : member.acquiring) {
    text += fmt::format("{}{}", comma, bucket);
    comma = ",";
  }
  return text + "\n";
}

std::optional<Member> decode_member(std::string_view text, std::uint32_t buckets) {
  if (text.size() > kMostEntry) return std::nullopt;
  Member member;
  bool has_mac = false;
  const auto take_number = [](std::string_view value, std::uint64_t& into) {
    const auto parsed = number_in(value);
    into = parsed.value_or(0);
    return parsed.has_value();
  };
  const bool sane = each_printable_line(text, [&](std::string_view key, std::string_view value) {
    if (key == "host") member.host = value;
    if (key == "address") member.address = value;
    if (key == "process") return take_number(value, member.process);
    if (key == "lease") return take_number(value, member.lease);
    if (key == "renewal") return take_number(value, member.renewal);
    if (key == "leaving") member.leaving = value == "1";
    if (key == "mac") {
      const auto mac = wire::MacAddress::parse(value);
      has_mac = mac && !mac->is_multicast() && *mac != wire::MacAddress{};
      if (has_mac) member.mac = *mac;
      return has_mac;
    }
    if (key == "serving") {
      return each_item(value, [&](std::string_view item) { return take_serving(item, buckets, member); });
    }
    if (key == "acquiring") {
      return each_item(value, [&](std::string_view item) {
        const auto bucket = bucket_in(item, buckets);
        if (bucket && member.acquiring.size() < buckets) member.acquiring.push_back(*bucket);
        return bucket.has_value();
      });
    }
    return true;
  });
  if (!sane || !has_mac) return std::nullopt;
  return member;
}

location::rados::ObjectRead members_read(const std::string& service) {
  location::rados::ObjectRead read;
  read.object = members_object(service);
  read.attributes = read.entries = true;
  return read;
}

Result<Roll> decode_roll(const location::rados::Finished& read, const std::string& service) {
  Roll roll;
  const auto attribute = read.attributes.find(kAttributeService);
  const auto buckets = attribute == read.attributes.end() ? std::nullopt : decode_buckets(attribute->second);
  if (!buckets) {
    return fail(Error::Kind::kCorrupt,
                fmt::format("{}: is no service's list of members: something else lives in that namespace",
                            members_object(service)));
  }
  roll.buckets = *buckets;
  for (const auto& [name, bytes] : read.entries) {
    if (!name.starts_with(kEntryPrefix)) continue;
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    auto member = decode_member(text, buckets->count);
    const std::string identity = name.substr(kEntryPrefix.size());
    if (!member || !is_printable(identity)) {
      ++roll.strange;
      continue;
    }
    roll.members[identity] = *std::move(member);
  }
  return roll;
}

Duration MemberWatch::patience(const Member& member) { return LeaseWatch::length(member.lease) * 6 / 10; }

void MemberWatch::see(const std::map<std::string, Member>& members, Time asked, Time came) {
  std::erase_if(seen_, [&](const auto& seen) { return !members.contains(seen.first); });
  for (const auto& [identity, member] : members) {
    const auto [found, is_new] = seen_.try_emplace(identity);
    Seen& seen = found->second;
    seen.patience = patience(member);
    if (is_new || seen.renewal != member.renewal) {
      seen.renewal = member.renewal;
      seen.since = came;
    }
    seen.silent = std::max(Duration::zero(), Duration(asked - seen.since));
  }
}

bool MemberWatch::lives(const std::string& identity) const {
  const auto found = seen_.find(identity);
  return found != seen_.end() && found->second.silent < found->second.patience;
}

bool MemberWatch::long_gone(const std::string& identity) const {
  const auto found = seen_.find(identity);
  return found != seen_.end() && found->second.silent > kManyLeases * found->second.patience;
}

}  // namespace holdfast::cluster
