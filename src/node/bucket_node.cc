#include "node/bucket_node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "cluster/director.h"
#include "cluster/membership.h"
#include "cluster/placement.h"
#include "location/rados/librados_store.h"
#include "location/ring.h"
#include "node/bucket_worker.h"
#include "node/entropy.h"
#include "node/places.h"
#include "node/stop_signals.h"
#include "node/values.h"
#include "shard/clock.h"

namespace holdfast::node {
namespace {

using cluster::Bucket;
using cluster::Member;
using State = BucketWorker::State;

constexpr unsigned kBurst = 256;                               // frames between two looks at the rest
constexpr Duration kTick = std::chrono::milliseconds(50);      // at the latest
constexpr unsigned kStartsAtOnce = 4;                          // of workers
constexpr Duration kAskAgain = std::chrono::seconds(1);        // a request may not have been heard
constexpr Duration kMoveBound = std::chrono::seconds(10);      // then it is called off
constexpr Duration kEmptyBound = std::chrono::seconds(25);     // for others to take over what a leaving node has
constexpr Duration kStopBound = std::chrono::seconds(10);      // for workers to end
constexpr Duration kPassOnFor = std::chrono::seconds(1);       // after the last one has
constexpr Duration kAnnounceEvery = std::chrono::seconds(30);  // the node's own address

class BucketNode {
 public:
  BucketNode(const ServeCommand& command, std::unique_ptr<link::Tap> tap, const EventFile& events,
             const std::function<void()>& ready)
      : command_(command), options_(command.options), ready_(ready), tap_(std::move(tap)), events_(events) {}

  Result<void> start() {
    events_.write("started");
    auto ring = location::Ring::create();
    if (!ring) return std::unexpected(ring.error());
    ring_ = *std::move(ring);
    stop_ = std::make_unique<StopSignals>(*ring_);
    identity_number_ = command_.inherited.identity != 0 ? command_.inherited.identity : draw_seed();
    const auto self = who_we_are(identity_number_);
    identity_ = self.identity;
    mac_ = options_.link.mac.value_or(group_mac(identity_));
    own_.host = self.host;
    own_.process = self.process;
    own_.mac = mac_;
    if (options_.node_address) own_.address = options_.node_address->to_string();

    const auto address = pool_address(options_.data.front(), options_.group);
    if (!address) return std::unexpected(address.error());
    auto store = location::rados::open_store(*address, *ring_);
    if (!store) return std::unexpected(store.error());
    members_ = std::make_unique<cluster::Membership>(options_.group, identity_, *std::move(store), options_.lease);
    cluster::Buckets proposed{.count = options_.buckets, .key = {}};
    proposed.key.key = draw_entropy<16>();
    auto buckets = members_->open(proposed);
    if (!buckets) return std::unexpected(buckets.error());
    buckets_ = *buckets;
    director_ = std::make_unique<cluster::Director>(cluster::Director::Config{
        .mac = mac_,
        .service = options_.address.address,
        .node = options_.node_address ? std::optional(options_.node_address->address) : std::nullopt,
        .buckets = buckets_});
    if (auto prepared = prepare_workers(); !prepared) return prepared;
    resume();
    say();
    return {};
  }

  Result<void> run() {
    readable_ = std::make_unique<location::Readiness>(*ring_, tap_->fd(), POLLIN);
    while (!done_) {
      turn();
      if (tap_->failure()) return std::unexpected(*tap_->failure());
    }
    members_->leave();
    tell_counters();
    events_.write("stopped");
    return {};
  }

