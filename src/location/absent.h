// In the place of a location that cannot be reached (its disk is lost, its directory not there): each operation fails
// with the reason. So a log with enough other locations opens without it, and one without says what is wrong.
#pragma once

#include <vector>

#include "location/location.h"

namespace holdfast::location {

class Absent final : public Location {
 public:
  Absent(std::string name, const Error& reason) : name_(std::move(name)), reason_{Error::Kind::kIo, reason.message} {}

  const std::string& name() const override { return name_; }
  Result<void> lock(Duration /*bound*/) override { return failed(); }
  bool has_owner() const override { return true; }
  Result<std::vector<SegmentInfo>> segments() override { return failed(); }
  Result<void> read(SegmentNumber /*segment*/, std::uint64_t /*offset*/, MutableBytes /*into*/) override {
    return failed();
  }
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& /*blob*/) override { return failed(); }
  Result<std::vector<std::string>> blobs() override { return failed(); }
  Result<void> write_blob(const std::string& /*blob*/, Bytes /*content*/) override { return failed(); }
  Result<void> remove_blob(const std::string& /*blob*/) override { return failed(); }

  void write(Token token, SegmentNumber /*segment*/, std::uint64_t /*offset*/, Bytes /*bytes*/) override {
    finish(token);
  }
  void prepare(Token token, SegmentNumber /*segment*/, std::uint64_t /*size*/) override { finish(token); }
  void recycle(Token token, SegmentNumber /*from*/, SegmentNumber /*to*/) override { finish(token); }
  void remove(Token token, SegmentNumber /*segment*/) override { finish(token); }
  void replace_blob(Token token, const std::string& /*blob*/, Bytes /*content*/) override { finish(token); }
  std::size_t poll(std::span<Completion> out) override;
  std::size_t in_flight() const override { return finished_.size(); }

 private:
  std::unexpected<Error> failed() const { return std::unexpected(reason_); }
  void finish(Token token) { finished_.push_back(token); }

  std::string name_;
  Error reason_;
  std::vector<Token> finished_;  // and not reported yet
};

}  // namespace holdfast::location
