// SPDX-License-Identifier: Apache-2.0
//
// Memory as torch's expandable segments have it: several allocations, mapped side by
// side, that one tensor can span. For the current context's GPU.
#pragma once

#include <cstddef>

#include "paths/cuda/session.h"

namespace nixl_connect::paths::cuda::testing {

class Segment {
 public:
  static constexpr std::size_t kChunk = 2 << 20;

  // `handle_types`, of CuHandleType, says how each can be exported.
  Segment(const Driver& driver, CuDevice device, std::size_t chunks, int handle_types)
      : functions_(driver.functions), size_(chunks * kChunk) {
    const CuAllocationProperties properties{.handle_types = handle_types,
                                            .location = {.id = device}};
    functions_.mem_address_reserve(&start_, size_, 0, 0, 0);
    for (std::size_t i = 0; i < chunks; ++i) {
      CuAllocation allocation = 0;
      driver.check(functions_.mem_create(&allocation, kChunk, &properties, 0),
                   "making");
      driver.check(functions_.mem_map(start_ + i * kChunk, kChunk, 0, allocation, 0),
                   "mapping");
      functions_.mem_release(allocation);
    }
    const CuAccess access{.location = {.id = device}};
    driver.check(functions_.mem_set_access(start_, size_, &access, 1), "allowing");
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment() {
    functions_.mem_unmap(start_, size_);
    functions_.mem_address_free(start_, size_);
  }

  CuDevicePointer start() const noexcept { return start_; }
  std::size_t size() const noexcept { return size_; }

 private:
  const Functions& functions_;
  const std::size_t size_;
  CuDevicePointer start_ = 0;
};

}  // namespace nixl_connect::paths::cuda::testing
