// SPDX-License-Identifier: Apache-2.0
#include "wire/envelope.h"

#include <gtest/gtest.h>

#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

void expect_refusal(std::string_view json, std::string_view words) {
  expect_error(ErrorKind::kInvalidArgument, words,
               [&] { RdmaMetadata::from_json(json); });
}

RdmaMetadata one_descriptor() {
  return {{{"cpu", 140578056978432, 1048576}},
          "b64:eJw=",
          "0f8fad5b-d9cb-469f-a165-70867728950e",
          OperationKind::kRead};
}

TEST(Envelope, HasTheTextThatPeersExpect) {
  constexpr std::string_view kJson =
      R"({"descriptors":[{"device":"cpu","ptr":140578056978432,"size":1048576}],)"
      R"("nixl_metadata":"b64:eJw=",)"
      R"("notification_key":"0f8fad5b-d9cb-469f-a165-70867728950e","operation_kind":1})";
  EXPECT_EQ(one_descriptor().to_json(), kJson);
  EXPECT_EQ(RdmaMetadata::from_json(kJson), one_descriptor());
}

TEST(Envelope, SurvivesTheRoundTrip) {
  Samples samples(13);
  for (int i = 0; i < 500; ++i) {
    const RdmaMetadata metadata = samples.envelope();
    EXPECT_EQ(RdmaMetadata::from_json(metadata.to_json()), metadata)
        << metadata.to_json();
  }
}

TEST(Envelope, KeepsTheLargestAddress) {
  RdmaMetadata metadata = one_descriptor();
  metadata.descriptors[0] = {"cuda:7", UINT64_MAX, UINT64_MAX};
  EXPECT_NE(metadata.to_json().find(R"("ptr":18446744073709551615,)"),
            std::string::npos);
  EXPECT_EQ(RdmaMetadata::from_json(metadata.to_json()), metadata);
}

TEST(Envelope, EscapesAsJsonDemands) {
  RdmaMetadata metadata;
  metadata.notification_key = "\"\\\b\f\n\r\t\x01\x1f\x7f/é€";
  EXPECT_EQ(metadata.to_json(),
            R"({"descriptors":[],"nixl_metadata":"","notification_key":)"
            R"("\"\\\b\f\n\r\t\u0001\u001f)"
            "\x7f/é€"
            R"(","operation_kind":0})");
  metadata.notification_key = "\xff";
  expect_error(ErrorKind::kInvalidArgument, "notification_key is not UTF-8",
               [&] { (void)metadata.to_json(); });
}

TEST(Envelope, TakesAnyLayoutOfTheSameJson) {
  EXPECT_EQ(RdmaMetadata::from_json(R"(
    { "operation_kind" : 1, "notification_key": "0f8fad5b-d9cb-469f-a165-70867728950e",
      "descriptors": [ {"size":1048576, "ptr": "140578056978432", "device":" CPU\n"} ],
      "nixl_metadata": "b64:eJ\u0077=" } )"),
            one_descriptor());
}

TEST(Envelope, NormalisesDevices) {
  for (const auto& [given, expected] :
       {std::pair{" CPU ", "cpu"}, std::pair{"CUDA:1", "cuda:1"},
        std::pair{"cuda", "cuda"}, std::pair{"\\tXpu:2", "xpu:2"}}) {
    const std::string json =
        std::string(R"({"descriptors":[{"device":")") + given + R"(","ptr":1}]})";
    EXPECT_EQ(RdmaMetadata::from_json(json).descriptors.at(0).device, expected);
  }
  for (const char* device : {"", " ", "gpu:0", "host", "cpu:0", "tpu"})
    expect_refusal(std::string(R"({"descriptors":[{"ptr":1},{"device":")") + device +
                       R"(","ptr":1}]})",
                   "descriptors[1].device");
}

TEST(Envelope, GivesMissingKeysTheirDefaults) {
  EXPECT_EQ(RdmaMetadata::from_json("{}"), RdmaMetadata{});
  EXPECT_EQ(RdmaMetadata::from_json(R"({"descriptors":[{}]})").descriptors,
            std::vector<SerializedDescriptor>(1));
}

TEST(Envelope, NamesUnknownKeys) {
  expect_refusal(R"({"descriptors":[],"shape":[1,{"a":[]}],"more":1})", "\"shape\"");
  expect_refusal(R"({"":1})", "\"\" is none of descriptors");
  expect_refusal(R"({"descriptors":[{"ptr":1},{"pointer":2}]})",
                 "\"pointer\" in descriptors[1]");
}

