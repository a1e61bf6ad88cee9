#include "model/message.h"

#include <fmt/format.h>

#include "model/hash.h"

namespace holdfast::model {

std::size_t hash_of(const Message& m) {
  Hash hash;
  hash.add(m.from_initiator | m.syn << 1 | m.ack << 2 | m.rst << 3 | m.probe << 4 | m.data << 5)
      .add(m.seq)
      .add(m.acked)
      .add(m.offer << 8 | m.existed);
  if (m.option) {
    const wire::WaysOption& o = *m.option;
    hash.add(o.ways << 24 | o.step << 16 | o.copies << 8 | o.is_volatile | o.is_short << 1 | o.is_refused << 2)
        .add(o.nonce)
        .add(o.echo);
  }
  return hash.value();
}

std::string to_string(const Message& m) {
  std::string text = m.rst            ? "RST"
                     : m.syn && m.ack ? "SYN-ACK"
                     : m.syn          ? "SYN"
                     : m.data         ? "data"
                     : m.probe        ? "probe"
                                      : "ACK";
  if (!m.option) return text;
  if (m.option->is_refused) return text + fmt::format(", wants {} ways", m.option->ways);
  text += fmt::format(", step {}/{}", m.option->step, m.option->ways);
  if (m.option->step > 3 && !m.option->is_volatile) {
    text += fmt::format(", {} copies{}", m.option->copies, m.option->is_short ? ", SHORT" : "");
  }
  return text;
}

}  // namespace holdfast::model
