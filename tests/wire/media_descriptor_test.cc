// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <regex>

#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

// What the frontend's media loader sends for a decoded item, with `descriptor` as its
// nixl_descriptor.
std::string media_json(std::string_view descriptor) {
  return R"({"shape":[2,3,[4]],"dtype":"UINT8","fps":null,"source":{"a":[{"b":{}}]},)"
         R"("nixl_metadata":"b64:eJw=","nixl_descriptor":)" +
         std::string(descriptor) + R"(,"content_hash":"size"})";
}

void expect_refusal(std::string_view descriptor, std::string_view words) {
  expect_error(ErrorKind::kInvalidArgument, words,
               [&] { RdmaMetadata::from_json(media_json(descriptor)); });
}

TEST(MediaDescriptor, BecomesOneRangeForReading) {
  const RdmaMetadata metadata = RdmaMetadata::from_json(media_json(
      R"({"addr":4096,"size":24,"mem_type":"Dram","device_id":0,"extra":{"x":[1]}})"));
  EXPECT_EQ(metadata.descriptors,
            (std::vector<SerializedDescriptor>{{"cpu", 4096, 24}}));
  EXPECT_EQ(metadata.nixl_metadata, "b64:eJw=");
  EXPECT_EQ(metadata.operation_kind, OperationKind::kRead);
}

TEST(MediaDescriptor, GetsAFreshNotificationKeyEachTime) {
  const std::string json = media_json(R"({"addr":1,"size":0,"mem_type":"Dram"})");
  const std::string key = RdmaMetadata::from_json(json).notification_key;
  const std::regex uuid4(
      "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  EXPECT_TRUE(std::regex_match(key, uuid4)) << key;
  EXPECT_NE(RdmaMetadata::from_json(json).notification_key, key);
}

TEST(MediaDescriptor, InGpuMemoryNamesItsDevice) {
  const RdmaMetadata metadata = RdmaMetadata::from_json(
      media_json(R"({"addr":1,"size":2,"mem_type":"VRAM","device_id":3})"));
  EXPECT_EQ(metadata.descriptors.at(0).device, "cuda:3");
}

TEST(MediaDescriptor, NamesTheFieldThatIsMissingOrWrong) {
  expect_refusal(R"({"size":2,"mem_type":"Dram"})", "nixl_descriptor.addr is missing");
  expect_refusal(R"({"addr":1,"mem_type":"Dram"})", "nixl_descriptor.size is missing");
  expect_refusal(R"({"addr":1,"size":2})", "nixl_descriptor.mem_type");
  expect_refusal(R"({"addr":1,"size":2,"mem_type":"Block"})", "\"Block\"");
  expect_refusal(R"({"addr":0,"size":2,"mem_type":"Dram"})",
                 "nixl_descriptor.addr must");
  expect_refusal(R"({"addr":[],"size":2,"mem_type":"Dram"})", "nixl_descriptor.addr");
  expect_refusal(R"({"addr":1,"size":-2,"mem_type":"Dram"})", "nixl_descriptor.size");
  expect_refusal(R"({"addr":1,"size":2,"mem_type":"Vram","device_id":-1})",
                 "device_id");
  expect_refusal("[]", "nixl_descriptor must not be an array");
  expect_refusal("5", "nixl_descriptor must be an object");
}

TEST(MediaDescriptor, CannotStandBesideOrdinaryDescriptors) {
  expect_error(ErrorKind::kInvalidArgument, "both descriptors and nixl_descriptor", [] {
    RdmaMetadata::from_json(
        R"({"descriptors":[{"ptr":1}],)"
        R"("nixl_descriptor":{"addr":1,"size":2,"mem_type":"Dram"}})");
  });
}

}  // namespace
}  // namespace nixl_connect::wire
