// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/packed_key.h"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace nixl_connect::paths::ucx {
namespace {

// Source: ucp_rkey.c, ucp_rkey_packed_copy: u64 map of memory domains, u8 memory type,
// and for each domain of the map u8 size and so many bytes.
constexpr std::size_t kHeadBytes = 9;

// The handle alone, of legacy IPC or of a file; a key of a network device has less.
constexpr std::size_t kCudaHandleBytes = 64;

ucs_memory_type_t memory_type_of(base::BytesView packed) noexcept {
  return static_cast<ucs_memory_type_t>(
      std::to_integer<unsigned>(packed[kHeadBytes - 1]));
}

}  // namespace

std::optional<MemoryKind> memory_kind_of(base::BytesView packed) noexcept {
  if (packed.size() < kHeadBytes || memory_type_of(packed) >= UCS_MEMORY_TYPE_LAST)
    return std::nullopt;
  return memory_type_of(packed) == UCS_MEMORY_TYPE_HOST ? MemoryKind::kHost
                                                        : MemoryKind::kGpu;
}

bool can_open_gpu_memory(base::BytesView packed) noexcept {
  if (packed.size() < kHeadBytes || memory_type_of(packed) != UCS_MEMORY_TYPE_CUDA)
    return false;
  base::Reader reader(packed);
  const std::uint64_t domains = *reader.u64();
  reader.u8();
  for (int i = 0; i < std::popcount(domains); ++i) {
    const auto size = reader.u8();
    if (!size || !reader.raw(*size)) return false;
    if (*size >= kCudaHandleBytes) return true;
  }
  return false;
}

}  // namespace nixl_connect::paths::ucx
