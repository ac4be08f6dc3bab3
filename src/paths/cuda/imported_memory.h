// SPDX-License-Identifier: Apache-2.0
//
// Memory of a GPU that another process has, as one GPU of this process reaches it. A
// resource, bound to the context that was current when it was opened, which has to
// outlive it. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "paths/cuda/allocations.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/instance.h"

namespace nixl_connect::paths::cuda {

// What its owner tells of an allocation.
struct ForeignMemory {
  Instance owner{};
  std::vector<MemoryChunk> chunks;    // side by side; addresses of the owner
  std::optional<CuIpcHandle> handle;  // of the one chunk; none: it comes as files
};

// The same of a point in what a stream was given (foreign_points.h).
struct ForeignPoint {
  Instance owner{};
  CuIpcHandle handle{};
};

class ForeignMapping {
 public:
  // For the current context, `device` is its GPU. `files` of each chunk, unless it has
  // a handle. Throws Error(kInvalidArgument) for chunks that are not side by side or
  // not as many as the files, Error(kUnsupported) if the memory is smaller than its
  // owner says, otherwise as Driver::check().
  static std::shared_ptr<const ForeignMapping> open(
      const Driver& driver, CuDevice device, const ForeignMemory& memory,
      std::span<const base::UniqueFd> files);

  ForeignMapping(const ForeignMapping&) = delete;
  ForeignMapping& operator=(const ForeignMapping&) = delete;
  // Nothing that uses it is under way any more.
  ~ForeignMapping();

  // What the owner calls `address`, which is in one of the chunks.
  CuDevicePointer here(CuDevicePointer address) const noexcept {
    return start_ + (address - foreign_start_);
  }
  CuDevicePointer foreign_start() const noexcept { return foreign_start_; }
  std::uint64_t size() const noexcept { return size_; }

 private:
  ForeignMapping(const Driver& driver, const ForeignMemory& memory);

  void open_handle(const CuIpcHandle& handle);
  void map_files(CuDevice device, std::span<const MemoryChunk> chunks,
                 std::span<const base::UniqueFd> files);

  const Driver& driver_;
  CuContext context_ = nullptr;
  const CuDevicePointer foreign_start_;
  const std::uint64_t size_;
  CuDevicePointer start_ = 0;
  ImportedMemory opened_;     // by a handle
  bool is_reserved_ = false;  // for files
  std::uint64_t mapped_ = 0;  // bytes from start_ on
};

}  // namespace nixl_connect::paths::cuda
