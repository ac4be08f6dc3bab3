# SPDX-License-Identifier: Apache-2.0
# What the project stands on. zlib, threads and UCX's headers have to be there; the rest is
# taken from the system and, only where it is missing, fetched at a pinned version.
include(FetchContent)

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)

# UCX is opened at run time and never linked: only its headers are needed. The Python wheel
# libucx-cu13 has them; ./run puts it into build/venv.
file(GLOB wheel_include ${PROJECT_SOURCE_DIR}/build/venv/lib/python3.*/site-packages/libucx/include)
find_path(UCX_INCLUDE_DIR ucp/api/ucp.h HINTS ${wheel_include}
  PATH_SUFFIXES libucx/include  # of a site-packages in CMAKE_PREFIX_PATH
  DOC "Folder of ucp/api/ucp.h, UCX 1.22 (site-packages/libucx/include of the wheel)")
if(NOT UCX_INCLUDE_DIR)
  message(FATAL_ERROR "UCX's headers are missing: pip install libucx-cu13, and give "
    "-DUCX_INCLUDE_DIR=<site-packages>/libucx/include")
endif()
add_library(ucx_headers INTERFACE)
target_include_directories(ucx_headers SYSTEM INTERFACE ${UCX_INCLUDE_DIR})

# nixl_connect_dependency(NAME URL SHA256 [find_package argument...])
macro(nixl_connect_dependency name url sha256)
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} SYSTEM
    FIND_PACKAGE_ARGS ${ARGN})
  FetchContent_MakeAvailable(${name})
endmacro()

set(github https://github.com)
nixl_connect_dependency(nlohmann_json
  ${github}/nlohmann/json/releases/download/v3.11.3/json.tar.xz
  d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d 3.10)

set(SPDLOG_INSTALL ON)  # a static nixl_connect refers its user to it
nixl_connect_dependency(spdlog
  ${github}/gabime/spdlog/archive/refs/tags/v1.14.1.tar.gz
  1586508029a7d0670dfcb2d97575dcdc242d3868a259742b69f100801ab4e16b 1.9)

if(NIXL_CONNECT_TESTS)
  set(INSTALL_GTEST OFF)
  nixl_connect_dependency(googletest
    ${github}/google/googletest/archive/refs/tags/v1.14.0.tar.gz
    8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7 1.11 NAMES GTest)
endif()

if(NIXL_CONNECT_BENCH)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  nixl_connect_dependency(benchmark
    ${github}/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
    6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce 1.6)
endif()

if(NIXL_CONNECT_EXAMPLES OR NIXL_CONNECT_BENCH)
  nixl_connect_dependency(CLI11
    ${github}/CLIUtils/CLI11/archive/refs/tags/v2.3.2.tar.gz
    aac0ab42108131ac5d3344a9db0fdf25c4db652296641955720a4fbe52334e22 2.1)
endif()

if(NIXL_CONNECT_EXAMPLES)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)
endif()
