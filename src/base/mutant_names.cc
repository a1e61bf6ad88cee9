#include "base/mutant_names.h"

#include <array>
#include <cstddef>

#include "base/assert.h"

namespace holdfast {

namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, static_cast<std::size_t>(Mutant::kCount)> kNames = {"none",
                                                                                           "gate-off",
                                                                                           "ack-raw-stored-edge",
                                                                                           "refuse-before-recovery",
                                                                                           "window-without-room",
                                                                                           "syn-ack-before-record",
                                                                                           "reset-before-close-record",
                                                                                           "outbound-unstored",
                                                                                           "fin-ack-unstored",
                                                                                           "stream-id-reused",
                                                                                           "clock-leaps",
                                                                                           "copy-too-many",
                                                                                           "step-n-unstored",
                                                                                           "ask-at-once",
                                                                                           "last-ack-from-released",
                                                                                           "reset-against-one-edge",
                                                                                           "window-counted-twice",
                                                                                           "duplicate-draws-ack",
                                                                                           "sack-above-unreleased",
                                                                                           "time-wait-skipped",
                                                                                           "reassembly-keeps-overlap",
                                                                                           "cookie-unchecked",
                                                                                           "cookie-timestamp-ahead",
                                                                                           "longest-log-wins",
                                                                                           "no-promise",
                                                                                           "count-beyond-prefix",
                                                                                           "no-mac",
                                                                                           "one-copy-is-enough",
                                                                                           "reuse-old-segment",
                                                                                           "failed-write-counts",
                                                                                           "ignore-payload-crc",
                                                                                           "release-unmarked",
                                                                                           "release-needed",
                                                                                           "cookie-key-forgotten",
                                                                                           "cookie-used-twice",
                                                                                           "lock-another-file",
                                                                                           "ways-echo-unchecked",
                                                                                           "ways-nonce-without-isns",
                                                                                           "ways-nonce-repeats",
                                                                                           "ways-cookie-unproved",
                                                                                           "ways-ack-unchecked",
                                                                                           "ways-any-step",
                                                                                           "ways-send-unstored",
                                                                                           "ways-certify-uncounted",
                                                                                           "ways-few-taken",
                                                                                           "ways-no-proof",
                                                                                           "ways-forget-nonce",
                                                                                           "ways-old-unanswered",
                                                                                           "ways-settle-larger",
                                                                                           "ways-fall-back-late",
                                                                                           "ways-never-stops",
                                                                                           "ways-gives-up-silently",
                                                                                           "pool-no-guard",
                                                                                           "pool-no-fence",
                                                                                           "pool-takes-blind",
                                                                                           "pool-used-unnamed",
                                                                                           "pool-unsettled",
                                                                                           "pool-timeout-done",
                                                                                           "pool-lapsed-reports",
                                                                                           "pool-out-of-turn",
                                                                                           "pool-looks-before",
                                                                                           "pool-fence-unawaited",
                                                                                           "pool-head-unguarded",
                                                                                           "pool-makes-blind",
                                                                                           "pool-removes-blind",
                                                                                           "pool-takes-renewed",
                                                                                           "pool-rests-early",
                                                                                           "pool-writes-asleep",
                                                                                           "pool-skips-awake",
                                                                                           "silent-is-empty",
                                                                                           "pool-fence-late"};

}  // namespace

std::string_view to_string(Mutant mutant) {
  HF_ASSERT(mutant < Mutant::kCount);
  return kNames[static_cast<std::size_t>(mutant)];
}

std::optional<Mutant> mutant_named(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Mutant>(i);
  }
  return std::nullopt;
}

}  // namespace holdfast
