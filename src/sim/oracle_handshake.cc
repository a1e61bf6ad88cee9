// The oracle's checks of an N-way handshake (docs/handshake.md), from the frames and the log alone.
#include "sim/oracle.h"

namespace holdfast::sim {

void Oracle::check_step(Flow& flow, const TcpView& view, const DurableStream& stream) {
  const auto& option = view.tcp.options.ways;
  const bool syn = view.tcp.flags.syn;
  if (option) {
    if (option->step > 1) flow.ways = option->ways;
    const bool ours = (option->step % 2 == 1) == flow.dialled;
    if (!ours) return context_.fail("{}: sends step {}, its peer's", flow.tuple.to_string(), option->step);
    const bool last = option->step == option->ways && option->ways > wire::kMinWays;
    const Lsn record = last ? stream.established_at : stream.recorded;
    if (option->copies > model_.copies(record)) {
      return context_.fail("{}: step {} of {} certifies {} copies, there are {}", flow.tuple.to_string(), option->step,
                           option->ways, option->copies, model_.copies(record));
    }
    if (last) context_.faults.add(Fault::kLongHandshake);
    if (option->is_short) context_.faults.add(Fault::kShortRollCall);
    if (!last && view.payload_size > 0) {
      return context_.fail("{}: bytes leave with step {} of {}", flow.tuple.to_string(), option->step, option->ways);
    }
    if (!last) return;
  }
  // Only an established side sends step N, or a segment without the option.
  if (flow.ways > wire::kMinWays && !syn && !stream.established) {
    context_.fail("{}: a segment says that {} ways are over, which is not stored", flow.tuple.to_string(), flow.ways);
  }
}

}  // namespace holdfast::sim
