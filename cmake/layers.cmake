# SPDX-License-Identifier: Apache-2.0
# How a folder of src/ becomes a part of the library.

# GCC 12 alone: false alarms about plain strings and vectors at -O3 (its bug 105651 and
# kin), and about designated initializers that leave members to their defaults.
set(NIXL_CONNECT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  list(APPEND NIXL_CONNECT_WARNINGS
    -Wno-restrict -Wno-stringop-overread -Wno-missing-field-initializers)
endif()

# nixl_connect_layer(NAME [DEPENDS layer...] [LINKS target...])
# One folder of src/ as the static library nxc_NAME, which tests link by themselves; the
# object files of all layers together are the installed library (src/CMakeLists.txt).
function(nixl_connect_layer name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(nxc_${name} STATIC ${sources})
  target_include_directories(nxc_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                                ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(nxc_${name} PRIVATE ${NIXL_CONNECT_WARNINGS})
  list(TRANSFORM arg_DEPENDS PREPEND nxc_)
  target_link_libraries(nxc_${name} PUBLIC ${arg_DEPENDS} ${arg_LINKS})
endfunction()
