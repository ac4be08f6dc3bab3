// SPDX-License-Identifier: Apache-2.0
//
// What the exposing side tells of its memory to peers that may map it, and hands over
// to those who cannot open it by themselves; and how these find their way in it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "nixl_connect/descriptor.h"
#include "wire/control.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class LeaseWords;
struct Resources;

// Of the memory that Connector::allocate() gave, among these descriptors; the rest, and
// what is more than fits, is reached by other paths. Any thread.
std::vector<wire::Export> exports_of(std::span<const Descriptor> descriptors);

// What peers of ours are told of a lease, and of this process; what memory of a GPU
// needs besides is left out. Any thread.
wire::Extension extension_of(const Resources& resources, const wire::LeaseRecord& lease,
                             std::span<const Descriptor> descriptors);

// A descriptor of what was asked for; none (-1) if the lease is not alive, the token
// not its own, or there is no such thing. Any thread.
base::UniqueFd file_for(const wire::Fetch& fetch, const LeaseWords& leases);

// Finds the exports in which ranges lie that mostly follow each other. Refers to the
// exports.
class ExportFinder {
 public:
  explicit ExportFinder(std::span<const wire::Export> exports) noexcept
      : exports_(exports) {}

  // Null if the range lies in none.
  const wire::Export* find(std::uint64_t address, std::uint64_t size) noexcept;

 private:
  const std::span<const wire::Export> exports_;
  const wire::Export* last_ = nullptr;
};

}  // namespace nixl_connect::runtime
