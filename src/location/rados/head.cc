#include "location/rados/head.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/endian.h"
#include "location/rados/record_text.h"

namespace holdfast::location::rados {
namespace {

constexpr std::string_view kSegmentPrefix = "segment-";
constexpr std::string_view kMakingPrefix = "making-";
constexpr std::string_view kBlobPrefix = "blob-";
constexpr std::size_t kMostOwner = 4096;  // bytes of the record
constexpr std::size_t kMostText = 512;    // bytes of a value in it
constexpr std::size_t kSegmentEntrySize = 9;
constexpr auto kHighestState = static_cast<std::uint8_t>(SegmentState::kAtRest);
constexpr std::uint64_t kNoEpoch = ~std::uint64_t{0};

// As decode_owner() takes it, whatever a host is called: nobody else could take the log otherwise.
std::string printable(std::string text) {
  text.resize(std::min(text.size(), kMostText));
  std::ranges::replace_if(text, [](char c) { return c <= ' ' || c >= 127; }, '?');
  return text;
}

std::optional<Owner> decode_owner(std::string_view text) {
  if (text.size() > kMostOwner) return std::nullopt;
  Owner owner;
  bool state_known = false;
  const bool sane = each_line(text, [&](std::string_view key, std::string_view value) {
    if (!is_printable(value)) return false;
    if (key == "state") {
      if (value != "active" && value != "released") return false;
      owner.state = value == "active" ? Owner::State::kActive : Owner::State::kReleased;
      state_known = true;
    } else if (key == "identity") {
      owner.identity = value;
    } else if (key == "host") {
      owner.host = value;
    } else if (key == "client") {
      owner.client = value;
    } else if (key == "mac") {
      owner.mac = value;
    } else if (key == "serves") {
      owner.serves = value;
    } else if (key == "process" || key == "lease" || key == "renewal") {
      const auto n = number_in(value);
      if (!n) return false;
      (key == "process" ? owner.process : key == "lease" ? owner.lease : owner.renewal) = *n;
    }  // what a newer version adds is none of ours
    return true;
  });
  return sane && state_known ? std::optional(std::move(owner)) : std::nullopt;
}

std::optional<SegmentEntry> decode_segment(Bytes bytes) {
  if (bytes.size() != kSegmentEntrySize) return std::nullopt;
  const auto state = static_cast<std::uint8_t>(bytes[0]);
  if (state < 1 || state > kHighestState) return std::nullopt;
  return SegmentEntry{static_cast<SegmentState>(state), load_le<std::uint64_t>(bytes.data() + 1)};
}

// One of another epoch, or that makes no sense, is none: anybody may write there.
std::optional<Trim> decode_trim(const Finished& read, const char* attribute, std::uint64_t epoch) {
  const auto found = read.attributes.find(attribute);
  if (found == read.attributes.end() || found->second.size() > kMostText) return std::nullopt;
  std::optional<std::uint64_t> of, id, first;
  const bool sane = each_line(found->second, [&](std::string_view key, std::string_view value) {
    if (key == "epoch") of = number_in(value);
    if (key == "id") id = number_in(value);
    if (key == "first-kept") first = number_in(value);
    return true;
  });
  if (!sane || of != epoch || !id || !first) return std::nullopt;
  return Trim{*id, SegmentNumber{*first}};
}

// Of the owner with this epoch: guarded by it.
ObjectWrite owner_request(const std::string& log, std::uint64_t epoch, const char* attribute, std::string text) {
  ObjectWrite write;
  write.object = head_object(log);
  write.epoch = epoch;
  write.attributes = {{attribute, std::move(text)}};
  return write;
}

}  // namespace

std::string encode_epoch(std::uint64_t epoch) { return fmt::format("{:020}", epoch); }

std::string head_object(const std::string& log) { return log + ".head"; }
std::string segment_object(const std::string& log, SegmentNumber segment) {
  return fmt::format("{}.segment-{:016x}", log, segment.value);
}
std::string making_entry(SegmentNumber segment) { return fmt::format("{}{:016x}", kMakingPrefix, segment.value); }
std::string segment_entry(SegmentNumber segment) { return fmt::format("{}{:016x}", kSegmentPrefix, segment.value); }
std::string blob_entry(const std::string& blob) { return std::string(kBlobPrefix) + blob; }

std::vector<SegmentInfo> Head::segments_in_use() const {
  std::vector<SegmentInfo> in_use;
  for (const auto& [number, entry] : segments) {
    if (entry.in_use()) in_use.push_back({SegmentNumber{number}, entry.size});
  }
  return in_use;
}

std::vector<std::string> Head::blob_names() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : blobs) names.push_back(name);
  return names;
}

ObjectRead head_read(const std::string& log, bool entries) {
  ObjectRead read;
  read.object = head_object(log);
  read.attributes = true;
  read.entries = entries;
  return read;
}

ObjectWrite handover_request(const std::string& log, std::uint64_t epoch) {
  return owner_request(log, epoch, kAttributeHandover, encode_epoch(epoch));
}

