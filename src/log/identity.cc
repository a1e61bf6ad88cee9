#include "log/identity.h"

#include <fmt/core.h>

#include <cstring>
#include <string_view>

#include "base/crc32c.h"
#include "base/endian.h"

namespace holdfast::log {
namespace {

// Every blob: 8 bytes of magic, u32 format, u32 length of the whole, content, CRC32C over all before it.
constexpr std::size_t kPreamble = 16;
constexpr std::string_view kIdentityMagic = "HFIDENT1";
constexpr std::string_view kPromiseMagic = "HFPROMIS";
constexpr std::string_view kProgressMagic = "HFPROGRS";

class BlobWriter {
 public:
  explicit BlobWriter(std::string_view magic) {
    const Bytes name = std::as_bytes(std::span(magic));
    bytes_.assign(name.begin(), name.end());
    u32(kFormat);
    u32(0);
  }
  void u32(std::uint32_t value) { store(value); }
  void u64(std::uint64_t value) { store(value); }
  void raw(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::byte> finish() {
    store_le<std::uint32_t>(bytes_.data() + 12, static_cast<std::uint32_t>(bytes_.size() + 4));
    u32(crc32c(0, bytes_));
    return std::move(bytes_);
  }

 private:
  template <class T>
  void store(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    store_le<T>(bytes_.data() + bytes_.size() - sizeof value, value);
  }
  std::vector<std::byte> bytes_;
};

// Reads past the end give zeros and are remembered.
class BlobReader {
 public:
  explicit BlobReader(Bytes content) : content_(content) {}
  std::uint32_t u32() { return load<std::uint32_t>(); }
  std::uint64_t u64() { return load<std::uint64_t>(); }
  template <std::size_t N>
  void raw(std::array<std::byte, N>& out) {
    if (!take(N)) return;
    std::memcpy(out.data(), content_.data() + at_ - N, N);
  }
  bool complete() const { return !overrun_ && at_ == content_.size(); }

 private:
  bool take(std::size_t n) {
    if (content_.size() - at_ < n) overrun_ = true;
    if (overrun_) return false;
    at_ += n;
    return true;
  }
  template <class T>
  T load() {
    return take(sizeof(T)) ? load_le<T>(content_.data() + at_ - sizeof(T)) : T{0};
  }
  Bytes content_;
  std::size_t at_ = 0;
  bool overrun_ = false;
};

std::unexpected<Error> damaged(const std::string& location, const char* what) {
  return fail(Error::Kind::kCorrupt,
              fmt::format("{}: the {} record is damaged: leave this directory out, or give an empty one in its place",
                          location, what));
}

// The content between preamble and checksum.
Result<Bytes> open_blob(Bytes blob, std::string_view magic, const std::string& location, const char* what) {
  // The checksum first, which every format has at this place: a flipped bit must not look like a newer program's work.
  if (blob.size() < kPreamble + 4) return damaged(location, what);
  const std::size_t end = blob.size() - 4;
  const bool intact = load_le<std::uint32_t>(blob.data() + 12) == blob.size() &&
                      load_le<std::uint32_t>(blob.data() + end) == crc32c(0, blob.first(end));
  if (!intact) return damaged(location, what);
  if (std::memcmp(blob.data(), magic.data(), magic.size()) != 0) {
    return fail(Error::Kind::kIncompatible,
                fmt::format("{}: the {} record is not one of holdfast's: give another directory", location, what));
  }
  const auto format = load_le<std::uint32_t>(blob.data() + 8);
  if (format > kFormat) {
    return fail(
        Error::Kind::kIncompatible,
        fmt::format("{}: format {}, this program knows up to {}: use a newer holdfast", location, format, kFormat));
  }
  return blob.subspan(kPreamble, end - kPreamble);
}

}  // namespace

std::vector<std::byte> encode(const Identity& identity) {
  BlobWriter out(kIdentityMagic);
  out.raw(identity.log_id);
  out.u64(identity.segment_size);
  out.u64(identity.generation);
  out.u32(static_cast<std::uint32_t>(identity.members.size()));
  out.u32(identity.stored_on);
  out.u32(identity.index);
  out.u32(identity.refilling ? 1 : 0);
  for (const Secret* secret :
       {&identity.secrets.mac, &identity.secrets.isn, &identity.secrets.timestamp, &identity.secrets.cookie}) {
    out.raw(secret->key);
  }
  for (const std::uint64_t member : identity.members) out.u64(member);
  return out.finish();
}

Result<Identity> decode_identity(Bytes blob, const std::string& location) {
  const auto content = open_blob(blob, kIdentityMagic, location, "identity");
  if (!content) return std::unexpected(content.error());
  BlobReader in(*content);
  Identity identity;
  in.raw(identity.log_id);
  identity.segment_size = in.u64();
  identity.generation = in.u64();
  const std::uint32_t replicas = in.u32();
  identity.stored_on = in.u32();
  identity.index = in.u32();
  identity.refilling = in.u32() != 0;
  for (Secret* secret :
       {&identity.secrets.mac, &identity.secrets.isn, &identity.secrets.timestamp, &identity.secrets.cookie}) {
    in.raw(secret->key);
  }
  if (replicas == 0 || replicas > kMaxReplicas) return damaged(location, "identity");
  for (std::uint32_t i = 0; i < replicas; ++i) identity.members.push_back(in.u64());
  const bool sane = in.complete() && identity.index < replicas && identity.stored_on >= 1 &&
                    identity.stored_on <= replicas && identity.segment_size >= kMinSegment &&
                    identity.segment_size <= kMaxSegment && identity.segment_size % kMinSegment == 0;
  if (!sane) return damaged(location, "identity");
  return identity;
}

std::vector<std::byte> encode(const Promise& promise) {
  BlobWriter out(kPromiseMagic);
  out.raw(promise.log_id);
  out.u64(promise.epoch.counter);
  out.u64(promise.epoch.id);
  return out.finish();
}

Result<Promise> decode_promise(Bytes blob, const std::string& location) {
  const auto content = open_blob(blob, kPromiseMagic, location, "promise");
  if (!content) return std::unexpected(content.error());
  BlobReader in(*content);
  Promise promise;
  in.raw(promise.log_id);
  promise.epoch.counter = in.u64();
  promise.epoch.id = in.u64();
  if (!in.complete()) return damaged(location, "promise");
  return promise;
}

std::vector<std::byte> encode(const Progress& progress) {
  BlobWriter out(kProgressMagic);
  out.raw(progress.log_id);
  out.u64(progress.lsn.value);
  return out.finish();
}

Result<Progress> decode_progress(Bytes blob, const std::string& location) {
  const auto content = open_blob(blob, kProgressMagic, location, "progress");
  if (!content) return std::unexpected(content.error());
  BlobReader in(*content);
  Progress progress;
  in.raw(progress.log_id);
  progress.lsn = Lsn{in.u64()};
  if (!in.complete()) return damaged(location, "progress");
  return progress;
}

std::string to_string(const LogId& id) {
  std::string text;
  for (const std::byte b : id) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

}  // namespace holdfast::log
