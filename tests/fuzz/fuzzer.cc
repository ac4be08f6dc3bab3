// SPDX-License-Identifier: Apache-2.0
//
// A libFuzzer program, compiled once for each entry point: NIXL_CONNECT_FUZZ_TARGET.
#include <cstdint>

#include "fuzz/fuzz_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  nixl_connect::fuzz::NIXL_CONNECT_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}
