// librados, loaded when the first pool is used: a node that stores in directories does not pay for it (ten
// milliseconds of every start, and 15 MB), and runs where it is not installed.
//
// The functions have librados' own names and types, without the prefix.
#pragma once

#include <rados/librados.h>

#include "base/error.h"

namespace holdfast::location::rados {

#define HOLDFAST_LIBRADOS_FUNCTIONS(F) \
  F(create2)                           \
  F(conf_read_file)                    \
  F(conf_set)                          \
  F(conf_get)                          \
  F(connect)                           \
  F(shutdown)                          \
  F(getaddrs)                          \
  F(buffer_free)                       \
  F(mon_command)                       \
  F(ioctx_create)                      \
  F(ioctx_destroy)                     \
  F(ioctx_set_namespace)               \
  F(aio_create_completion2)            \
  F(aio_get_return_value)              \
  F(aio_release)                       \
  F(aio_cancel)                        \
  F(create_write_op)                   \
  F(release_write_op)                  \
  F(write_op_assert_exists)            \
  F(write_op_cmpxattr)                 \
  F(write_op_setxattr)                 \
  F(write_op_create)                   \
  F(write_op_write)                    \
  F(write_op_truncate)                 \
  F(write_op_remove)                   \
  F(write_op_set_alloc_hint)           \
  F(write_op_omap_set2)                \
  F(write_op_omap_rm_keys2)            \
  F(aio_write_op_operate)              \
  F(create_read_op)                    \
  F(release_read_op)                   \
  F(read_op_assert_exists)             \
  F(read_op_getxattrs)                 \
  F(read_op_omap_get_vals2)            \
  F(read_op_read)                      \
  F(aio_read_op_operate)               \
  F(getxattrs_next)                    \
  F(getxattrs_end)                     \
  F(omap_get_next2)                    \
  F(omap_get_end)                      \
  F(aio_watch2)                        \
  F(aio_unwatch)                       \
  F(watch_flush)                       \
  F(aio_notify)                        \
  F(decode_notify_response)            \
  F(free_notify_response)              \
  F(notify_ack)

struct Librados {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration's name
#define HOLDFAST_MEMBER(name) decltype(&rados_##name) name = nullptr;
  HOLDFAST_LIBRADOS_FUNCTIONS(HOLDFAST_MEMBER)
#undef HOLDFAST_MEMBER
};

// Loaded once, for good. kUnavailable where it is not installed, or too old.
Result<const Librados*> load_librados();

}  // namespace holdfast::location::rados
