#include "lab/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "lab/words.h"
#include "sim/prng.h"

namespace holdfast::lab {
namespace {

// Gathers one cell's runs.
class Gathering {
 public:
  explicit Gathering(const Conditions& conditions) { cell_.conditions = conditions; }

  void add(const Outcome& outcome) {
    ++cell_.runs;
    cell_.one_sided += outcome.one_sided ? 1 : 0;
    cell_.lasting += outcome.lasting ? 1 : 0;
    if (outcome.sides[0].established || outcome.sides[1].established) {
      half_open_.push_back(in_milliseconds(outcome.half_open));
    }
    if (!outcome.established()) {
      ++cell_.failures[std::string(failure_of(outcome))];
      return;
    }
    time_.push_back(in_milliseconds(outcome.time()));
    segments_.push_back(outcome.segments);
    bytes_.push_back(outcome.bytes);
    repeated_.push_back(outcome.repeated);
    for (const Side side : {Side::kInitiator, Side::kResponder}) add_side(side, outcome.of(side));
    ++cell_.established;
  }

  Cell finish() {
    cell_.time_ms = distribution(std::move(time_));
    cell_.segments = distribution(std::move(segments_));
    cell_.bytes = distribution(std::move(bytes_));
    cell_.repeated = distribution(std::move(repeated_));
    cell_.half_open_ms = distribution(std::move(half_open_));
    for (std::size_t side = 0; side < 2; ++side) {
      cell_.srtt_error[side] = distribution(std::move(srtt_error_[side]));
      cell_.rto[side] = distribution(std::move(rto_[side]));
    }
    return std::move(cell_);
  }

 private:
  void add_side(Side side, const SideOutcome& outcome) {
    const auto i = static_cast<std::size_t>(side);
    const unsigned copies = outcome.certificate.copies;
    cell_.certified[i] = cell_.established == 0 ? copies : std::min(cell_.certified[i], copies);
    cell_.short_runs[i] += outcome.certificate.short_steps > 0 ? 1 : 0;
    const double round_trip = in_milliseconds(cell_.conditions.round_trip());
    if (round_trip <= 0) return;
    if (outcome.smoothed_rtt > Duration::zero()) {
      srtt_error_[i].push_back(100 * std::abs(in_milliseconds(outcome.smoothed_rtt) - round_trip) / round_trip);
    }
    rto_[i].push_back(100 * in_milliseconds(outcome.retransmission_timeout) / round_trip);
  }

  Cell cell_;
  std::vector<double> time_, segments_, bytes_, repeated_, half_open_;
  std::array<std::vector<double>, 2> srtt_error_, rto_;
};

}  // namespace

std::vector<Conditions> Grid::cells() const {
  std::vector<Conditions> all;
  for (const Duration storage_latency : storage) {
    for (const Duration one_way : delay) {
      for (const std::uint32_t lost : loss) {
        for (const std::uint8_t n : ways) {
          Conditions cell = common;
          cell.ways = n;
          cell.loss = lost;
          cell.delay = one_way;
          cell.storage = storage_latency;
          all.push_back(cell);
        }
      }
    }
  }
  return all;
}

std::uint64_t seed_of(const Conditions& c, std::uint64_t seed, unsigned run) {
  const std::string part =
      fmt::format("{}/{}/{}/{}/{}/{}/{}/{}{}/{}/{}/{}", c.ways, c.loss, c.delay.count(), c.jitter.count(),
                  c.storage.count(), c.places(), c.stored_on, c.initiator_stores, c.responder_stores,
                  static_cast<int>(c.policy), c.roll_call_timeout.count(), run);
  return sim::Prng(seed, part).next();
}

Result<std::vector<Cell>> sweep(const Grid& grid, const std::function<bool(std::uint64_t done)>& go_on) {
  std::vector<Cell> cells;
  std::uint64_t done = 0;
  for (const Conditions& conditions : grid.cells()) {
    Gathering gathering(conditions);
    for (unsigned run = 0; run < grid.runs; ++run) {
      if (!go_on(done)) return cells;
      const auto outcome = shake_hands(conditions, seed_of(conditions, grid.seed, run));
      if (!outcome) return std::unexpected(outcome.error());
      gathering.add(*outcome);
      ++done;
    }
    cells.push_back(gathering.finish());
  }
  return cells;
}

}  // namespace holdfast::lab
