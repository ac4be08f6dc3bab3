// SPDX-License-Identifier: Apache-2.0
#include "runtime/gpu_exports.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "runtime/gpus.h"
#include "runtime/lease_words.h"
#include "runtime/registrations.h"

namespace nixl_connect::runtime {
namespace {

using paths::cuda::DeviceAllocation;
using paths::cuda::DeviceFacts;
using paths::cuda::MemoryChunk;
using Export = DeviceAllocation::Export;

// Each allocation of the operation, but for those that follow themselves.
template <typename Visit>
void for_each_allocation(const RegistrationHold& hold, Visit&& visit) {
  const DeviceAllocation* last = nullptr;
  for (std::size_t i = 0; i < hold.size(); ++i) {
    const DeviceAllocation* const each = hold.gpu_allocation(i);
    if (each != nullptr && each != std::exchange(last, each)) visit(*each);
  }
}

class Collection {
 public:
  Collection(Gpus& gpus, const DeviceFacts& facts) : gpus_(gpus), facts_(facts) {}

  void add(const DeviceAllocation& allocation) {
    switch (allocation.exported_by) {
      case Export::kNone:
        return leave_out(allocation.why_not);
      case Export::kIpcHandle:
        return add_handle(allocation);
      case Export::kFiles:
        if (!facts_.exports_by_fd)
          return leave_out(
              "mapped memory (cuMemMap) of a GPU that exports none by file "
              "descriptors; expose a buffer of cudaMalloc");
        files_.insert(files_.end(), allocation.chunks.begin(), allocation.chunks.end());
    }
  }

  GpuExports result() && {
    add_files();
    return std::move(result_);
  }

 private:
  void leave_out(const std::string& why) {
    if (result_.why_not.empty()) result_.why_not = why;
  }

  // For another chunk, which is an export by itself or belongs to the last one.
  bool has_room(bool is_export) {
    const bool has_it =
        result_.exports.size() + (is_export ? 1 : 0) <= wire::kMaxGpuExports &&
        chunks_ < wire::kMaxGpuChunks;
    if (!has_it) leave_out("it is in too many pieces for one operation");
    return has_it;
  }

  void add_handle(const DeviceAllocation& allocation) {
    const MemoryChunk& chunk = allocation.chunks.front();
    const auto is_same = [&](const wire::GpuExport& each) {
      return each.chunks.front().buffer_id == chunk.buffer_id;
    };
    auto& all = result_.exports;
    if (std::find_if(all.rbegin(), all.rend(), is_same) != all.rend()) return;
    if (!has_room(true)) return;
    ++chunks_;
    all.push_back({facts_.uuid.bytes,
                   {{chunk.start, chunk.size, chunk.buffer_id}},
                   gpus_.handle_of(allocation)});
  }

  // Tensors may share chunks. What lies side by side is one export, so that a range may
  // reach from one to the next.
  void add_files() {
    std::sort(files_.begin(), files_.end(), [](const auto& a, const auto& b) {
      return a.start < b.start || (a.start == b.start && a.buffer_id < b.buffer_id);
    });
    files_.erase(std::unique(files_.begin(), files_.end()), files_.end());
    wire::GpuExport* last = nullptr;
    for (const MemoryChunk& chunk : files_) {
      const bool is_next =
          last != nullptr &&
          last->chunks.back().address + last->chunks.back().size == chunk.start;
      if (chunk.buffer_id >= wire::kFirstUnusedBufferId || !has_room(!is_next)) break;
      ++chunks_;
      if (!is_next)
        last =
            &result_.exports.emplace_back(wire::GpuExport{facts_.uuid.bytes, {}, {}});
      last->chunks.push_back({chunk.start, chunk.size, chunk.buffer_id});
    }
  }

  Gpus& gpus_;
  const DeviceFacts& facts_;
  std::vector<MemoryChunk> files_;
  GpuExports result_;
  std::size_t chunks_ = 0;  // of the result
};

const MemoryChunk* chunk_of(const RegistrationHold& hold, std::uint64_t buffer_id) {
  const MemoryChunk* found = nullptr;
  for_each_allocation(hold, [&](const DeviceAllocation& allocation) {
    if (allocation.exported_by != Export::kFiles) return;
    const auto chunk = std::find_if(
        allocation.chunks.begin(), allocation.chunks.end(),
        [&](const MemoryChunk& each) { return each.buffer_id == buffer_id; });
    if (chunk != allocation.chunks.end()) found = &*chunk;
  });
  return found;
}

}  // namespace

GpuExports gpu_exports_of(Gpus& gpus, const RegistrationHold& hold) {
  const DeviceFacts* facts = nullptr;
  for_each_allocation(hold, [&](const DeviceAllocation& allocation) {
    facts = gpus.facts_of(allocation.device);
  });
  if (facts == nullptr) return {};
  Collection collection(gpus, *facts);
  for_each_allocation(
      hold, [&](const DeviceAllocation& allocation) { collection.add(allocation); });
  return std::move(collection).result();
}

bool has_gpu_files(const RegistrationHold& hold) {
  bool has_some = false;
  for_each_allocation(hold, [&](const DeviceAllocation& allocation) {
    if (allocation.exported_by == Export::kFiles) has_some = true;
  });
  return has_some;
}

base::UniqueFd gpu_file_for(const wire::Fetch& fetch, const LeaseWords& leases,
                            const RegistrationHold& hold, Gpus& gpus) {
  if (!leases.holds(fetch.lease, fetch.token)) return {};
  const MemoryChunk* const chunk = chunk_of(hold, fetch.what ^ wire::kGpuChunkMark);
  if (chunk == nullptr) return {};
  try {
    return paths::cuda::export_file(*gpus.driver(), *chunk);
  } catch (const Error& error) {
    base::log_warning(std::string("a peer is refused memory of a GPU: ") +
                      error.what());
    return {};
  }
}

}  // namespace nixl_connect::runtime
