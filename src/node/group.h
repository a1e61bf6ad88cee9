// A node's part in who owns its log: standing by until it is this node's turn, looking after the ownership while it
// serves, giving it back, and passing on what still comes afterwards. Also for a node with pools and no group, which
// stands by for nobody.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "cluster/standby.h"
#include "cluster/tenure.h"
#include "link/tap.h"
#include "location/ring.h"
#include "log/log.h"
#include "node/event_file.h"
#include "node/places.h"
#include "node/settings.h"
#include "node/stop_signals.h"
#include "node/trim_request.h"
#include "wire/address.h"

namespace holdfast::node {

class Group {
 public:
  // All of it outlives this. `ready` is called when the node stands by.
  Group(const ServeOptions& options, const EventFile& events, const std::function<void()>& ready, location::Ring& ring,
        StopSignals& stop, link::Tap& device);

  // Each node of a group has its own, so that frames can be told from those for the owner before.
  wire::MacAddress mac() const;

  // The log that `open` makes of its places, once it is this node's turn; null: told to stop.
  using Open = std::function<Result<std::unique_ptr<log::Log>>(Places)>;
  Result<std::unique_ptr<log::Log>> find_log(const Open& open);
  // When it became this node's turn, where it was waited for.
  std::optional<Time> turn_came() const { return turn_came_; }

  // It serves now: requests to hand over are listened for.
  void begin_to_serve();
  // Fenced off, or asked to give the log back, or to trim it? Also says whether we are being missed.
  void look_after(const log::Log* log, TrimRequests& trims);
  // Under which the log is ours; of several pools the first's. 0: none.
  std::uint64_t epoch() const { return pools_.empty() ? 0 : pools_.front()->head().epoch; }
  bool lost() const { return lost_; }      // another node has taken the log
  bool wanted() const { return wanted_; }  // we were asked to hand over

  // No write of a pool is on its way, of those either that nobody waits for.
  bool idle() const;
  // Asks who stands by, in the background.
  void begin_to_end();
  // Gives the log back; false: somebody has to wait for the lease.
  bool release(Time bound);
  // Where somebody takes the log: until others have learnt where that one is.
  void pass_on();

 private:
  bool grouped() const { return !options_.group.empty(); }
  bool goes_on() const { return !stop_.asked() && !device_.failure(); }
  bool try_again_after(const Error& error, Duration least);
  location::rados::Patience patience();
  enum class Turn : std::uint8_t {
    kCame,
    kStopped,
    kOpenAgain,  // pools that could not be opened are needed
  };
  Result<Turn> stand_by(const Places& places);
  std::optional<Error> at_odds_with(const location::rados::Owner& owner) const;
  std::optional<Error> at_odds_with_log(const Places& places);
  void look_at_heads(TrimRequests& trims);
  void tell(const cluster::Standby& standby, cluster::Standby::View view);
  void drop_frames();
  void tell_of_holding_back() const;
  void tell_of_lease(location::rados::Pool& pool);

  const ServeOptions& options_;
  const EventFile& events_;
  const std::function<void()>& ready_;
  location::Ring& ring_;
  StopSignals& stop_;
  link::Tap& device_;
  location::rados::Self self_;
  std::vector<location::rados::Pool*> pools_;  // the log's
  std::size_t given_pools_;                    // those, too, that could not be opened
  std::optional<cluster::Tenure> tenure_;
  Time look_at_heads_{};
  std::set<const location::rados::Pool*> lapsed_;
  std::optional<Time> turn_came_;
  bool lost_ = false;
  bool wanted_ = false;
  bool stood_by_ = false;   // another node was seen to serve, or could not be seen
  unsigned failures_ = 0;   // to take over, in a row
  bool log_known_ = false;  // how it is stored was compared with what we were told
};

}  // namespace holdfast::node
