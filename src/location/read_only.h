// A location that is open for reading only: what would change it is refused.
#pragma once

#include <fmt/core.h>

#include <deque>
#include <string>
#include <vector>

#include "location/location.h"

namespace holdfast::location {

class ReadOnly : public Location {
 public:
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
  Error refusal() const { return {Error::Kind::kUsage, fmt::format("{}: is open for reading only", name())}; }
  void refuse(Token token) { refused_.push_back(token); }

  std::deque<Token> refused_;
};

}  // namespace holdfast::location
