// What is durable, by the oracle's own book-keeping: it reads the batches that the node writes as they pass to the
// disks, notes which disk has stored which, and says up to which batch the chain is on W disks, and what streams that
// makes.
//
// It shares the byte formats with the log (batch_codec.h, record_codec.h), and nothing of how the log decides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "log/batch_codec.h"
#include "log/record_codec.h"
#include "sim/context.h"
#include "sim/disk.h"
#include "wire/address.h"
#include "wire/seq.h"

namespace holdfast::sim {

// A stream as far as it is durable.
struct DurableStream {
  wire::FourTuple tuple;
  wire::SeqNum iss, irs;
  std::uint64_t in_end = 0, out_end = 0;  // stream offsets
  bool in_fin = false, out_fin = false;
  bool closed = false;
  bool established = false;  // a record says so, or inbound bytes
  // By segment: the first byte of each direction that lies there.
  std::map<std::uint64_t, std::uint64_t> in_parts{}, out_parts{};
  std::uint64_t in_fin_segment = 0, out_fin_segment = 0;
  // The batches that made this durable: a record with these initial sequence numbers; one that says "established".
  Lsn recorded{}, established_at{};
};

// Knows what a stream's bytes ought to be.
class StreamJudge {
 public:
  virtual ~StreamJudge() = default;
  // Bytes of the stream between these ends that the node wants stored. Fails the world where they are wrong.
  virtual void judge_stored(const DurableStream& stream, bool inbound, std::uint64_t offset, Bytes bytes, bool fin) = 0;
  // Another epoch is the log's: its start is on its way to the disks.
  virtual void epoch_begins() {}
};

class DurableModel : public DiskWatcher {
 public:
  DurableModel(Context& context, StreamJudge& judge, unsigned disks, unsigned stored_on);

  // To read the log's key from; set once.
  void watch(std::vector<const Contents*> disks) { disks_ = std::move(disks); }
  // The log has one owner after the other, on several nodes: nothing of an older epoch lands once a later one has
  // begun, and what each epoch had at its end is remembered (ended()).
  void watch_owners() { owners_ = true; }
  // Once a batch has been written.
  const std::optional<log::LogKey>& key() const { return key_; }
  // Where the chain ends at one disk, as far as it is whole there.
  std::optional<log::BatchPosition> last_on(unsigned disk);

  // ---- DiskWatcher ----
  void begun(unsigned disk, const location::PendingOperation& operation) override;
  void stored(unsigned disk, std::uint64_t operation) override;

  // Highest batch number of which a write has begun, in the epoch that is being written.
  Lsn issued() const { return issued_; }
  // The chain up to here is on W disks.
  Lsn durable() const { return durable_; }
  // The start of the epoch being written is durable.
  bool epoch_started() const { return epoch_start_ != Lsn{} && durable_ >= epoch_start_; }
  // How many disks hold the chain up to this batch.
  unsigned copies(Lsn lsn) const {
    return static_cast<unsigned>(std::ranges::count_if(prefix_, [lsn](Lsn prefix) { return prefix >= lsn; }));
  }
  // Disks that must answer for all that is durable to be found, whichever they are.
  unsigned needed() const { return std::max(stored_on_, static_cast<unsigned>(prefix_.size()) - stored_on_ + 1); }
  // The first of the newest `count` segments that hold something durable: these must be there, whatever is released.
  std::uint64_t newest_segments(std::uint64_t count) const;
  // That is being written.
  log::Epoch epoch() const { return epoch_; }
  // The stream as it was when this epoch came to its end; null where it had none of that name.
  const DurableStream* ended(log::Epoch epoch, const wire::FourTuple& tuple, wire::SeqNum iss) const;
  std::uint64_t epochs() const { return epochs_.size(); }
  // A process begins: whatever it says must rest on its own epoch.
  void new_life() { epoch_start_ = Lsn{}; }

  const DurableStream* find(const wire::FourTuple& tuple, wire::SeqNum iss) const;
  const std::map<StreamId, DurableStream>& streams() const { return streams_; }

 private:
  struct Effect {
    log::RecordType type = log::RecordType::kIn;
    StreamId stream;
    std::uint64_t begin = 0, end = 0;
    bool fin = false, echo = false, anew = false;
    std::uint64_t segment = 0;                // where it lies
    std::optional<DurableStream> connection;  // of a connection record
  };
  struct Batch {
    std::vector<Effect> effects;
    std::uint32_t on = 0;  // bit mask of disks
    log::BatchPosition at;
    std::uint32_t size = 0;
  };
  struct EpochInfo {
    log::Epoch previous;
    Lsn end_of_previous;
  };
  using BatchKey = std::pair<log::Epoch, std::uint64_t>;

  void check_released(const location::PendingOperation& operation);
  bool learn_key();
  void check_late(const log::BatchHeader& header);
  void read_batch(const log::BatchHeader& header, Bytes bytes);
  std::optional<Effect> read_record(const log::Record& record);
  void begin_epoch(const log::BatchHeader& header, Bytes epoch_start);
  // The epoch in whose chain the current epoch sees this batch.
  log::Epoch epoch_of(Lsn lsn) const;
  Batch* batch_at(Lsn lsn);
  void check_promise(log::Epoch epoch);
  void check_segment(unsigned disk, const log::BatchHeader& header);
  void look_at_disks(Lsn adopted_end);
  bool is_on_disk(const Contents& disk, const Batch& batch, Lsn lsn) const;
  void advance();
  void apply(const Effect& effect);
  void apply_connection(StreamId id, const DurableStream& connection);
  void apply_in(DurableStream& stream, const Effect& effect);
  void apply_out(DurableStream& stream, const Effect& effect);

  Context& context_;
  StreamJudge& judge_;
  unsigned stored_on_;
  std::vector<const Contents*> disks_;
  std::optional<log::LogKey> key_;

  std::map<BatchKey, Batch> batches_;
  std::map<log::Epoch, EpochInfo> epochs_;
  std::vector<std::map<std::uint64_t, std::vector<BatchKey>>> writing_;  // by disk: operation -> batches
  std::vector<std::map<std::uint64_t, log::Epoch>> segment_epochs_;      // by disk: who wrote into a segment
  log::Epoch epoch_;
  Lsn epoch_start_;
  Lsn issued_, durable_;
  std::vector<Lsn> prefix_;  // by disk: the chain is there up to this batch

  std::set<std::uint64_t> segments_;               // that hold something durable
  std::uint64_t mark_begun_ = 0, first_kept_ = 0;  // as durable checkpoints say; begun, complete

  using Streams = std::map<StreamId, DurableStream>;
  static const DurableStream* newest(const Streams& streams, const wire::FourTuple& tuple, wire::SeqNum iss);
  Streams streams_;  // durable
  bool owners_ = false;
  std::map<log::Epoch, Streams> ended_;      // as they were durable at the end of an epoch
  std::map<StreamId, DurableStream> names_;  // as last written: tuple and sequence numbers only
};

}  // namespace holdfast::sim
