#include "log/footer_writer.h"

#include <algorithm>

namespace holdfast::log {

void FooterWriter::add(const SegmentIndex& index, ReplicaSet wanted) {
  if (index.batches().empty()) return;
  if (footers_.size() >= kMaxOutstanding) {
    const auto idle = std::ranges::find(footers_, ReplicaSet{0}, &Footer::writing);
    if (idle == footers_.end()) return;
    footers_.erase(idle);
  }
  Footer footer{index.segment(), index.last_lsn(), AlignedBuffer(index.footer_size()), wanted, 0};
  index.encode(key_, footer.buffer.bytes());
  footers_.push_back(std::move(footer));
}

std::optional<FooterWriter::Write> FooterWriter::next(unsigned replica, Lsn prefix) {
  const ReplicaSet bit = replica_bit(replica);
  for (Footer& footer : footers_) {
    if ((footer.wanted & bit) == 0 || footer.last_lsn > prefix) continue;
    footer.wanted &= ~bit;
    footer.writing |= bit;
    return Write{footer.segment, key_.segment_size - footer.buffer.size(), footer.buffer.bytes()};
  }
  return std::nullopt;
}

void FooterWriter::written(unsigned replica, SegmentNumber segment) {
  for (Footer& footer : footers_) {
    if (footer.segment == segment) footer.writing &= ~replica_bit(replica);
  }
  drop_finished();
}

bool FooterWriter::give_up(unsigned replica, SegmentNumber before) {
  bool writing = false;
  for (Footer& footer : footers_) {
    if (footer.segment >= before) continue;
    footer.wanted &= ~replica_bit(replica);
    writing |= (footer.writing & replica_bit(replica)) != 0;
  }
  drop_finished();
  return writing;
}

void FooterWriter::abandon(unsigned replica) {
  for (Footer& footer : footers_) footer.wanted &= ~replica_bit(replica);
  drop_finished();
}

void FooterWriter::drop_finished() {
  std::erase_if(footers_, [](const Footer& footer) { return (footer.wanted | footer.writing) == 0; });
}

}  // namespace holdfast::log
