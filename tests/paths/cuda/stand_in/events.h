// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's events. Each has two counters, in memory that other processes can map:
// how often it was recorded, and the last of these that a stream has come by.
#pragma once

#include <cstddef>
#include <memory>

#include "paths/cuda/abi.h"
#include "paths/cuda/stand_in/memory.h"

namespace nixl_connect::paths::cuda {

struct CuEventObject {
  std::shared_ptr<stand_in::Physical> words;
  unsigned flags = 0;
  CuContext context = nullptr;
};

namespace stand_in {

CuEvent make_event(std::shared_ptr<Physical> words, unsigned flags);

// That there are.
std::size_t events();

}  // namespace stand_in
}  // namespace nixl_connect::paths::cuda
