// SPDX-License-Identifier: Apache-2.0
#include "wire/plain_envelope.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

RdmaMetadata two_descriptors() {
  return {{{"cpu", 140578056978432, 1048576}, {"cuda:1", UINT64_MAX, 0}},
          "b64:eJw=",
          "0f8fad5b-d9cb-469f-a165-70867728950e",
          OperationKind::kWrite};
}

// What the parser makes of it: the blank keeps the plain reader out.
std::optional<RdmaMetadata> parsed(const std::string& json) {
  try {
    return RdmaMetadata::from_json(' ' + json);
  } catch (const Error&) {
    return std::nullopt;
  }
}

TEST(PlainEnvelope, IsWhatToJsonWrites) {
  RdmaMetadata metadata = two_descriptors();
  EXPECT_EQ(read_plain_envelope(metadata.to_json()), metadata);
  metadata.descriptors.clear();
  EXPECT_EQ(read_plain_envelope(metadata.to_json()), metadata);
}

TEST(PlainEnvelope, LeavesEveryOtherTextToTheParser) {
  RdmaMetadata metadata = two_descriptors();
  const std::string json = metadata.to_json();
  for (const std::string& other :
       {std::string(), ' ' + json, json + ' ', json + json, json.substr(1)})
    EXPECT_FALSE(read_plain_envelope(other)) << other;
  metadata.notification_key = "é";
  EXPECT_FALSE(read_plain_envelope(metadata.to_json()));
  metadata.notification_key = "\n";
  EXPECT_FALSE(read_plain_envelope(metadata.to_json()));
  EXPECT_EQ(RdmaMetadata::from_json(metadata.to_json()), metadata);
}

TEST(PlainEnvelope, AgreesWithTheParserWhateverIsChanged) {
  const std::string json = two_descriptors().to_json();
  int read = 0;
  const auto compare = [&](const std::string& changed) {
    const auto plain = read_plain_envelope(changed);
    if (!plain) return;
    EXPECT_EQ(plain, parsed(changed)) << changed;
    ++read;
  };
  for (std::size_t i = 0; i < json.size(); ++i) {
    compare(std::string(json).erase(i, 1));
    for (const char c : {'0', '1',  '9', '-', '.', 'e', 'C',  ' ',  ',',    ':',
                         '"', '\\', '{', '}', '[', ']', '\n', '\0', '\x7f', '\x80'}) {
      compare(std::string(json).insert(i, 1, c));
      std::string changed = json;
      changed[i] = c;
      compare(changed);
    }
  }
  EXPECT_GT(read, 100);
}

TEST(PlainEnvelope, AgreesWithTheParserAboutSamples) {
  Samples samples(31);
  for (int i = 0; i < 300; ++i) {
    const std::string json = samples.envelope().to_json();
    if (const auto plain = read_plain_envelope(json)) {
      EXPECT_EQ(plain, parsed(json));
    }
  }
}

}  // namespace
}  // namespace nixl_connect::wire