 private:
  Result<void> prepare_workers() {
    // They read the configuration that we have read.
    config_ = location::UniqueFd(::memfd_create("holdfast-config", MFD_CLOEXEC));
    const auto& text = command_.config_text;
    if (!config_ || ::pwrite(config_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      return fail(Error::Kind::kUnavailable, fmt::format("can't keep the configuration: {}", std::strerror(errno)));
    }
    for (const auto& argument : command_.arguments) {
      if (!argument.starts_with("--inherited-")) workers_command_.arguments.push_back(argument);
    }
    std::string key;
    for (const std::byte octet : buckets_.key.key) key += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
    for (const auto& argument :
         {fmt::format("--inherited-keeper={}", ::getpid()), fmt::format("--inherited-link={}", tap_->fd()),
          fmt::format("--inherited-config={}", config_.get()), fmt::format("--inherited-identity={}", identity_number_),
          fmt::format("--inherited-key={}", key)}) {
      workers_command_.arguments.push_back(argument);
    }
    workers_command_.inherited = {tap_->fd(), config_.get()};
    for (Bucket bucket = 0; bucket < buckets_.count; ++bucket) {
      workers_.push_back(std::make_unique<BucketWorker>(bucket, workers_command_, events_, *ring_));
    }
    moves_.resize(buckets_.count);
    last_owners_.resize(buckets_.count);
    return {};
  }

  // The process before this one has died, and with it its workers. Their logs are this node's still, and nobody else
  // waits for them yet.
  void resume() {
    const Time now = shard::monotonic_now();
    for (const auto& [bucket, epoch] : members_->had()) workers_[bucket]->resume(epoch, now);
    if (!members_->had().empty()) spdlog::warn("going on with {} buckets", members_->had().size());
  }

  void turn() {
    Time now = shard::monotonic_now();
    if (drained_) {
      readable_->arm();
      stop_->arm();
      for (const auto& worker : workers_) worker->arm();
      ring_->wait(std::max<Duration>(next_tick_ - now, Duration::zero()));
    } else {
      ring_->poll();
    }
    (void)readable_->take();
    take_frames();
    now = shard::monotonic_now();
    stop_->take();
    bool changed = false;
    for (const auto& worker : workers_) changed = worker->turn(now) || changed;
    if (members_->turn()) {
      changed = true;
      tell_members();
    }
    if (now >= next_tick_) {
      next_tick_ = now + kTick;
      changed = true;
    }
    if (changed) look_after(now);
  }

  // ---- Frames ----

  void take_frames() {
    drained_ = false;
    for (unsigned count = 0; count < kBurst; ++count) {
      const auto received = tap_->receive_whole();
      if (!received) {
        drained_ = true;
        return;
      }
      const auto decision = director_->decide(received->frame);
      switch (decision.verdict) {
        case cluster::Director::Verdict::kDrop:
          break;
        case cluster::Director::Verdict::kWorker:
          dropped_full_ += workers_[decision.bucket]->give(received->message) ? 0 : 1;
          break;
        case cluster::Director::Verdict::kAllWorkers:
          for (const auto& worker : workers_) {
            if (worker->holds() && !worker->give(received->message)) ++dropped_full_;
          }
          break;
        case cluster::Director::Verdict::kTransmit:
          tap_->transmit(decision.out);
          break;
      }
    }
  }

  // ---- Who has what ----

  void look_after(Time now) {
    notice_moves();
    if (stop_->asked() && !own_.leaving) begin_to_leave(now);
    if (!members_->sees()) {
      if (joined_ && !blind_) {
        spdlog::error("the service's members cannot be seen: {}", members_->problem());
        events_.write("blind", {{"reason", json_string(members_->problem())}});
      }
      blind_ = joined_;
    } else if (members_->settled()) {
      blind_ = false;
      if (!joined_) join();
      plan(now);
      pursue(now);
    }
    if (own_.leaving) go_on_leaving(now);
    say();
    direct();
    if (director_->announcement(announcement_) && now >= next_announcement_ && joined_) {
      tap_->transmit(announcement_);
      next_announcement_ = now + kAnnounceEvery;
    }
  }

  void join() {
    joined_ = true;
    spdlog::info("{} of {} on {}: {} buckets, {} other nodes", identity_, options_.group, options_.link.device,
                 buckets_.count, living().size());
    events_.write("joined", {{"identity", json_string(identity_)}, {"others", std::to_string(living().size())}});
    ready_();
  }

  std::vector<std::string> living() const {
    std::vector<std::string> found;
    for (const auto& [identity, member] : members_->others()) {
      if (members_->lives(identity)) found.push_back(identity);
    }
    return found;
  }

  // What has become of our buckets since the last look.
  void notice_moves() {
    for (Bucket bucket = 0; bucket < workers_.size(); ++bucket) {
      const bool serves = workers_[bucket]->state() == State::kServing;
      if (serves == served_.contains(bucket)) continue;
      if (serves) {
        served_.insert(bucket);
        spdlog::info("bucket {}: taken, we have {}", bucket, served_.size());
        events_.write("bucket-taken", {{"bucket", std::to_string(bucket)}, {"have", std::to_string(served_.size())}});
        moves_[bucket] = {};
      } else if (!workers_[bucket]->holds()) {
        served_.erase(bucket);
        spdlog::info("bucket {}: given, we have {}", bucket, served_.size());
        events_.write("bucket-given", {{"bucket", std::to_string(bucket)}, {"have", std::to_string(served_.size())}});
      }
    }
  }

  void plan(Time now) {
    std::vector<cluster::Placed> placed;
    for (const auto& [identity, member] : members_->others()) {
      if (!members_->lives(identity)) continue;
      cluster::Placed other{
          .identity = identity, .leaving = member.leaving, .serving = {}, .acquiring = member.acquiring};
      for (const auto& [bucket, epoch] : member.serving) {
        if (!taken_from(bucket, epoch)) other.serving.push_back(bucket);
      }
      placed.push_back(std::move(other));
    }
    cluster::Placed own{.identity = identity_, .leaving = own_.leaving, .serving = {}, .acquiring = {}};
    for (Bucket bucket = 0; bucket < workers_.size(); ++bucket) {
      const auto& worker = *workers_[bucket];
      if (worker.has()) own.serving.push_back(bucket);
      if (worker.acquires()) own.acquiring.push_back(bucket);
    }
    placed.push_back(std::move(own));
    for (const auto& step : cluster::next_steps(placed, buckets_.count)) {
      if (step.to == identity_) begin(step, now);
    }
  }

  // The other does not know yet that we have it now.
  bool taken_from(Bucket bucket, std::uint64_t epoch) const {
    return workers_[bucket]->holds() && workers_[bucket]->epoch() > epoch;
  }

  void begin(const cluster::Step& step, Time now) {
    auto& worker = *workers_[step.bucket];
    const auto starting = std::ranges::count_if(workers_, [](const auto& w) { return w->state() == State::kStarting; });
    if (worker.runs() || now < worker.retry_at() || starting >= static_cast<std::ptrdiff_t>(kStartsAtOnce)) return;
    if (!worker.start(now)) return;
    moves_[step.bucket] = {.from = step.from, .begun = now, .ask_at = now};
    if (step.from.empty()) {
      events_.write("bucket-taking", {{"bucket", std::to_string(step.bucket)}});
      return;
    }
    const std::string host = describe(step.from);
    spdlog::info("bucket {}: to be had from {}", step.bucket, host);
    events_.write("bucket-moving", {{"bucket", std::to_string(step.bucket)}, {"from", json_string(host)}});
  }

  std::string describe(const std::string& identity) const {
    const auto found = members_->others().find(identity);
    return found == members_->others().end() ? identity
                                             : fmt::format("{}, process {}", found->second.host, found->second.process);
  }

  struct Claim {
    std::string identity;
    std::uint64_t epoch = 0;
  };
  // Who of the others says that it has it, under the latest epoch.
  std::optional<Claim> claim(Bucket bucket, bool living_only) const {
    std::optional<Claim> best;
    for (const auto& [identity, member] : members_->others()) {
      const auto found = member.serving.find(bucket);
      if (found == member.serving.end() || (living_only && !members_->lives(identity))) continue;
      if (!best || found->second > best->epoch) best = Claim{identity, found->second};
    }
    return best;
  }

  // What was begun: asked for where another one has it, called off where that leads nowhere.
  void pursue(Time now) {
    for (Bucket bucket = 0; bucket < workers_.size(); ++bucket) {
      auto& worker = *workers_[bucket];
      if (!worker.seeks()) continue;
      auto& move = moves_[bucket];
      const auto owner = claim(bucket, true);
      const bool overdue = now >= move.begun + kMoveBound + 2 * options_.lease;
      if (own_.leaving || (owner && owner->identity != move.from) || (owner && overdue)) {
        worker.stop();
        continue;
      }
      if (!owner || worker.state() != State::kStandingBy || now < move.ask_at) continue;
      members_->ask_for(cluster::bucket_group(options_.group, bucket), owner->epoch);
      move.ask_at = now + kAskAgain;
    }
  }

  void say() {
    own_.serving.clear();
    own_.acquiring.clear();
    for (Bucket bucket = 0; bucket < workers_.size(); ++bucket) {
      const auto& worker = *workers_[bucket];
      if (worker.has()) own_.serving[bucket] = worker.epoch();
      if (worker.acquires()) own_.acquiring.push_back(bucket);
    }
    members_->say(own_);
  }

  void direct() {
    std::vector<wire::MacAddress> macs;
    for (const auto& [identity, member] : members_->others()) macs.push_back(member.mac);
    director_->set_members(std::move(macs));
    for (Bucket bucket = 0; bucket < workers_.size(); ++bucket) {
      const auto& worker = *workers_[bucket];
      auto& last = last_owners_[bucket];
      if (const auto other = claim(bucket, false); other && other->epoch >= last.epoch) {
        last = {other->epoch, members_->others().at(other->identity).mac};
      }
      // Between two owners the former one passes on what still comes: it is the better address.
      const bool later = last.epoch > worker.epoch();
      if (worker.state() == State::kTaking || (!later && (worker.holds() || worker.state() == State::kGiving))) {
        director_->here(bucket);
      } else if (later) {
        director_->there(bucket, last.mac);
      } else {
        director_->nobody(bucket);
      }
    }
  }

  // ---- The end ----

  void begin_to_leave(Time now) {
    own_.leaving = true;
    left_at_ = now;
    spdlog::info("leaving: {} buckets to hand over", served_.size());
    events_.write("stopping", {{"buckets", std::to_string(served_.size())}});
  }

  void go_on_leaving(Time now) {
    const auto others = living();
    const bool taken = std::ranges::any_of(others, [&](const auto& id) { return !members_->others().at(id).leaving; });
    const bool idle = std::ranges::none_of(workers_, [](const auto& worker) { return worker->runs(); });
    if (idle) {
      if (emptied_at_ == kNever) emptied_at_ = now;
      done_ = !taken || now >= emptied_at_ + kPassOnFor;
      return;
    }
    if (taken && members_->sees() && now < left_at_ + kEmptyBound) return;
    if (released_at_ == kNever) {
      released_at_ = now;
      spdlog::warn("giving back {} buckets that nobody has taken over", served_.size());
    }
    for (const auto& worker : workers_) {
      worker->stop();
      if (now >= released_at_ + kStopBound) worker->kill();
    }
  }

  // ---- What is told ----

  void tell_members() {
    const auto found = living();
    const std::set<std::string> now(found.begin(), found.end());
    for (const auto& identity : now) {
      if (known_.contains(identity)) continue;
      spdlog::info("member {}: {}", identity, describe(identity));
      events_.write("member-seen", {{"identity", json_string(identity)}});
    }
    for (const auto& identity : known_) {
      if (now.contains(identity)) continue;
      spdlog::warn("member {}: gone", identity);
      events_.write("member-gone", {{"identity", json_string(identity)}});
    }
    known_ = now;
  }

  void tell_counters() const {
    const auto& c = director_->counters();
    spdlog::info(
        "frames: {} for workers here, {} passed on; dropped: {} fragments, {} strays, {} of buckets that nobody "
        "had, {} passed on already, {} for want of room",
        c.here, c.passed_on, c.dropped_fragments, c.dropped_strays, c.dropped_nobodys, c.dropped_again, dropped_full_);
    events_.write("directed", {{"here", std::to_string(c.here)},
                               {"passed_on", std::to_string(c.passed_on)},
                               {"dropped_fragments", std::to_string(c.dropped_fragments)},
                               {"dropped_strays", std::to_string(c.dropped_strays)},
                               {"dropped_nobodys", std::to_string(c.dropped_nobodys)},
                               {"dropped_again", std::to_string(c.dropped_again)},
                               {"dropped_full", std::to_string(dropped_full_)}});
  }

  struct Move {
    std::string from;  // empty: nobody had it
    Time begun{}, ask_at{};
  };

  const ServeCommand& command_;
  const ServeOptions& options_;
  const std::function<void()>& ready_;
  // In the order of need: what is below is destroyed first.
  std::unique_ptr<location::Ring> ring_;
  std::unique_ptr<link::Tap> tap_;
  const EventFile& events_;
  std::unique_ptr<StopSignals> stop_;
  std::unique_ptr<location::Readiness> readable_;
  std::unique_ptr<cluster::Membership> members_;
  std::unique_ptr<cluster::Director> director_;
  cluster::Buckets buckets_;
  std::uint64_t identity_number_ = 0;
  std::string identity_;
  wire::MacAddress mac_;
  location::UniqueFd config_;
  WorkerCommand workers_command_;
  std::vector<std::unique_ptr<BucketWorker>> workers_;  // by bucket
  std::vector<Move> moves_;                             // by bucket: how we come to seek it
  struct LastOwner {
    std::uint64_t epoch = 0;  // 0: none was seen
    wire::MacAddress mac;
  };
  std::vector<LastOwner> last_owners_;  // by bucket, of the others
  Member own_;
  std::set<Bucket> served_;
  std::set<std::string> known_;
  wire::TxFrame announcement_;
  std::uint64_t dropped_full_ = 0;
  bool drained_ = true, joined_ = false, blind_ = false, done_ = false;
  Time next_tick_{}, next_announcement_{};
  Time left_at_ = kNever, emptied_at_ = kNever, released_at_ = kNever;
};

}  // namespace

Result<void> run_bucket_node(const ServeCommand& command, std::unique_ptr<link::Tap> tap, const EventFile& events,
                             const std::function<void()>& ready) {
  BucketNode node(command, std::move(tap), events, ready);
  if (auto started = node.start(); !started) return started;
  return node.run();
}

Result<BucketPart> inherited_part(const ServeCommand& command) {
  const auto& inherited = command.inherited;
  const auto buckets =
      cluster::decode_buckets(fmt::format("buckets={}\nkey={}\n", command.options.buckets, inherited.key));
  if (!buckets || inherited.bucket < 0 || static_cast<Bucket>(inherited.bucket) >= buckets->count) {
    return fail(Error::Kind::kUsage, "--inherited-bucket: is no bucket");
  }
  return BucketPart{.buckets = *buckets, .bucket = static_cast<Bucket>(inherited.bucket)};
}

}  // namespace holdfast::node
