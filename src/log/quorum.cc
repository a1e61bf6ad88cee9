#include "log/quorum.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::log {

void Prefix::complete(Lsn lsn) {
  if (HF_MUTANT(kCountBeyondPrefix)) {
    prefix_ = std::max(prefix_, lsn);
    done_ = 0;
    return;
  }
  HF_ASSERT(lsn > prefix_ && lsn.value - prefix_.value <= kSpan);
  done_ |= std::uint64_t{1} << (lsn.value - prefix_.value - 1);
  const auto run = static_cast<unsigned>(std::countr_one(done_));
  prefix_ = prefix_ + run;
  done_ = run == kSpan ? 0 : done_ >> run;
}

Lsn durable_on(std::span<Lsn> prefixes, unsigned stored_on) {
  HF_ASSERT(stored_on >= 1);
  const unsigned wanted = HF_MUTANT(kOneCopyIsEnough) ? 1 : stored_on;
  if (prefixes.size() < wanted) return Lsn{};
  std::ranges::sort(prefixes, std::greater<>{});
  return prefixes[wanted - 1];
}

}  // namespace holdfast::log
