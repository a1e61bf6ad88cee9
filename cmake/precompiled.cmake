# Precompiled headers, each compiled once for all targets that name it: holdfast_precompile(<target> <set>).
# They save time and nothing else: every file still includes what it uses, which builds without them check.
function(holdfast_precompile target set)
  if(HOLDFAST_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM hf_precompiled_${set})
  endif()
endfunction()

function(holdfast_precompiled_set set)
  cmake_parse_arguments(arg "" "" "LIBS;HEADERS" ${ARGN})
  if(NOT HOLDFAST_PRECOMPILE)
    return()
  endif()
  set(empty ${CMAKE_BINARY_DIR}/hf_precompiled_${set}.cc)
  file(CONFIGURE OUTPUT ${empty} CONTENT "")
  add_library(hf_precompiled_${set} OBJECT ${empty})
  target_link_libraries(hf_precompiled_${set} PUBLIC ${arg_LIBS})
  target_precompile_headers(hf_precompiled_${set} PRIVATE ${arg_HEADERS})
endfunction()

set(everywhere <algorithm> <array> <cstdint> <cstring> <deque> <expected> <functional> <map> <memory> <optional> <span>
               <string> <string_view> <utility> <vector> <fmt/format.h>)
holdfast_precompiled_set(core LIBS fmt::fmt HEADERS ${everywhere})
