// The reader's side of a location's directory: beside a running writer, or after it. Opens for reading only.
#include <fmt/core.h>

#include <deque>

#include "location/directory.h"
#include "location/writer_lock.h"

namespace holdfast::location {
namespace {

class ReadOnlyDirectory final : public Location {
 public:
  explicit ReadOnlyDirectory(Files files) : files_(std::move(files)) {}

  const std::string& name() const override { return files_.path(); }
  bool has_owner() const override { return is_locked(files_); }
  Result<std::vector<SegmentInfo>> segments() override { return files_.segments(); }
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override {
    return files_.read(segment, offset, into);
  }
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) override {
    return files_.read_blob(blob);
  }
  Result<std::vector<std::string>> blobs() override { return files_.blobs(); }

  Result<void> lock(Duration /*bound*/) override { return std::unexpected(refusal()); }
  Result<void> write_blob(const std::string& /*blob*/, Bytes /*content*/) override {
    return std::unexpected(refusal());
  }
  Result<void> remove_blob(const std::string& /*blob*/) override { return std::unexpected(refusal()); }
  void write(Token token, SegmentNumber /*segment*/, std::uint64_t /*offset*/, Bytes /*bytes*/) override {
    refuse(token);
  }
  void prepare(Token token, SegmentNumber /*segment*/, std::uint64_t /*size*/) override { refuse(token); }
  void recycle(Token token, SegmentNumber /*from*/, SegmentNumber /*to*/) override { refuse(token); }
  void remove(Token token, SegmentNumber /*segment*/) override { refuse(token); }
  void replace_blob(Token token, const std::string& /*blob*/, Bytes /*content*/) override { refuse(token); }

  std::size_t poll(std::span<Completion> out) override {
    std::size_t count = 0;
    for (; count < out.size() && !refused_.empty(); ++count) {
      out[count] = {refused_.front(), refusal()};
      refused_.pop_front();
    }
    return count;
  }
  std::size_t in_flight() const override { return refused_.size(); }

 private:
  Error refusal() const { return {Error::Kind::kUsage, fmt::format("{}: is open for reading only", files_.path())}; }
  void refuse(Token token) { refused_.push_back(token); }

  Files files_;
  std::deque<Token> refused_;
};

}  // namespace

Result<std::unique_ptr<Location>> open_directory_for_reading(const std::string& path) {
  auto files = Files::open(path);
  if (!files) return std::unexpected(files.error());
  return std::make_unique<ReadOnlyDirectory>(std::move(*files));
}

}  // namespace holdfast::location