TEST(Envelope, NamesTheFieldWhoseValueIsWrong) {
  for (const char* value : {"0", "-1", "1.5", "18446744073709551616", "null", "true",
                            R"("")", R"("0x10")", R"(" 1")", R"("-1")", R"("1 ")"})
    expect_refusal(std::string(R"({"descriptors":[{"ptr":)") + value + "}]}",
                   "descriptors[0].ptr must be a whole number from 1 to");
  for (const char* value : {"-1", "1.5", "null", R"("many")"})
    expect_refusal(std::string(R"({"descriptors":[{"size":)") + value + "}]}",
                   "descriptors[0].size");
  for (const char* value : {"0", "3", "-1", "null", R"("READ")", "1e0"})
    expect_refusal(std::string(R"({"operation_kind":)") + value + "}",
                   "operation_kind must be a whole number from 1 to 2");
  for (const char* key : {"nixl_metadata", "notification_key"})
    for (const char* value : {"1", "null", "false"})
      expect_refusal(std::string("{\"") + key + "\":" + value + "}",
                     std::string(key) + " must be text");
}

TEST(Envelope, RefusesValuesOfTheWrongShape) {
  expect_refusal("[]", "it is an array");
  expect_refusal("7", "no JSON object");
  expect_refusal(R"({"descriptors":{}})", "descriptors must not be an object");
  expect_refusal(R"({"descriptors":1})", "descriptors must be an array");
  expect_refusal(R"({"descriptors":[1]})", "descriptors must hold objects");
  expect_refusal(R"({"descriptors":[[]]})", "descriptors holds an array");
  expect_refusal(R"({"descriptors":[{"ptr":[]}]})", "descriptors[0].ptr must not be");
  expect_refusal(R"({"nixl_metadata":{}})", "nixl_metadata must not be an object");
}

TEST(Envelope, RefusesWhatIsNotJsonWithoutQuotingIt) {
  for (const char* json : {"", "{", "{]", "{\"a\":1}}", "{\"nixl_metadata\":\"\xff\"}",
                           "{} {}", "{'a':1}", "{\"a\":1e999}", "{\"a\":01}"})
    expect_refusal(json, "not JSON at byte");
  try {
    RdmaMetadata::from_json(R"({"nixl_metadata":"secret)");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
  }
}

TEST(Envelope, SurvivesDeepNesting) {
  const std::string deep(1'000'000, '[');
  expect_refusal("{\"x\":" + deep, "not JSON at byte");
  expect_refusal("{\"x\":" + deep + std::string(deep.size(), ']') + "}", "\"x\"");
}

TEST(Envelope, BoundsTextAndDescriptors) {
  expect_refusal(std::string(kMaxJsonBytes + 1, ' '), "longer than 64 MiB");
  std::string json = R"({"descriptors":[{})";
  for (std::size_t i = 0; i < kMaxDescriptors; ++i) json += ",{}";
  expect_refusal(json + "]}", "more than 1048576 descriptors");
}

// What two of our Connectors exchange has to fit a message of a request bus, and to
// stay in the order of what a genuine agent sends for one region.
TEST(Envelope, OfOneDescriptorStaysUnder700Bytes) {
  Samples samples(14);
  const auto random_bytes = [&](std::size_t size) {
    base::Bytes bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(samples.number(255));
    return bytes;
  };
  const base::Bytes rkey = bytes_of(std::string_view("\1\0\0\0\0\0\0\0\0\0\xff", 11));
  AgentMetadata agent;
  agent.agent = base::to_hex(random_bytes(16)) + "-1";
  agent.connection = random_bytes(110);
  agent.regions = {{MemoryType::kDram, 0x7fdae1264000, 1048576, 0, rkey}};
  Extension extension;
  const base::Bytes instance = random_bytes(16);
  std::copy(instance.begin(), instance.end(), extension.instance.begin());
  extension.library_version = "0.1.0";
  extension.ucx_version = "1.22.0";
  extension.lease = {1234, samples.number(), 0x7fdae0421a40, rkey};
  agent.extension = extension;

  RdmaMetadata metadata = one_descriptor();
  metadata.nixl_metadata = encode_blob_text(encode(agent), BlobText::kBase64);
  EXPECT_LT(metadata.to_json().size(), 700U);
  RecordProperty("json_bytes", static_cast<int>(metadata.to_json().size()));
}

}  // namespace
}  // namespace nixl_connect::wire
