// SPDX-License-Identifier: Apache-2.0
//
// What memory holds before and after a transfer, so that every byte in a wrong place
// shows: each word of 8 bytes is its own offset in the transfer. Pure functions.
#pragma once

#include <span>

#include "nixl_connect/descriptor.h"

namespace nixl_connect::bench {

// Offsets count through all of the descriptors, in their order.
void fill_with_offsets(std::span<const Descriptor> descriptors);

// Nothing that fill_with_offsets() would write.
void clear(std::span<const Descriptor> descriptors);

// Throws std::runtime_error that names the first wrong word.
void check_offsets(std::span<const Descriptor> descriptors);

}  // namespace nixl_connect::bench
