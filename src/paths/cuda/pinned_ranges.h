// SPDX-License-Identifier: Apache-2.0
//
// Pins the memory of the host that a copy needs. The CUDA thread.
#pragma once

#include <span>
#include <vector>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/page_shares.h"
#include "paths/cuda/pinned_maps.h"

namespace nixl_connect::paths::cuda {

// Where it begins.
std::uint64_t start_of(const HostMap& map);

// Pins the parts of the maps in which the ranges of that side lie, and cuts ranges in
// which parts meet: what was pinned apart is not copied at once. Leaves off if the copy
// is stopped meanwhile. Throws as PinnedMaps::pin(); CopyRefused(kNotAsSaid) for a
// range that is in none of the maps.
std::vector<PinnedMaps::Pin> pin_ranges(PinnedMaps& pinned_maps,
                                        const DeviceFacts& device,
                                        std::span<const HostMap> maps,
                                        CopyWork::HostSide side, KeptPages& ranges,
                                        const DeviceCopy& copy);

}  // namespace nixl_connect::paths::cuda
