#include "ip/reassembly.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace holdfast::ip {

Reassembly::Reassembly(std::uint64_t& dropped)
    : dropped_(dropped),
      memory_(std::make_unique_for_overwrite<std::byte[]>(kBlocks * kBlock)),
      datagrams_(kDatagrams) {
  free_.reserve(kBlocks);
  for (std::size_t i = kBlocks; i > 0; --i) free_.push_back(static_cast<std::uint16_t>(i - 1));
}

std::optional<Reassembly::Whole> Reassembly::add(const wire::Ipv4Header& header, Bytes head, Bytes body, Time now,
                                                 MutableBytes into) {
  const std::size_t begin = header.fragment_offset;
  const std::size_t length = head.size() + body.size();
  const std::size_t end = begin + length;
  HF_ASSERT(length > 0 && length == header.payload_length() && end <= wire::kIpv4MaxDatagram);

  Datagram* datagram = find(header);
  if (datagram == nullptr) datagram = &open(header, now);
  if (datagram->rejected) return std::nullopt;

  const std::size_t first_unit = begin / kUnit;
  const std::size_t last_unit = (end - 1) / kUnit;
  std::size_t known = 0;
  for (std::size_t unit = first_unit; unit <= last_unit; ++unit) known += datagram->units[unit] ? 1U : 0U;
  const bool repeats = known == last_unit - first_unit + 1 && end <= datagram->end;
  if (!agrees(*datagram, header, end, repeats) ||
      (known > 0 && !(repeats && same_bytes(*datagram, begin, head, body))) || !make_room(*datagram, begin, end)) {
    reject(*datagram);
    return std::nullopt;
  }

  datagram->ecn_seen |= 1U << header.ecn;
  if (known == 0) {
    store(*datagram, begin, head);
    store(*datagram, begin + head.size(), body);
    for (std::size_t unit = first_unit; unit <= last_unit; ++unit) datagram->units.set(unit);
    datagram->received += length;
    datagram->end = std::max(datagram->end, end);
  }
  datagram->has_last |= !header.more_fragments;
  if (begin == 0 && !datagram->has_first) {
    datagram->has_first = true;
    datagram->first = header;
  }
  if (!datagram->has_last || datagram->received != datagram->end) return std::nullopt;
  return finish(*datagram, into);
}

bool Reassembly::expire(Time now, std::optional<Expired>& expired) {
  expired.reset();
  if (now < deadline_) return false;
  for (Datagram& datagram : datagrams_) {
    if (!datagram.in_use || now < datagram.expires) continue;
    if (datagram.has_first && !datagram.rejected) {
      const std::size_t quoted = std::min(kBlock, datagram.first.payload_length());
      expired = Expired{datagram.first, Bytes(memory_.get() + datagram.blocks[0] * kBlock, quoted)};
    }
    if (!datagram.rejected) ++dropped_;
    release_blocks(datagram);
    datagram.in_use = false;
    return true;
  }
  deadline_ = kNever;
  for (const Datagram& datagram : datagrams_) {
    if (datagram.in_use) deadline_ = std::min(deadline_, datagram.expires);
  }
  return false;
}

std::size_t Reassembly::datagrams() const {
  return static_cast<std::size_t>(
      std::count_if(datagrams_.begin(), datagrams_.end(), [](auto& d) { return d.in_use; }));
}

// RFC 791: fragments belong together that agree in these four.
Reassembly::Datagram* Reassembly::find(const wire::Ipv4Header& header) {
  for (Datagram& d : datagrams_) {
    if (d.in_use && d.first.id == header.id && d.first.source == header.source && d.first.protocol == header.protocol &&
        d.first.destination == header.destination) {
      return &d;
    }
  }
  return nullptr;
}

Reassembly::Datagram& Reassembly::open(const wire::Ipv4Header& header, Time now) {
  const auto of_source = std::count_if(datagrams_.begin(), datagrams_.end(),
                                       [&](auto& d) { return d.in_use && d.first.source == header.source; });
  Datagram* datagram = nullptr;
  if (static_cast<std::size_t>(of_source) >= kDatagramsPerSource) {
    datagram = oldest(header.source, nullptr, false);
  } else {
    const auto unused = std::find_if(datagrams_.begin(), datagrams_.end(), [](auto& d) { return !d.in_use; });
    datagram = unused != datagrams_.end() ? &*unused : oldest(std::nullopt, nullptr, false);
  }
  if (datagram->in_use) {
    if (!datagram->rejected) ++dropped_;
    release_blocks(*datagram);
  }
  *datagram = Datagram{};
  datagram->blocks.fill(kNoBlock);
  datagram->in_use = true;
  datagram->first = header;
  datagram->expires = now + kTimeout;
  deadline_ = std::min(deadline_, datagram->expires);
  return *datagram;
}

