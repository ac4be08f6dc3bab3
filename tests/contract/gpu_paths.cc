// SPDX-License-Identifier: Apache-2.0
//
// The paths for memory of GPUs. Where nobody names a driver, a library that answers as
// it does stands in for it, and makes a GPU's copies with threads of the process.
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "contract/path.h"

namespace nixl_connect::contract {
namespace {

constexpr const char* kDriver = "NIXL_CONNECT_CUDA_DRIVER";

using Kinds = std::vector<OperationKind>;
constexpr OperationKind kRead = OperationKind::kRead;
constexpr OperationKind kWrite = OperationKind::kWrite;

// `kinds` and `sanitized`: what the stand-in is tried with, without and with a
// sanitizer.
Path of_gpus(std::string name, MemoryKind here, MemoryKind there, Kinds kinds,
             Kinds sanitized, bool is_for_bytes_only = false) {
  Path path{
      .name = std::move(name),
      .taken = is_of_gpu(here) && is_of_gpu(there) ? "cuda.peer" : "cuda.staged",
      .here = here,
      .there = there,
      .large = 8 << 20,
      .large_range = 4096,
      .is_mapped = there != MemoryKind::kHeap,
  };
  if (has_gpus()) return path;
  path.kinds = kIsSanitized ? std::move(sanitized) : std::move(kinds);
  path.is_for_bytes_only = is_for_bytes_only;
  path.environment.emplace_back(kDriver, NIXL_CONNECT_CUDA_STAND_IN);
  path.large = 2 << 20;
  path.large_range = 2048;
  path.streamed = (5 << 20) + 1;
  path.most_ranges = kIsSanitized ? 1024 : 4096;
  return path;
}

// Nothing is heard of its bytes before the end.
Path served(Path path) {
  path.is_served = path.is_for_bytes_only = true;
  return path;
}

}  // namespace

bool has_gpus() {
  static const bool is_named = std::getenv(kDriver) != nullptr;
  return is_named;
}

// With the stand-in each direction to and from each kind of memory, once; and with a
// sanitizer, once each kind of thread that copies.
std::vector<Path> gpu_paths() {
  using enum MemoryKind;
  return {
      of_gpus("CudaPeer", kFirstGpu, kOtherGpu, {kRead, kWrite}, {kRead}),
      of_gpus("CudaGpuWithAllocated", kFirstGpu, kAllocated, {kRead}, {}, true),
      of_gpus("CudaAllocatedWithGpu", kAllocated, kFirstGpu, {kRead}, {}),
      of_gpus("CudaGpuWithHeap", kFirstGpu, kHeap, {kWrite}, {kWrite}),
      of_gpus("CudaHeapWithGpu", kHeap, kFirstGpu, {kWrite}, {}, true),
      served(of_gpus("ServedAllocatedWithGpu", kAllocated, kFirstGpu, {kWrite}, {})),
      served(of_gpus("ServedHeapWithGpu", kHeap, kFirstGpu, {kRead}, {})),
  };
}

}  // namespace nixl_connect::contract
