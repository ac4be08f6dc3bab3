// SPDX-License-Identifier: Apache-2.0
//
// What a peer on the same host needs to open memory of a GPU that an operation exposes:
// a field of the extension. Pure functions; the decoder takes hostile bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nixl_connect::wire {

using GpuUuid = std::array<std::byte, 16>;
using CudaIpcHandle = std::array<std::byte, 64>;

// Drivers count from 1.
constexpr std::uint64_t kFirstUnusedBufferId = std::uint64_t{1} << 63;

// What was allocated at once.
struct GpuChunk {
  std::uint64_t address = 0;  // in the exposing process
  std::uint64_t size = 0;
  // No other memory of that process ever has it. Below kFirstUnusedBufferId, where the
  // chunk is a file.
  std::uint64_t buffer_id = 0;

  bool operator==(const GpuChunk&) const = default;
};

// An allocation, or several that were mapped side by side.
struct GpuExport {
  GpuUuid gpu{};                 // the same in all processes
  std::vector<GpuChunk> chunks;  // at least one, each begins where the last one ends
  // Of the one chunk. None: each chunk is a file, to be asked for.
  std::optional<CudaIpcHandle> handle{};

  // Once defect_of() has found nothing.
  bool covers(std::uint64_t first, std::uint64_t bytes) const noexcept {
    const std::uint64_t start = chunks.front().address;
    const std::uint64_t size = chunks.back().address + chunks.back().size - start;
    return first >= start && first - start <= size && bytes <= size - (first - start);
  }
  bool operator==(const GpuExport&) const = default;
};

// The memory is ready when a stream of the exposing process has come by this event,
// which has been recorded there.
struct ReadyEvent {
  GpuUuid gpu{};  // of the stream
  CudaIpcHandle handle{};

  bool operator==(const ReadyEvent&) const = default;
};

constexpr std::size_t kMaxGpuExports = 256;  // a KV cache has one or two for a layer
constexpr std::size_t kMaxGpuChunks = 1024;  // of all exports together
constexpr std::size_t kGpuExportHeadBytes = sizeof(GpuUuid) + 1 + 2;
constexpr std::size_t kGpuChunkBytes = 3 * 8;
constexpr std::size_t kMaxGpuExportsBytes =
    kMaxGpuExports * (kGpuExportHeadBytes + sizeof(CudaIpcHandle)) +
    kMaxGpuChunks * kGpuChunkBytes;
constexpr std::size_t kReadyEventBytes = sizeof(GpuUuid) + sizeof(CudaIpcHandle);

// What makes them unfit for the wire; null if nothing does.
const char* defect_of(const std::vector<GpuExport>& exports);

// Of each: 16 bytes UUID of the GPU, u8 whether there is a handle (0 or 1), u16 number
// of chunks, the handle's 64 bytes if there is one, then of each chunk u64 address, u64
// size, u64 buffer id. They have no defect.
std::vector<std::byte> encode_gpu_exports(const std::vector<GpuExport>& exports);

// False if a length reaches outside, or what is there has a defect.
bool decode_gpu_exports(std::span<const std::byte> value,
                        std::vector<GpuExport>& exports);

// The same of memory that is to be waited for: 16 bytes UUID of the stream's GPU, the
// 64 bytes of the event's handle, then the exports as above.
std::vector<std::byte> encode_ordered_gpu_exports(
    const ReadyEvent& ready, const std::vector<GpuExport>& exports);
bool decode_ordered_gpu_exports(std::span<const std::byte> value,
                                std::optional<ReadyEvent>& ready,
                                std::vector<GpuExport>& exports);

}  // namespace nixl_connect::wire
