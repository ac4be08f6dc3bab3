// SPDX-License-Identifier: Apache-2.0
//
// Google Benchmark of the metadata's way through the wire layer, in both directions and
// for one and for thousands of descriptors.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "nixl_connect/metadata.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {
namespace {

constexpr std::uint64_t kPage = 4096;

// `count` regions, as of as many pieces of memory that are registered one by one.
wire::AgentMetadata agent_metadata(std::int64_t count) {
  wire::AgentMetadata metadata;
  metadata.agent = "0123456789abcdef0123456789abcdef";
  metadata.connection = base::Bytes(110, std::byte{7});
  for (std::int64_t i = 0; i < count; ++i) {
    metadata.regions.push_back({wire::MemoryType::kDram, 2 * kPage * (i + 1), kPage, 0,
                                base::Bytes(20, std::byte(i & 255))});
  }
  wire::Extension extension;
  extension.lease = {1, 2, 3, base::Bytes(20, std::byte{9})};
  metadata.extension = extension;
  return metadata;
}

RdmaMetadata envelope(std::int64_t count) {
  RdmaMetadata metadata;
  for (std::int64_t i = 0; i < count; ++i) {
    metadata.descriptors.push_back({"cpu", 2 * kPage * (i + 1), kPage});
  }
  metadata.nixl_metadata = wire::encode_blob_text(wire::encode(agent_metadata(count)),
                                                  wire::BlobText::kBase64);
  metadata.notification_key = "00000000-0000-4000-8000-000000000000";
  metadata.operation_kind = OperationKind::kRead;
  return metadata;
}

void BM_EncodeBlob(benchmark::State& state) {
  const auto metadata = agent_metadata(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(wire::encode(metadata));
}
BENCHMARK(BM_EncodeBlob)->Arg(1)->Arg(4096);

void BM_DecodeBlob(benchmark::State& state) {
  const auto blob = wire::encode(agent_metadata(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(wire::decode(blob));
}
BENCHMARK(BM_DecodeBlob)->Arg(1)->Arg(4096);

void BM_EncodeBlobText(benchmark::State& state) {
  const auto blob = wire::encode(agent_metadata(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(wire::encode_blob_text(blob, wire::BlobText::kBase64));
  }
}
BENCHMARK(BM_EncodeBlobText)->Arg(1)->Arg(4096);

void BM_DecodeBlobText(benchmark::State& state) {
  const auto text = envelope(state.range(0)).nixl_metadata;
  for (auto _ : state) benchmark::DoNotOptimize(wire::decode_blob_text(text));
}
BENCHMARK(BM_DecodeBlobText)->Arg(1)->Arg(4096);

void BM_ToJson(benchmark::State& state) {
  const auto metadata = envelope(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(metadata.to_json());
}
BENCHMARK(BM_ToJson)->Arg(1)->Arg(4096);

void BM_FromJson(benchmark::State& state) {
  const std::string json = envelope(state.range(0)).to_json();
  for (auto _ : state) benchmark::DoNotOptimize(RdmaMetadata::from_json(json));
}
BENCHMARK(BM_FromJson)->Arg(1)->Arg(4096);

}  // namespace
}  // namespace nixl_connect
