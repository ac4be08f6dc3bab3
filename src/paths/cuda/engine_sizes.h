// SPDX-License-Identifier: Apache-2.0
//
// From which size on ranges go by a copy engine, whatever else there is.
#pragma once

#include <cstdint>

namespace nixl_connect::paths::cuda {

// It then comes to four fifths of what the kernel does, or more, and takes no
// multiprocessor.
constexpr std::uint64_t kLeastEngineBytes = 4 << 20;
// The same to and from memory of the host, where PCIe takes longer for the bytes than
// an engine for the range.
constexpr std::uint64_t kLeastHostEngineBytes = 256 << 10;

// Whatever is measured of a machine: one block takes 8 MiB within the time of a batch.
constexpr std::uint64_t kMostEngineBytes = 8 << 20;

}  // namespace nixl_connect::paths::cuda
