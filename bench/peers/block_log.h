// The storage of the kernel-TCP peers: an append-only log in one preallocated, recycled file, written by io_uring with
// O_DIRECT|O_DSYNC and several blocks in flight. It is what a careful server would do with stock parts: every byte is
// stored with the connection that it came from, so that it could be recovered. It keeps no checksums (Holdfast's log
// does), which is in the peer's favour.
//
// A block is a header (its number and length), then records (connection, length, bytes), padded to 4 KiB.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

namespace holdfast::bench {

class BlockLog {
 public:
  struct Config {
    std::string path;  // on a file system that takes O_DIRECT
    std::uint64_t file_bytes =
        1U << 30;  // written with zeros before use: unwritten extents would cost a journal commit each
    std::size_t block_bytes = 512U << 10;
    unsigned depth = 4;  // blocks in flight; one more is being filled
  };

  explicit BlockLog(const Config& config);
  BlockLog(const BlockLog&) = delete;
  BlockLog& operator=(const BlockLog&) = delete;
  ~BlockLog();

  // Where the next record's bytes may be read into. Never empty: a block with less than `at_least` bytes of room is
  // sent off first, which waits for a block to come free if all are in flight.
  std::span<std::byte> room(std::size_t at_least);
  // The first `bytes` of room() are a record of `connection`. Returns the number of the block that holds it.
  std::uint64_t append(std::uint64_t connection, std::size_t bytes);

  bool empty() const { return used_ == kBlockHeader; }  // nothing in the block being filled
  bool can_submit() const { return in_flight_.size() < depth_; }
  // Writes the block being filled, waiting for a free one if need be.
  void submit();
  // Takes in what the kernel has completed; with `wait`, at least one block.
  void reap(bool wait);
  // Every block up to this number is stored. Blocks count from 1.
  std::uint64_t durable() const { return durable_; }
  // Readable when there is something to reap.
  int poll_fd() const { return ring_.ring_fd; }

 private:
  static constexpr std::size_t kBlockHeader = 16;
  static constexpr std::size_t kRecordHeader = 16;
  struct InFlight {
    std::uint64_t number;
    unsigned buffer;
    unsigned length;
    bool done;
  };

  std::byte* buffer(unsigned index) { return buffers_ + std::size_t{index} * block_bytes_; }

  int file_ = -1;
  io_uring ring_{};
  std::uint64_t file_bytes_;
  std::size_t block_bytes_;
  unsigned depth_;
  std::byte* buffers_ = nullptr;
  std::vector<unsigned> free_;
  unsigned current_ = 0;
  std::size_t used_ = kBlockHeader;
  std::uint64_t number_ = 1;        // of the block being filled
  std::uint64_t offset_ = 0;        // where it will be written
  std::deque<InFlight> in_flight_;  // by number: the front is the oldest
  std::uint64_t durable_ = 0;
};

// Makes `path` a file of `bytes` bytes that are all written, and flushes it.
int create_written_file(const std::string& path, std::uint64_t bytes, int extra_flags);

}  // namespace holdfast::bench
