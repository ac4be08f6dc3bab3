// SPDX-License-Identifier: Apache-2.0
#include "wire/gpu_exports.h"

#include <algorithm>

#include "base/bytes.h"

namespace nixl_connect::wire {
namespace {

enum Kind : std::uint8_t { kFiles = 0, kHandle = 1 };

bool are_side_by_side(const std::vector<GpuChunk>& chunks) {
  for (std::size_t i = 1; i < chunks.size(); ++i)
    if (chunks[i].address != chunks[i - 1].address + chunks[i - 1].size) return false;
  return true;
}

const char* defect_of(const GpuExport& exported) {
  if (exported.chunks.empty()) return "exported memory of a GPU has no chunks";
  if (exported.handle && exported.chunks.size() != 1)
    return "a CUDA IPC handle stands for several chunks";
  for (const GpuChunk& each : exported.chunks) {
    if (each.size == 0) return "a chunk of a GPU's memory is empty";
    if (each.size > UINT64_MAX - each.address)
      return "a chunk of a GPU's memory reaches beyond the last address";
    if (!exported.handle && each.buffer_id >= kFirstUnusedBufferId)
      return "a chunk that is a file has a buffer id that it cannot be asked for by";
  }
  if (!are_side_by_side(exported.chunks))
    return "the chunks of a GPU's memory are not side by side";
  return nullptr;
}

template <std::size_t N>
bool take(base::Reader& reader, std::array<std::byte, N>& value) {
  const auto bytes = reader.raw(N);
  if (bytes) std::copy(bytes->begin(), bytes->end(), value.begin());
  return bytes.has_value();
}

// Nothing for one of more than `most_chunks`, too.
std::optional<GpuExport> take_export(base::Reader& reader, std::size_t most_chunks) {
  GpuExport result;
  if (!take(reader, result.gpu)) return std::nullopt;
  const auto kind = reader.u8();
  const auto count = reader.u16();
  if (!kind || *kind > kHandle || !count || *count > most_chunks) return std::nullopt;
  if (*kind == kHandle && !take(reader, result.handle.emplace())) return std::nullopt;
  if (reader.rest().size() / kGpuChunkBytes < *count) return std::nullopt;
  result.chunks.resize(*count);
  for (GpuChunk& each : result.chunks) {
    each.address = *reader.u64();
    each.size = *reader.u64();
    each.buffer_id = *reader.u64();
  }
  return result;
}

}  // namespace

const char* defect_of(const std::vector<GpuExport>& exports) {
  if (exports.size() > kMaxGpuExports)
    return "there are too many allocations of GPU memory";
  std::size_t chunks = 0;
  for (const GpuExport& each : exports) {
    if (const char* defect = defect_of(each)) return defect;
    chunks += each.chunks.size();
  }
  if (chunks > kMaxGpuChunks) return "there are too many chunks of GPU memory";
  return nullptr;
}

base::Bytes encode_gpu_exports(const std::vector<GpuExport>& exports) {
  base::Writer out;
  for (const GpuExport& each : exports) {
    out.raw(each.gpu);
    out.u8(each.handle ? kHandle : kFiles);
    out.u16(static_cast<std::uint16_t>(each.chunks.size()));
    if (each.handle) out.raw(*each.handle);
    for (const GpuChunk& chunk : each.chunks) {
      out.u64(chunk.address);
      out.u64(chunk.size);
      out.u64(chunk.buffer_id);
    }
  }
  return std::move(out).take();
}

bool decode_gpu_exports(base::BytesView value, std::vector<GpuExport>& exports) {
  base::Reader reader(value);
  exports.clear();
  std::size_t chunks_left = kMaxGpuChunks;
  while (!reader.is_empty()) {
    if (exports.size() == kMaxGpuExports) return false;
    auto taken = take_export(reader, chunks_left);
    if (!taken) return false;
    chunks_left -= taken->chunks.size();
    exports.push_back(std::move(*taken));
  }
  return defect_of(exports) == nullptr;
}

base::Bytes encode_ordered_gpu_exports(const ReadyEvent& ready,
                                       const std::vector<GpuExport>& exports) {
  base::Writer out;
  out.raw(ready.gpu);
  out.raw(ready.handle);
  out.raw(encode_gpu_exports(exports));
  return std::move(out).take();
}

bool decode_ordered_gpu_exports(base::BytesView value, std::optional<ReadyEvent>& ready,
                                std::vector<GpuExport>& exports) {
  base::Reader reader(value);
  ReadyEvent& found = ready.emplace();
  return take(reader, found.gpu) && take(reader, found.handle) &&
         decode_gpu_exports(reader.rest(), exports);
}

}  // namespace nixl_connect::wire
