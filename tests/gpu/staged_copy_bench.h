// SPDX-License-Identifier: Apache-2.0
//
// How fast a GPU and plain memory of the host exchange bytes.
#pragma once

#include <cstddef>

#include "paths/cuda/staging.h"

namespace nixl_connect::paths::cuda::testing {

struct StagedSetting {
  unsigned threads = 8;
  std::size_t slot_bytes = Staging::kSlotBytes;
  std::size_t bytes = std::size_t{1} << 30;
  std::size_t range_bytes = 0;  // of ranges side by side nowhere; 0: there is one only
  bool has_huge_pages = true;   // the memory of the host
};

// GB/s, the best of a few rounds; 0 if one has failed.
struct StagedRates {
  double own_to_gpu = 0;
  double gpu_to_own = 0;
  double peer_to_gpu = 0;
  double gpu_to_peer = 0;
};

StagedRates measure_staged_copies(const StagedSetting& setting);

// Prints a table for several settings; takes a minute.
void measure_staged_copies();

}  // namespace nixl_connect::paths::cuda::testing
