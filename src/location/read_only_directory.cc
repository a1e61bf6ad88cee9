// The reader's side of a location's directory: beside a running writer, or after it. Opens for reading only.
#include "location/directory.h"
#include "location/read_only.h"
#include "location/writer_lock.h"

namespace holdfast::location {
namespace {

class ReadOnlyDirectory final : public ReadOnly {
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

 private:
  Files files_;
};

}  // namespace

Result<std::unique_ptr<Location>> open_directory_for_reading(const std::string& path) {
  auto files = Files::open(path);
  if (!files) return std::unexpected(files.error());
  return std::make_unique<ReadOnlyDirectory>(std::move(*files));
}

}  // namespace holdfast::location