ObjectWrite trim_request(const std::string& log, std::uint64_t epoch, const Trim& trim) {
  return owner_request(log, epoch, kAttributeTrim, encode(trim, epoch));
}

ObjectRead segment_read(const std::string& log, SegmentNumber segment, std::uint64_t offset, std::size_t length) {
  ObjectRead read;
  read.object = segment_object(log, segment);
  read.offset = offset;
  read.length = length;
  return read;
}

std::string encode(const Owner& owner) {
  const std::string serves = owner.serves.empty() ? "" : fmt::format("serves={}\n", printable(owner.serves));
  return fmt::format("state={}\nidentity={}\nhost={}\nprocess={}\nclient={}\nmac={}\n{}lease={}\nrenewal={}\n",
                     owner.state == Owner::State::kActive ? "active" : "released", printable(owner.identity),
                     printable(owner.host), owner.process, printable(owner.client), printable(owner.mac), serves,
                     owner.lease, owner.renewal);
}

std::string encode(const Trim& trim, std::uint64_t epoch) {
  return fmt::format("epoch={}\nid={}\nfirst-kept={}\n", epoch, trim.id, trim.first_kept.value);
}

std::vector<std::byte> encode(const SegmentEntry& entry) {
  std::vector<std::byte> bytes(kSegmentEntrySize);
  bytes[0] = static_cast<std::byte>(entry.state);
  store_le<std::uint64_t>(bytes.data() + 1, entry.size);
  return bytes;
}

Result<Head> decode_head(const Finished& read, const std::string& place) {
  const auto broken = [&](const std::string& what) {
    return fail(Error::Kind::kCorrupt, fmt::format("{}: the head object's {} makes no sense", place, what));
  };
  Head head;
  const auto epoch = read.attributes.find(kAttributeEpoch);
  if (epoch == read.attributes.end()) {
    return fail(Error::Kind::kIncompatible,
                fmt::format("{}: an object with a log's name that is none: give another namespace or log", place));
  }
  // First of all: what else is there may have another meaning.
  if (const auto format = read.attributes.find(kAttributeFormat); format != read.attributes.end()) {
    const auto number = number_in<std::uint64_t>(format->second);
    if (!number || *number == 0) return broken("format");
    if (*number > kNewestFormat) {
      return fail(Error::Kind::kIncompatible,
                  fmt::format("{}: written by a newer version of holdfast (format {}, this one knows {}): upgrade this "
                              "node first",
                              place, *number, kNewestFormat));
    }
  }
  const auto value = number_in<std::uint64_t>(epoch->second);
  // Guards compare text: a number that is written in another way would never be met, and there must be a next one.
  if (!value || *value == 0 || *value == kNoEpoch || epoch->second != encode_epoch(*value)) return broken("epoch");
  head.epoch = *value;
  if (const auto owner = read.attributes.find(kAttributeOwner); owner != read.attributes.end()) {
    head.owner = decode_owner(owner->second);
    head.owner_text = owner->second;
    if (!head.owner) return broken("owner");
  }
  if (const auto wanted = read.attributes.find(kAttributeHandover); wanted != read.attributes.end()) {
    head.wanted = number_in<std::uint64_t>(wanted->second) == head.epoch;
  }
  head.trim_asked = decode_trim(read, kAttributeTrim, head.epoch);
  head.trim_done = decode_trim(read, kAttributeTrimmed, head.epoch);
  const auto newer = [&](const std::string& what) {
    return fail(Error::Kind::kIncompatible,
                fmt::format("{}: a newer version of this program wrote the head object: it has {}", place, what));
  };
  for (const auto& [key, bytes] : read.entries) {
    if (key.starts_with(kBlobPrefix)) {
      head.blobs.emplace(key.substr(kBlobPrefix.size()), bytes);
      continue;
    }
    const bool making = key.starts_with(kMakingPrefix);
    if (!making && !key.starts_with(kSegmentPrefix)) return newer("an entry of an unknown kind");
    // The state comes first, whatever follows it.
    if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) > kHighestState) {
      return newer("a segment in an unknown state");
    }
    const std::string_view prefix = making ? kMakingPrefix : kSegmentPrefix;
    const bool is_segment = key.starts_with(prefix) && key.size() == prefix.size() + 16;
    const auto segment = is_segment ? number_in<std::uint64_t>(key.substr(prefix.size()), 16) : std::nullopt;
    const auto entry = segment ? decode_segment(bytes) : std::nullopt;
    if (!entry || making != (entry->state == SegmentState::kMaking)) return broken("list of segments");
    const SegmentNumber found{*segment};
    if (key != (making ? making_entry(found) : segment_entry(found))) return broken("list of segments");
    // In the order of the names: what was made stands where both are.
    head.segments[*segment] = *entry;
  }
  return head;
}

std::string describe(const Owner& owner) { return fmt::format("{}, process {}", owner.host, owner.process); }

}  // namespace holdfast::location::rados
