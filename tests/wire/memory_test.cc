// SPDX-License-Identifier: Apache-2.0
//
// How much memory hostile bytes can make the decoders ask for. Every `new` of this
// program is counted; what is given back is not subtracted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "wire/envelope.h"
#include "wire/gpu_exports.h"
#include "wire/nixl_blob.h"
#include "wire/serdes.h"

namespace {
std::atomic<std::size_t> allocated_bytes{0};
}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocated_bytes += size;
  return std::malloc(size);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace nixl_connect::wire {
namespace {

constexpr std::size_t kErrorBytes = 4096;  // for the text of an error

template <typename Call>
std::size_t allocated_by(Call&& call) {
  const std::size_t before = allocated_bytes;
  call();
  return allocated_bytes - before;
}

template <typename Call>
std::size_t allocated_by_refusal(Call&& call) {
  return allocated_by([&] { EXPECT_THROW(call(), Error); });
}

TEST(Memory, OfAZlibBombIsItsTextOnly) {
  const std::string bomb =
      encode_blob_text(base::Bytes(kMaxBlobBytes + 1), BlobText::kBase64);
  EXPECT_LE(allocated_by_refusal([&] { decode_blob_text(bomb); }),
            bomb.size() + kErrorBytes);
}

TEST(Memory, OfASmallBlobIsSmall) {
  const std::string text = encode_blob_text(base::Bytes(500), BlobText::kBase64);
  EXPECT_LE(allocated_by([&] { decode_blob_text(text); }), 1024U);
}

TEST(Memory, OfHugeCountsIsThatOfTheError) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 60;
  RecordWriter records;
  records.add("Agent", "far");
  records.add_u64("Conns", 0);
  records.add("", "MemSection");
  records.add_u64("nixlSecElms", kHuge);
  const base::Bytes blob = std::move(records).take();
  EXPECT_LE(allocated_by_refusal([&] { decode(blob); }), kErrorBytes);
}

TEST(Memory, OfGpuExportsIsNoneForChunksThatAreNotThere) {
  base::Writer head;
  head.raw(GpuUuid{});
  head.u8(0);
  head.u16(kMaxGpuChunks);
  std::vector<GpuExport> exports;
  EXPECT_EQ(
      allocated_by([&] { EXPECT_FALSE(decode_gpu_exports(head.bytes(), exports)); }),
      0U);
}

TEST(Memory, OfABlobIsASmallMultipleOfItsSize) {
  AgentMetadata agent;
  agent.agent = "far";
  agent.regions.resize(20'000);
  for (Region& region : agent.regions) region.rkey.resize(1);
  const base::Bytes blob = encode(agent);
  EXPECT_LE(allocated_by([&] { decode(blob); }), 8 * blob.size());
}

TEST(Memory, OfHostileJsonIsASmallMultipleOfItsSize) {
  std::string json = R"({"descriptors":[],"x":)" + std::string(1'000'000, '[');
  EXPECT_LE(allocated_by_refusal([&] { RdmaMetadata::from_json(json); }),
            8 * json.size());

  json = R"({"descriptors":[{})";
  for (std::size_t i = 1; i < kMaxDescriptors; ++i) json += ",{}";
  EXPECT_LE(allocated_by([&] { RdmaMetadata::from_json(json + "]}"); }),
            2 * json.size() + 3 * kMaxDescriptors * sizeof(SerializedDescriptor));
}

}  // namespace
}  // namespace nixl_connect::wire
