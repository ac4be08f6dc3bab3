// SPDX-License-Identifier: Apache-2.0
#include "runtime/exports.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "base/exported_memory.h"
#include "base/place.h"
#include "nixl_connect/connector.h"
#include "runtime/lease_words.h"
#include "runtime/resources.h"

namespace nixl_connect::runtime {

std::vector<wire::Export> exports_of(std::span<const Descriptor> descriptors) {
  std::vector<wire::Export> exports;
  for (const Descriptor& descriptor : descriptors) {
    const bool is_known =
        std::any_of(exports.begin(), exports.end(), [&](const wire::Export& each) {
          return each.covers(descriptor.ptr(), descriptor.size());
        });
    if (is_known) continue;
    const auto place = base::ExportedMemory::find(descriptor.ptr(), descriptor.size());
    if (!place) continue;
    exports.push_back({place->id, place->address, place->size,
                       static_cast<std::uint32_t>(place->fd)});
    if (exports.size() == wire::kMaxExports) break;
  }
  return exports;
}

wire::Extension extension_of(const Resources& resources, const wire::LeaseRecord& lease,
                             std::span<const Descriptor> descriptors) {
  return {resources.instance,
          std::string(version()),
          resources.context.library().version,
          lease,
          resources.leases.table_of(lease),
          exports_of(descriptors),
          base::place_of_this_process()};
}

base::UniqueFd file_for(const wire::Fetch& fetch, const LeaseWords& leases) {
  if (!leases.holds(fetch.lease, fetch.token)) return {};
  if (fetch.what == wire::kLeaseTableId)
    return base::UniqueFd(::fcntl(leases.fd(), F_DUPFD_CLOEXEC, 0));
  return base::ExportedMemory::file_of(fetch.what);
}

const wire::Export* ExportFinder::find(std::uint64_t address,
                                       std::uint64_t size) noexcept {
  const auto covers = [&](const wire::Export& each) {
    return each.covers(address, size);
  };
  if (last_ != nullptr && covers(*last_)) return last_;
  const auto found = std::find_if(exports_.begin(), exports_.end(), covers);
  last_ = found == exports_.end() ? nullptr : &*found;
  return last_;
}

}  // namespace nixl_connect::runtime
