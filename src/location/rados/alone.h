// One operation, waited for by one who has nothing else on its way with this store.
#pragma once

#include <utility>

#include "location/rados/object_store.h"

namespace holdfast::location::rados {

// `Asked`: ObjectRead, ObjectWrite.
template <class Asked>
Finished ask_alone(ObjectStore& store, const Asked& asked) {
  constexpr std::uint64_t kTag = 0;
  store.submit(kTag, asked);
  while (true) {
    for (Finished& finished : store.take()) {
      if (finished.tag == kTag) return std::move(finished);
    }
    store.wait(kNever);
  }
}

}  // namespace holdfast::location::rados
