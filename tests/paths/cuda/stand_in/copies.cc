// SPDX-License-Identifier: Apache-2.0
//
// What the stand-in's streams do to memory. Addresses mean what they mean when the work
// is done, not when it was asked for: memory freed in between is an illegal address.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/copy_bytes.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/streams.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

CuDevicePointer address_of(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

AddressKind kind_now(CuDevicePointer address, std::size_t size) {
  const std::lock_guard lock(memory().mutex);
  return kind_of(address, size);
}

std::atomic<unsigned> pageable{0};

bool is_for_gpus(AddressKind kind) {
  return kind == AddressKind::kDevice || kind == AddressKind::kPinned;
}

CuResult copy_async(CuDevicePointer to, CuDevicePointer from, std::size_t size,
                    CuStream stream) {
  return enqueue(stream, [=](CuDevice device) {
    return copy_bytes(to, from, size, device, By::kCopyEngine);
  });
}

// Memory of the host that is not pinned is used before the call returns. What is has to
// be so still when the copy is made.
CuResult copy_host_async(CuDevicePointer to, CuDevicePointer from, std::size_t size,
                         CuStream stream, CuDevicePointer on_gpu,
                         CuDevicePointer on_host) {
  const AddressKind host = kind_now(on_host, size);
  if (!is_for_gpus(kind_now(on_gpu, size)) || host == AddressKind::kDevice ||
      host == AddressKind::kStraddling)
    return kCuInvalidValue;
  if (host == AddressKind::kPageable) {
    ++pageable;
    const CuResult result = copy_async(to, from, size, stream);
    return result == kCuSuccess ? stream_synchronize(stream) : result;
  }
  return enqueue(stream, [=](CuDevice device) {
    if (kind_now(on_host, size) != AddressKind::kPinned) return kCuIllegalAddress;
    return copy_bytes(to, from, size, device, By::kCopyEngine);
  });
}

}  // namespace

unsigned pageable_copies() { return pageable; }

CuResult copy_bytes(CuDevicePointer to, CuDevicePointer from, std::size_t size,
                    CuDevice device, By by) {
  const auto targets = resolve(to, size, device, by);
  const auto sources = resolve(from, size, device, by);
  if (size > 0 && (targets.empty() || sources.empty())) return kCuIllegalAddress;
  for (std::size_t done = 0, t = 0, s = 0, in_t = 0, in_s = 0; done < size;) {
    const std::size_t part = std::min(targets[t].size - in_t, sources[s].size - in_s);
    std::memmove(targets[t].data + in_t, sources[s].data + in_s, part);
    done += part;
    if ((in_t += part) == targets[t].size) ++t, in_t = 0;
    if ((in_s += part) == sources[s].size) ++s, in_s = 0;
  }
  return kCuSuccess;
}

CuResult memcpy_dtod_async(CuDevicePointer to, CuDevicePointer from, std::size_t size,
                           CuStream stream) {
  if (!is_for_gpus(kind_now(to, size)) || !is_for_gpus(kind_now(from, size)))
    return kCuInvalidValue;
  return copy_async(to, from, size, stream);
}

CuResult memcpy_htod_async(CuDevicePointer to, const void* from, std::size_t size,
                           CuStream stream) {
  return copy_host_async(to, address_of(from), size, stream, to, address_of(from));
}

CuResult memcpy_dtoh_async(void* to, CuDevicePointer from, std::size_t size,
                           CuStream stream) {
  return copy_host_async(address_of(to), from, size, stream, from, address_of(to));
}

CuResult memset_async(CuDevicePointer to, unsigned char value, std::size_t size,
                      CuStream stream) {
  return enqueue(stream, [=](CuDevice device) {
    const auto pieces = resolve(to, size, device, By::kCopyEngine);
    if (pieces.empty() && size > 0) return kCuIllegalAddress;
    for (const Piece& piece : pieces) std::memset(piece.data, value, piece.size);
    return kCuSuccess;
  });
}

CuResult stream_write_value32(CuStream stream, CuDevicePointer address,
                              std::uint32_t value, unsigned /*flags*/) {
  if (address % sizeof value != 0) return kCuInvalidValue;
  return enqueue(stream, [=](CuDevice device) {
    const auto pieces = resolve(address, sizeof value, device, By::kKernel);
    if (pieces.empty()) return kCuIllegalAddress;
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(pieces.front().data))
        .store(value);
    return kCuSuccess;
  });
}

// Looks at the word again and again, as a GPU does, until the context is of no use.
CuResult stream_wait_value32(CuStream stream, CuDevicePointer address,
                             std::uint32_t value, unsigned flags) {
  if (address % sizeof value != 0 || flags != kCuStreamWaitGreaterOrEqual)
    return kCuInvalidValue;
  return enqueue(stream, [=, waits = begin_stream_wait()](CuDevice device) {
    const auto pieces = resolve(address, sizeof value, device, By::kKernel);
    if (pieces.empty()) return kCuIllegalAddress;
    const std::atomic_ref word(*reinterpret_cast<std::uint32_t*>(pieces.front().data));
    while (static_cast<std::int32_t>(word.load() - value) < 0) {
      if (const CuResult sticky = context_of(device)->sticky; sticky != kCuSuccess)
        return sticky;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return kCuSuccess;
  });
}

}  // namespace nixl_connect::paths::cuda::stand_in
