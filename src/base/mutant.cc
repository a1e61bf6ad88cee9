#include "base/mutant.h"

namespace holdfast {
#ifdef HOLDFAST_MUTANTS
Mutant active_mutant = Mutant::kNone;
#endif
}  // namespace holdfast
