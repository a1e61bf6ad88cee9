// Reading: what the head says, and the segments' bytes, ahead of who asks for them in order.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "location/rados/errors.h"
#include "location/rados/pool.h"

namespace holdfast::location::rados {
Result<std::vector<SegmentInfo>> Pool::segments() { return head_.segments_in_use(); }

Result<void> Pool::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) {
  const std::uint64_t size = size_of(segment);
  const ReadAhead::Piece first{segment, offset / ReadAhead::kPiece};
  const bool worthwhile = into.size() > ReadAhead::kPiece / 2 || !ahead_.lacks(first);
  if (!worthwhile || offset + into.size() > size) {
    return copy_data(ask_patiently(segment_read(log_, segment, offset, into.size())), into, place_, segment);
  }
  const std::uint64_t last = (offset + into.size() - 1) / ReadAhead::kPiece;
  const std::uint64_t end = std::min((size + ReadAhead::kPiece - 1) / ReadAhead::kPiece, last + 1 + ReadAhead::kAhead);
  for (std::uint64_t index = first.index; index < end; ++index) ask_for_piece({segment, index});
  for (std::uint64_t index = first.index; index <= last; ++index) {
    const auto got = piece({segment, index});
    if (!got.has_value()) return std::unexpected(got.error());
    const std::uint64_t begin = index * ReadAhead::kPiece;
    const std::uint64_t from = std::max(begin, offset), to = std::min(begin + (*got)->size(), offset + into.size());
    std::ranges::copy(Bytes(**got).subspan(from - begin, to - from),
                      into.begin() + static_cast<std::ptrdiff_t>(from - offset));
  }
  return {};
}

// A read may be done as often as one likes.
Finished Pool::ask_patiently(const ObjectRead& read) {
  while (true) {
    if (!unread_since_) unread_since_ = store_->now();
    Finished finished = ask(read);
    if (finished.outcome != Outcome::kUnknown) {
      unread_since_.reset();
      return finished;
    }
    // Not so long for each of many: who asks next is not more patient than who asked before.
    if (fenced_ || store_->now() >= *unread_since_ + patience_.reads) return finished;
  }
}

// 0 of a segment that is none of the log's.
std::uint64_t Pool::size_of(SegmentNumber segment) const {
  const auto entry = head_.segments.find(segment.value);
  return entry == head_.segments.end() ? 0 : entry->second.size;
}

std::size_t Pool::size_of(const ReadAhead::Piece& piece) const {
  const std::uint64_t size = size_of(piece.segment);
  const std::uint64_t begin = piece.index * ReadAhead::kPiece;
  return size <= begin ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(ReadAhead::kPiece, size - begin));
}

ObjectRead Pool::read_of(const ReadAhead::Piece& piece) const {
  return segment_read(log_, piece.segment, piece.index * ReadAhead::kPiece, size_of(piece));
}

void Pool::ask_for_piece(const ReadAhead::Piece& wanted) {
  if (!ahead_.lacks(wanted)) return;
  const std::uint64_t tag = next_tag_++ << 3 | kPiece;
  ahead_.asked_for(wanted, tag);
  pieces_[tag] = wanted;
  store_->submit(tag, read_of(wanted));
}

// One that was asked for, waited for. One that did not come is read by itself, for the reason.
Result<const std::vector<std::byte>*> Pool::piece(const ReadAhead::Piece& wanted) {
  while (true) {
    if (const auto* const bytes = ahead_.find(wanted)) return bytes;
    if (ahead_.lacks(wanted) || over()) break;
    store_->wait(due());
    work();
  }
  std::vector<std::byte> bytes(size_of(wanted));
  if (auto done = copy_data(ask_patiently(read_of(wanted)), bytes, place_, wanted.segment); !done) {
    return std::unexpected(done.error());
  }
  const std::uint64_t question = next_tag_++ << 3 | kPiece;
  ahead_.asked_for(wanted, question);
  ahead_.came(wanted, question, std::move(bytes));
  return ahead_.find(wanted);
}

Result<std::optional<std::vector<std::byte>>> Pool::read_blob(const std::string& blob) {
  const auto found = head_.blobs.find(blob);
  if (found == head_.blobs.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<std::string>> Pool::blobs() { return head_.blob_names(); }

}  // namespace holdfast::location::rados
