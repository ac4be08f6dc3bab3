// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "wire/envelope.h"
#include "wire/samples.h"
#include "wire/text_forms.h"

namespace nixl_connect::wire {
namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

base::Bytes zlib_stream(base::BytesView bytes) {
  const std::string text = encode_blob_text(bytes, BlobText::kHex);
  return decode_hex(text, 0);
}

TEST(BlobText, WritesTheTwoFormsThatPeersKnow) {
  const base::Bytes v1 = captured("v1_full");
  const std::string base64 = encode_blob_text(v1, BlobText::kBase64);
  const std::string hex = encode_blob_text(v1, BlobText::kHex);
  EXPECT_EQ(base64.substr(0, 6), "b64:eJ");
  EXPECT_EQ(hex.substr(0, 4), "789c");
  EXPECT_EQ(decode_blob_text(base64), v1);
  EXPECT_EQ(decode_blob_text(hex), v1);
  EXPECT_EQ(decode_blob_text(upper(hex)), v1);
}

TEST(BlobText, IsCompressedWithLittleEffortWhereItIsLarge) {
  for (const auto& [size, start] :
       {std::pair{65535U, "789c"}, std::pair{65536U, "7801"}}) {
    const base::Bytes blob(size);
    EXPECT_EQ(encode_blob_text(blob, BlobText::kHex).substr(0, 4), start);
  }
}

TEST(BlobText, SurvivesTheRoundTripAtEverySize) {
  Samples samples(12);
  for (const std::size_t size :
       {0U, 1U, 2U, 3U, 100U, 16383U, 16384U, 16385U, 200000U}) {
    base::Bytes blob(size);
    for (std::byte& byte : blob) byte = static_cast<std::byte>(samples.number(3));
    for (const BlobText form : {BlobText::kBase64, BlobText::kHex})
      EXPECT_EQ(decode_blob_text(encode_blob_text(blob, form)), blob) << size;
  }
}

TEST(BlobText, AgreesWithTheVectorsOfRfc4648) {
  for (const auto& [bytes, text] :
       {std::pair{"", ""}, std::pair{"f", "Zg=="}, std::pair{"fo", "Zm8="},
        std::pair{"foo", "Zm9v"}, std::pair{"foob", "Zm9vYg=="},
        std::pair{"fooba", "Zm9vYmE="}, std::pair{"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(encode_base64(bytes_of(bytes)), text);
    EXPECT_EQ(decode_base64(text, 0), bytes_of(bytes));
  }
}

TEST(BlobText, NamesTheCharacterThatIsNoBase64) {
  for (const auto& [text, position] :
       {std::pair{"b64:eJx!", 7}, std::pair{"b64:eJ-x", 6}, std::pair{"b64:eJxeJ", 9},
        std::pair{"b64:eJx\n", 7}, std::pair{"b64:====", 4}, std::pair{"b64:e===", 5},
        std::pair{"b64:eJ=x", 6}, std::pair{"b64:eJ==eJx=", 6},
        std::pair{"b64:eJ==x", 6},
        // Not the shortest form: bits set that no byte takes up.
        std::pair{"b64:Zh==", 5}, std::pair{"b64:Zm9=", 6}})
    expect_error(ErrorKind::kInvalidArgument,
                 "not base64 at character " + std::to_string(position),
                 [&, form = text] { decode_blob_text(form); });
}

TEST(BlobText, NamesTheCharacterThatIsNoHexadecimal) {
  for (const auto& [text, position] :
       {std::pair{"789cx", 4}, std::pair{"789", 3}, std::pair{" 789c", 0},
        std::pair{"B64:eJx=", 3}, std::pair{"eJxx", 1}})
    expect_error(ErrorKind::kInvalidArgument,
                 "not hexadecimal at character " + std::to_string(position),
                 [&, form = text] { decode_blob_text(form); });
}

TEST(BlobText, RefusesDamagedStreams) {
  const base::Bytes stream = zlib_stream(captured("v1_full"));
  expect_error(ErrorKind::kInvalidArgument, "it is empty",
               [] { decode_blob_text(""); });
  for (std::size_t size = 0; size < stream.size(); ++size)
    expect_error(ErrorKind::kInvalidArgument,
                 size == 0 ? "breaks off" : "nixl_metadata", [&] {
                   const base::Bytes cut(stream.begin(),
                                         stream.begin() + static_cast<int>(size));
                   decode_blob_text("b64:" + encode_base64(cut));
                 });
  base::Bytes flipped = stream;
  flipped.back() ^= std::byte{1};
  expect_error(ErrorKind::kInvalidArgument, "damaged: incorrect data check",
               [&] { decode_blob_text(base::to_hex(flipped)); });
  base::Bytes longer = stream;
  longer.resize(stream.size() + 3);
  expect_error(ErrorKind::kInvalidArgument, "3 bytes behind",
               [&] { decode_blob_text(base::to_hex(longer)); });
}

TEST(BlobText, RefusesAStreamThatWantsADictionary) {
  expect_error(ErrorKind::kInvalidArgument, "dictionary",
               [] { decode_blob_text("78bb0000000103000000000100"); });
}

TEST(BlobText, TakesTheLargestBlobAndNoLargerOne) {
  base::Bytes blob(kMaxBlobBytes);
  EXPECT_EQ(decode_blob_text(encode_blob_text(blob, BlobText::kBase64)).size(),
            kMaxBlobBytes);
  blob.emplace_back();
  const std::string bomb = encode_blob_text(blob, BlobText::kBase64);
  expect_error(ErrorKind::kInvalidArgument, "more than 64 MiB",
               [&] { decode_blob_text(bomb); });
}

}  // namespace
}  // namespace nixl_connect::wire
