// SPDX-License-Identifier: Apache-2.0
#include "runtime/given_keys.h"

#include <set>
#include <utility>

#include "nixl_connect/error.h"
#include "paths/cuda/allocations.h"
#include "runtime/gpu_ucx.h"
#include "runtime/registrations.h"

namespace nixl_connect::runtime {
namespace {

using paths::cuda::DeviceAllocation;
using paths::cuda::MemoryChunk;

void add_key(GivenKeys& given, std::uint64_t address, std::uint64_t size,
             const base::Bytes& rkey) {
  if (rkey.empty())
    throw Error(ErrorKind::kUnsupported, "UCX has no key of some of the memory");
  if (wire::size_in_message({address, size, rkey}) > wire::kMaxKeysBytes)
    throw Error(ErrorKind::kUnsupported, "a key has no room in a message");
  if (given.keys.size() == wire::kMaxKeys)
    throw Error(ErrorKind::kUnsupported,
                "the memory is in more than " + std::to_string(wire::kMaxKeys) +
                    " pieces; expose less of it in one operation");
  given.keys.push_back({address, size, rkey});
}

// Of each chunk that holds some of the descriptors, one. What is mapped chunk by chunk
// UCX 1.22 registers as far as the first chunk reaches.
class OfGpus {
 public:
  OfGpus(GpuUcx& ucx, GivenKeys& given) : ucx_(ucx), given_(given) {}

  void add(const Descriptor& descriptor, const DeviceAllocation& allocation) {
    if (!ucx_.open(allocation.device))
      throw Error(ErrorKind::kUnsupported, *ucx_.why_not());
    given_.connection = ucx_.address();
    for (const MemoryChunk& chunk : allocation.chunks) {
      const bool is_beside = chunk.start >= descriptor.ptr() + descriptor.size() ||
                             chunk.start + chunk.size <= descriptor.ptr();
      if (is_beside || !seen_.insert(chunk.start).second) continue;
      DeviceAllocation alone = allocation;
      alone.chunks = {chunk};
      auto registration = ucx_.registration_of(alone);
      add_key(given_, chunk.start, chunk.size, registration->packed_rkey());
      given_.registrations.push_back(std::move(registration));
    }
  }

 private:
  GpuUcx& ucx_;
  GivenKeys& given_;
  std::set<std::uint64_t> seen_;
};

}  // namespace

GivenKeys keys_of(std::span<const Descriptor> descriptors, const RegistrationHold& hold,
                  const base::Bytes& host_connection, GpuUcx& gpu_ucx) {
  GivenKeys given{host_connection, {}, {}};
  OfGpus of_gpus(gpu_ucx, given);
  try {
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      const Descriptor& each = descriptors[i];
      if (each.size() == 0) continue;
      if (const DeviceAllocation* const allocation = hold.gpu_allocation(i))
        of_gpus.add(each, *allocation);
      else
        add_key(given, each.ptr(), each.size(), hold[i]->packed_rkey());
    }
    return given;
  } catch (const Error& error) {
    return {{}, {}, error.what()};
  }
}

wire::Keys GivenKeys::answer(const wire::AskKeys& asked) const {
  wire::Keys answer{asked.operation, asked.first, keys.size(), connection, {}, why_not};
  std::size_t bytes = 0;
  for (std::uint64_t i = asked.first; i < keys.size(); ++i) {
    bytes += wire::size_in_message(keys[i]);
    if (bytes > wire::kMaxKeysBytes) break;
    answer.keys.push_back(keys[i]);
  }
  return answer;
}

}  // namespace nixl_connect::runtime