Reassembly::Datagram* Reassembly::oldest(std::optional<wire::Ipv4Address> source, const Datagram* but,
                                         bool with_blocks) {
  Datagram* found = nullptr;
  for (Datagram& d : datagrams_) {
    if (!d.in_use || &d == but || (with_blocks && d.block_count == 0) || (source && d.first.source != *source))
      continue;
    if (found == nullptr || d.expires < found->expires) found = &d;
  }
  return found;
}

// Gets blocks for [begin, end). What is oldest gives its memory up: of the same source, where that has more than its
// share.
bool Reassembly::make_room(Datagram& datagram, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin / kBlock; i <= (end - 1) / kBlock; ++i) {
    if (datagram.blocks[i] != kNoBlock) continue;
    std::size_t of_source = 0;
    for (const Datagram& d : datagrams_) {
      if (d.in_use && d.first.source == datagram.first.source) of_source += d.block_count;
    }
    Datagram* victim = nullptr;
    if (of_source >= kBlocksPerSource) {
      victim = oldest(datagram.first.source, &datagram, true);
    } else if (free_.empty()) {
      victim = oldest(std::nullopt, &datagram, true);
    }
    if (victim != nullptr) reject(*victim);
    if (free_.empty()) return false;
    datagram.blocks[i] = free_.back();
    free_.pop_back();
    ++datagram.block_count;
  }
  return true;
}

// Whether the fragment is of the same length of datagram as the ones before it. `repeats`: its place is filled already.
bool Reassembly::agrees(const Datagram& datagram, const wire::Ipv4Header& header, std::size_t end, bool repeats) {
  if (datagram.has_last) return header.more_fragments ? end < datagram.end : end == datagram.end;
  return header.more_fragments || (end > datagram.end && !repeats);
}

template <class Visit>
void Reassembly::for_each_piece(const Datagram& datagram, std::size_t begin, std::size_t length, Visit visit) const {
  while (length > 0) {
    const std::size_t in_block = begin % kBlock;
    const std::size_t part = std::min(length, kBlock - in_block);
    const std::uint16_t block = datagram.blocks[begin / kBlock];
    HF_ASSERT(block != kNoBlock);
    visit(MutableBytes(memory_.get() + block * kBlock + in_block, part));
    begin += part;
    length -= part;
  }
}

bool Reassembly::same_bytes(const Datagram& datagram, std::size_t begin, Bytes head, Bytes body) const {
  bool same = true;
  for (Bytes bytes : {head, body}) {
    for_each_piece(datagram, begin, bytes.size(), [&](MutableBytes piece) {
      same = same && std::memcmp(piece.data(), bytes.data(), piece.size()) == 0;
      bytes = bytes.subspan(piece.size());
    });
    begin += head.size();
  }
  return same;
}

void Reassembly::store(Datagram& datagram, std::size_t begin, Bytes bytes) {
  for_each_piece(datagram, begin, bytes.size(), [&](MutableBytes piece) {
    std::memcpy(piece.data(), bytes.data(), piece.size());
    bytes = bytes.subspan(piece.size());
  });
}

void Reassembly::reject(Datagram& datagram) {
  ++dropped_;
  datagram.rejected = true;
  release_blocks(datagram);
}

void Reassembly::release_blocks(Datagram& datagram) {
  for (std::uint16_t& block : datagram.blocks) {
    if (block != kNoBlock) free_.push_back(block);
    block = kNoBlock;
  }
  datagram.block_count = 0;
}

std::optional<Reassembly::Whole> Reassembly::finish(Datagram& datagram, MutableBytes into) {
  constexpr unsigned kNotCapable = 1U << 0;
  constexpr unsigned kCongestion = 1U << 3;
  // RFC 3168 section 5.3: congestion marked on any fragment is kept; together with one that is not capable of ECN it is
  // a fault.
  const bool marked = (datagram.ecn_seen & kCongestion) != 0;
  if (marked && (datagram.ecn_seen & kNotCapable) != 0) {
    reject(datagram);
    return std::nullopt;
  }
  HF_ASSERT(into.size() >= datagram.end);
  Whole whole;
  whole.length = datagram.end;
  whole.header = datagram.first;
  whole.header.header_length = wire::kIpv4MinHeader;
  whole.header.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + datagram.end);
  whole.header.more_fragments = false;
  if (marked) whole.header.ecn = 3;
  std::size_t copied = 0;
  for_each_piece(datagram, 0, datagram.end, [&](MutableBytes piece) {
    std::memcpy(into.data() + copied, piece.data(), piece.size());
    copied += piece.size();
  });
  release_blocks(datagram);
  datagram.in_use = false;
  return whole;
}

}  // namespace holdfast::ip
