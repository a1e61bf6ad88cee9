#include "location/rados/librados_api.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <optional>

namespace holdfast::location::rados {
namespace {

Result<Librados> load() {
  void* const library = ::dlopen("librados.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("librados cannot be loaded: {}: install Ceph's librados2", ::dlerror()));
  }
  Librados api;
  const char* missing = nullptr;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) missing = name;
  };
#define HOLDFAST_FIND(name) find(api.name, "rados_" #name);
  HOLDFAST_LIBRADOS_FUNCTIONS(HOLDFAST_FIND)
#undef HOLDFAST_FIND
  if (missing != nullptr) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("librados is too old: it has no {}: install that of Ceph 16 or newer", missing));
  }
  return api;
}

}  // namespace

Result<const Librados*> load_librados() {
  static const Result<Librados> api = load();
  if (!api) return std::unexpected(api.error());
  return &*api;
}

}  // namespace holdfast::location::rados
