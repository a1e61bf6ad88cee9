#include "cluster/placement.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/endian.h"

namespace holdfast::cluster {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};

// Rendezvous hashing: the higher, the rather. The identities are random: a fixed key will do.
std::uint64_t weight(const std::string& identity, Bucket bucket) {
  std::vector<std::byte> input(4 + identity.size());
  store_be32(input.data(), bucket);
  std::ranges::transform(identity, input.begin() + 4, [](char c) { return std::byte(c); });
  return prf(Secret{}, input);
}

class Plan {
 public:
  Plan(std::span<const Placed> members, std::uint32_t buckets) : owner_(buckets, kNone), taker_(buckets, kNone) {
    for (const auto& member : members) members_.push_back(&member);
    std::ranges::sort(members_, {}, [](const Placed* member) -> const std::string& { return member->identity; });
    load_.resize(members_.size());
    gives_.resize(members_.size());
    takes_.resize(members_.size());
    for (std::size_t m = 0; m < members_.size(); ++m) {
      active_ += members_[m]->leaving ? 0 : 1;
      for (const Bucket bucket : members_[m]->serving) {
        if (bucket < buckets && owner_[bucket] == kNone) owner_[bucket] = m;
      }
    }
    for (std::size_t m = 0; m < members_.size(); ++m) {
      for (const Bucket bucket : members_[m]->acquiring) {
        if (bucket >= buckets || owner_[bucket] == m || taker_[bucket] != kNone) continue;
        taker_[bucket] = m;
        takes_[m] = true;  // also where its former owner has given it back already
        if (owner_[bucket] != kNone) gives_[owner_[bucket]] = true;
      }
    }
    // As it will be when what has begun is done.
    for (Bucket bucket = 0; bucket < buckets; ++bucket) {
      const std::size_t m = taker_[bucket] != kNone ? taker_[bucket] : owner_[bucket];
      if (m != kNone) ++load_[m];
    }
  }

  std::vector<Step> steps() {
    if (active_ == 0) return {};
    for (Bucket bucket = 0; bucket < owner_.size(); ++bucket) {
      if (owner_[bucket] == kNone && taker_[bucket] == kNone) take(bucket);
    }
    while (move()) {
    }
    return steps_;
  }

 private:
  bool active(std::size_t m) const { return !members_[m]->leaving; }

  // The fullest that a node may become with one more: no fuller than any needs to be.
  bool has_room(std::size_t m) const {
    const std::size_t floor = owner_.size() / active_, extra = owner_.size() % active_;
    if (load_[m] < floor) return true;
    std::size_t above = 0;
    for (std::size_t other = 0; other < members_.size(); ++other) {
      if (active(other) && load_[other] > floor) ++above;
    }
    return load_[m] == floor && above < extra;
  }

  void take(Bucket bucket) {
    std::size_t best = kNone;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      if (!active(m) || !has_room(m)) continue;
      if (best == kNone || weight(members_[m]->identity, bucket) > weight(members_[best]->identity, bucket)) best = m;
    }
    if (best == kNone) best = emptiest(false);
    taker_[bucket] = best;
    ++load_[best];
    steps_.push_back({bucket, members_[best]->identity, {}});
  }

  // Of those that are not about to take one already, where asked for.
  std::size_t emptiest(bool idle) const {
    std::size_t best = kNone;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      if (!active(m) || (idle && takes_[m])) continue;
      if (best == kNone || load_[m] < load_[best]) best = m;
    }
    return best;
  }

  // A node that stays gives one at a time, too.
  std::size_t giver() const {
    std::size_t best = kNone;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      if (!active(m) && load_[m] > 0 && movable(m)) return m;
      if (!active(m) || gives_[m] || !movable(m)) continue;
      if (best == kNone || load_[m] > load_[best]) best = m;
    }
    return best;
  }

  bool movable(std::size_t m) const {
    for (Bucket bucket = 0; bucket < owner_.size(); ++bucket) {
      if (owner_[bucket] == m && taker_[bucket] == kNone) return true;
    }
    return false;
  }

  bool move() {
    const std::size_t to = emptiest(true), from = giver();
    if (to == kNone || from == kNone || from == to) return false;
    if (active(from) && load_[from] < load_[to] + 2) return false;
    std::optional<Bucket> chosen;
    for (Bucket bucket = 0; bucket < owner_.size(); ++bucket) {
      if (owner_[bucket] != from || taker_[bucket] != kNone) continue;
      const std::string& identity = members_[to]->identity;
      if (!chosen || weight(identity, bucket) > weight(identity, *chosen)) chosen = bucket;
    }
    taker_[*chosen] = to;
    --load_[from];
    ++load_[to];
    gives_[from] = true;
    takes_[to] = true;
    steps_.push_back({*chosen, members_[to]->identity, members_[from]->identity});
    return true;
  }

  std::vector<const Placed*> members_;
  std::size_t active_ = 0;
  std::vector<std::size_t> owner_, taker_;  // by bucket
  std::vector<std::size_t> load_;           // by member
  std::vector<bool> gives_, takes_;         // by member: moves that have begun
  std::vector<Step> steps_;
};

}  // namespace

std::vector<Step> next_steps(std::span<const Placed> members, std::uint32_t buckets) {
  return Plan(members, buckets).steps();
}

}  // namespace holdfast::cluster
