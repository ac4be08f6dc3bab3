// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/imported_memory.h"

#include <limits>
#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::paths::cuda {
namespace {

void check_chunks(const ForeignMemory& memory, std::size_t files) {
  const auto refuse = [](const char* reason) {
    throw Error(
        ErrorKind::kInvalidArgument,
        std::string("GPU memory of another process is described wrongly: ") + reason);
  };
  const auto& chunks = memory.chunks;
  if (chunks.empty() || (memory.handle && chunks.size() != 1))
    refuse("a handle is of one allocation");
  if (!memory.handle && files != chunks.size())
    refuse("there is not one file for each allocation");
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].size == 0 ||
        chunks[i].size > std::numeric_limits<CuDevicePointer>::max() - chunks[i].start)
      refuse("an allocation has no size, or one that cannot be");
    if (i > 0 && chunks[i].start != chunks[i - 1].start + chunks[i - 1].size)
      refuse("the allocations do not lie side by side");
  }
}

}  // namespace

std::shared_ptr<const ForeignMapping> ForeignMapping::open(
    const Driver& driver, CuDevice device, const ForeignMemory& memory,
    std::span<const base::UniqueFd> files) {
  check_chunks(memory, files.size());
  // If one of the steps fails, what was done before is undone by its destructor.
  const std::shared_ptr<ForeignMapping> mapping(new ForeignMapping(driver, memory));
  if (memory.handle)
    mapping->open_handle(*memory.handle);
  else
    mapping->map_files(device, memory.chunks, files);
  return mapping;
}

ForeignMapping::ForeignMapping(const Driver& driver, const ForeignMemory& memory)
    : driver_(driver),
      foreign_start_(memory.chunks.front().start),
      size_(memory.chunks.back().start + memory.chunks.back().size - foreign_start_) {
  driver.check(driver.functions.context_get_current(&context_),
               "asking for the current CUDA context");
}

ForeignMapping::~ForeignMapping() {
  const Functions& functions = driver_.functions;
  const bool is_current = functions.context_push(context_) == kCuSuccess;
  opened_ = {};
  if (mapped_ > 0) functions.mem_unmap(start_, mapped_);
  if (is_reserved_) functions.mem_address_free(start_, size_);
  if (is_current) functions.context_pop(&context_);
}

void ForeignMapping::open_handle(const CuIpcHandle& handle) {
  const Functions& functions = driver_.functions;
  driver_.check(functions.ipc_open_mem_handle(&start_, handle, kCuIpcLazyPeerAccess),
                "opening GPU memory of another process by a CUDA IPC handle");
  opened_ = {driver_, start_};
  CuDevicePointer start = 0;
  std::size_t size = 0;
  driver_.check(functions.mem_get_address_range(&start, &size, start_),
                "asking for the bounds of GPU memory of another process");
  if (start != start_ || size < size_)
    throw Error(ErrorKind::kUnsupported,
                "GPU memory of another process is " + std::to_string(size) +
                    " bytes, and its owner says " + std::to_string(size_));
}

void ForeignMapping::map_files(CuDevice device, std::span<const MemoryChunk> chunks,
                               std::span<const base::UniqueFd> files) {
  constexpr const char* kAttempt =
      "mapping GPU memory of another process by file descriptors";
  const Functions& functions = driver_.functions;
  driver_.check(functions.mem_address_reserve(&start_, size_, 0, 0, 0), kAttempt);
  is_reserved_ = true;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    // The driver takes the number in place of a pointer.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto* const file = reinterpret_cast<void*>(std::intptr_t{files[i].get()});
    CuAllocation imported = 0;
    driver_.check(functions.mem_import(&imported, file, kCuHandlePosixFd), kAttempt);
    // The mapping keeps the memory.
    const Allocation held(driver_, imported);
    driver_.check(functions.mem_map(start_ + mapped_, chunks[i].size, 0, imported, 0),
                  kAttempt);
    mapped_ += chunks[i].size;
  }
  const CuAccess access{.location = {.id = device}};
  driver_.check(functions.mem_set_access(start_, size_, &access, 1), kAttempt);
}

}  // namespace nixl_connect::paths::cuda
