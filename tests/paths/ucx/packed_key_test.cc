// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/packed_key.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace nixl_connect::paths::ucx {
namespace {

constexpr std::uint8_t kUnknownDevice = 0xff;

// A key of memory domains with keys of these sizes, as UCX packs it.
base::Bytes key_of(ucs_memory_type_t type, std::initializer_list<std::uint8_t> sizes) {
  base::Writer out;
  out.u64(((1U << sizes.size()) - 1) << 1);
  out.u8(static_cast<std::uint8_t>(type));
  for (const std::uint8_t size : sizes) {
    out.u8(size);
    out.raw(base::Bytes(size, std::byte{0xab}));
  }
  if (sizes.size() > 0) out.u8(kUnknownDevice);
  return std::move(out).take();
}

TEST(PackedKey, OfAGpuHasAHandleOfCuda) {
  EXPECT_TRUE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_CUDA, {205})));
  EXPECT_TRUE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_CUDA, {9, 205, 4})));
}

TEST(PackedKey, OfAGpuThatNobodyCanOpenIsTold) {
  EXPECT_FALSE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_CUDA, {})));
  EXPECT_FALSE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_CUDA, {9, 63})));
  EXPECT_FALSE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_HOST, {205})));
  EXPECT_FALSE(can_open_gpu_memory(key_of(UCS_MEMORY_TYPE_CUDA_MANAGED, {205})));
}

TEST(PackedKey, SurvivesEveryTruncation) {
  const base::Bytes whole = key_of(UCS_MEMORY_TYPE_CUDA, {9, 205});
  for (std::size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_FALSE(can_open_gpu_memory(base::BytesView(whole).first(size))) << size;
}

TEST(PackedKey, TellsTheKindOfItsMemory) {
  EXPECT_EQ(memory_kind_of(key_of(UCS_MEMORY_TYPE_HOST, {1})), MemoryKind::kHost);
  EXPECT_EQ(memory_kind_of(key_of(UCS_MEMORY_TYPE_CUDA, {1})), MemoryKind::kGpu);
  EXPECT_EQ(memory_kind_of(key_of(UCS_MEMORY_TYPE_LAST, {1})), std::nullopt);
  EXPECT_EQ(memory_kind_of(base::Bytes(8)), std::nullopt);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx
