// Tries to get a write of a former owner past the fence, on a real cluster: two programs, each an owner, which fence.py
// starts, stops and tells what to do, and one run after the other.
//
//   holdfast-pool-fence ADDRESS former       "run LOG": takes the log, writes, says "ready to write"; "go": leaves 128
//   writes on
//                                            their way and says "ready in flight"; "go": waits for them, "done N N …"
//   holdfast-pool-fence ADDRESS successor    "run LOG": takes the log and reads all of it, says "there N N …"; "go":
//   reads it
//                                            again, "changed" or "same"
//
// Writes are numbered from 1. What must hold: whatever the former owner was told is done is there for the successor;
// and after that nothing changes any more.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "location/rados/open.h"

namespace holdfast::location::rados {
namespace {

constexpr std::uint64_t kSegmentSize = 16U << 20;
constexpr std::size_t kWrite = 256U << 10;
constexpr std::size_t kSegments = 3;
constexpr std::size_t kSettled = 8;     // writes that are waited for
constexpr std::size_t kInFlight = 128;  // writes that are not

struct Side {
  std::unique_ptr<Ring> ring;
  std::unique_ptr<Pool> pool;
};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print("error {}\n", why);
  std::exit(1);
}

Side open_side(const Address& address, const std::string& identity) {
  Side side;
  auto ring = Ring::create();
  if (!ring) give_up(ring.error().message);
  side.ring = *std::move(ring);
  Self self;
  self.identity = self.host = identity;
  self.lease = std::chrono::milliseconds(100);
  auto pool = open_pool(address, self, *side.ring);
  if (!pool) give_up(pool.error().message);
  side.pool = *std::move(pool);
  return side;
}

void tell(const std::string& what) {
  fmt::print("{}\n", what);
  std::fflush(stdout);
}

void tell_and_wait(const std::string& what) {
  tell(what);
  std::string line;
  if (!std::getline(std::cin, line) || line != "go") std::exit(2);
}

// Counts completions; returns how many came without an error. Tokens of these are added.
std::size_t drain(Pool& pool, std::vector<Token>& done, std::vector<Token>& refused) {
  Completion completions[16];
  std::size_t count = 0;
  while (const std::size_t n = pool.poll(completions)) {
    for (std::size_t i = 0; i < n; ++i) (completions[i].error ? refused : done).push_back(completions[i].token);
    count += n;
  }
  return count;
}

void wait_for_all(Pool& pool, std::vector<Token>& done, std::vector<Token>& refused) {
  while (pool.in_flight() > 0) {
    if (drain(pool, done, refused) == 0) pool.wait();
  }
}

std::vector<std::byte> contents(Token token) {
  std::vector<std::byte> bytes(kWrite);
  for (std::size_t i = 0; i + sizeof token <= bytes.size(); i += sizeof token) {
    std::memcpy(bytes.data() + i, &token, sizeof token);
  }
  return bytes;
}

// Where write number `token` (from 1) goes: in turn to each segment.
SegmentNumber segment_of(Token token) { return SegmentNumber{1 + token % kSegments}; }
std::uint64_t offset_of(Token token) { return token / kSegments * kWrite; }

std::vector<std::vector<std::byte>> read_all(Pool& pool) {
  std::vector<std::vector<std::byte>> all;
  for (std::uint64_t number = 1; number <= kSegments; ++number) {
    std::vector<std::byte> bytes(kSegmentSize);
    // In pieces that are not kept, so that a second look is one.
    for (std::size_t at = 0; at < bytes.size(); at += kWrite) {
      auto read = pool.read(SegmentNumber{number}, at, MutableBytes(bytes).subspan(at, kWrite));
      if (!read) give_up(read.error().message);
    }
    all.push_back(std::move(bytes));
  }
  return all;
}

// At once, lease or no lease: that is not what keeps the former owner's writes out.
void take(Pool& pool) {
  while (!pool.owned()) {
    const auto head = pool.look();
    if (!head) continue;  // a stopped OSD's objects do not answer until it is missed
    if (const auto taken = pool.take(*head); !taken && taken.error().kind != Error::Kind::kTimeout) {
      give_up(taken.error().message);
    }
  }
}

std::string list(std::string text, std::vector<Token> tokens) {
  std::ranges::sort(tokens);
  for (const Token token : tokens) text += fmt::format(" {}", token);
  return text;
}

void former(const Address& address) {
  const Side side = open_side(address, "aaaa");
  Pool& pool = *side.pool;
  if (auto locked = pool.lock(std::chrono::seconds(30)); !locked) give_up(locked.error().message);
  std::vector<Token> done, refused;
  for (std::uint64_t number = 1; number <= kSegments; ++number) pool.prepare(0, SegmentNumber{number}, kSegmentSize);
  wait_for_all(pool, done, refused);
  std::vector<std::vector<std::byte>> buffers;
  Token token = 0;
  done.clear();
  const auto write = [&] {
    buffers.push_back(contents(++token));
    pool.write(token, segment_of(token), offset_of(token), buffers.back());
  };
  for (std::size_t i = 0; i < kSettled; ++i) write();
  wait_for_all(pool, done, refused);
  if (!refused.empty()) give_up("the owner's own writes are refused");
  tell_and_wait("ready to write");  // an OSD may be stopped now
  for (std::size_t i = 0; i < kInFlight; ++i) write();
  tell_and_wait("ready in flight");  // and so may we
  wait_for_all(pool, done, refused);
  tell(list("done", done));
  // Until it knows, if it does not yet.
  const Time bound = pool.store().now() + std::chrono::seconds(20);
  while (!pool.fenced() && pool.store().now() < bound) {
    pool.wait();
    drain(pool, done, refused);
  }
  tell(pool.fenced() ? "fenced" : "unaware");
}

void successor(const Address& address) {
  const Side side = open_side(address, "bbbb");
  Pool& pool = *side.pool;
  take(pool);
  const auto seen = read_all(pool);
  std::vector<Token> there;
  for (Token token = 1; token <= kSettled + kInFlight; ++token) {
    const auto wanted = contents(token);
    const auto& segment = seen[segment_of(token).value - 1];
    if (std::memcmp(segment.data() + offset_of(token), wanted.data(), kWrite) == 0) there.push_back(token);
  }
  tell_and_wait(list("there", there));
  tell(read_all(pool) == seen ? "same" : "changed");
}

}  // namespace
}  // namespace holdfast::location::rados

int main(int argc, char** argv) {
  using namespace holdfast::location::rados;
  auto address = argc == 3 ? parse_address(argv[1]) : std::unexpected(std::string("an address and a role are wanted"));
  if (!address) give_up(address.error());
  const std::string role = argv[2];
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.starts_with("run ")) give_up("told " + line);
    address->log = line.substr(4);
    if (role == "former") {
      former(*address);
    } else {
      successor(*address);
    }
  }
}
