// SPDX-License-Identifier: Apache-2.0
//
// What the exposing side tells of its memory to peers that may map it.
#pragma once

#include <span>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

// Of the memory that Connector::allocate() gave, among these descriptors; the rest, and
// what is more than fits, is reached by other paths. Any thread.
std::vector<wire::Export> exports_of(std::span<const Descriptor> descriptors);

}  // namespace nixl_connect::runtime
