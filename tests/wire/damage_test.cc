// SPDX-License-Identifier: Apache-2.0
//
// Every decoder over every truncation and every flipped bit of valid bytes: a truncated
// value is an Error, a damaged one is an Error or some other valid value.
#include <gtest/gtest.h>

#include <functional>

#include "wire/envelope.h"
#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

using Decoder = std::function<void(base::BytesView)>;

bool is_refused(const Decoder& decoder, base::BytesView bytes) {
  try {
    decoder(bytes);
  } catch (const Error& error) {
    EXPECT_GT(std::string_view(error.what()).size(), 20U);
    EXPECT_LT(std::string_view(error.what()).size(), 400U) << error.what();
    return true;
  }
  return false;
}

// Returns how many of the flipped bits were noticed.
std::size_t damage(const Decoder& decoder, const base::Bytes& valid) {
  EXPECT_FALSE(is_refused(decoder, valid));
  for (std::size_t size = 0; size < valid.size(); ++size)
    EXPECT_TRUE(is_refused(decoder, base::BytesView(valid).first(size))) << size;
  std::size_t noticed = 0;
  for (std::size_t bit = 0; bit < 8 * valid.size(); ++bit) {
    base::Bytes damaged = valid;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    noticed += is_refused(decoder, damaged) ? 1 : 0;
  }
  return noticed;
}

const Decoder kBlob = [](base::BytesView bytes) { decode(bytes); };
const Decoder kNotification = [](base::BytesView bytes) { decode_notification(bytes); };
const Decoder kControl = [](base::BytesView bytes) { decode_control(bytes); };
const Decoder kEnvelope = [](base::BytesView bytes) {
  RdmaMetadata::from_json(base::as_text(bytes));
};

TEST(Damage, OfCapturedMetadataIsNoticedInEveryTagAndLength) {
  // Only values (names, addresses, keys) can change unnoticed: the format has no
  // checksum. 48 bytes of worker address and 33 of the descriptor are most of them.
  const base::Bytes v1 = captured("v1_full");
  EXPECT_GT(damage(kBlob, v1), 8 * (v1.size() - 48 - 33 - 20));
  damage(kBlob, captured("v4_full_wheel"));
  damage(kBlob, captured("v5_partial_wheel"));
}

TEST(Damage, OfAnExtensionMakesThePeerAGenuineAgent) {
  AgentMetadata agent;
  agent.agent = "near";
  const std::size_t plain_size = encode(agent).size();
  agent.extension = Samples(15).extension();
  const base::Bytes blob = encode(agent);
  for (std::size_t bit = 8 * plain_size; bit < 8 * (blob.size() - 1); ++bit) {
    base::Bytes damaged = blob;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const AgentMetadata decoded = decode(damaged);
    EXPECT_EQ(decoded.agent, "near");
    EXPECT_FALSE(decoded.extension) << "bit " << bit;
  }
  for (std::size_t size = plain_size; size < blob.size() - 1; ++size)
    EXPECT_FALSE(decode(base::BytesView(blob).first(size)).extension) << size;
}

TEST(Damage, OfNotificationsIsSurvived) {
  damage(kNotification, captured("v3_notification"));
}

TEST(Damage, OfControlMessagesIsSurvived) {
  Samples samples(16);
  for (int i = 0; i < 40; ++i) damage(kControl, encode(samples.control()));
}

TEST(Damage, OfBlobTextIsNoticedOrWithoutEffect) {
  const base::Bytes blob = captured("v5_partial_wheel");
  const Decoder same_blob = [&](base::BytesView bytes) {
    EXPECT_EQ(decode_blob_text(base::as_text(bytes)), blob);
  };
  for (const BlobText form : {BlobText::kBase64, BlobText::kHex})
    damage(same_blob, bytes_of(encode_blob_text(blob, form)));
}

TEST(Damage, OfEnvelopesIsSurvived) {
  Samples samples(17);
  for (int i = 0; i < 20; ++i)
    damage(kEnvelope, bytes_of(samples.envelope().to_json()));
}

}  // namespace
}  // namespace nixl_connect::wire
