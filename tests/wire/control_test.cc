// SPDX-License-Identifier: Apache-2.0
#include "wire/control.h"

#include <gtest/gtest.h>

#include "wire/fields.h"
#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

ControlMessage from(char sender, ControlBody body) {
  ControlMessage message{{}, std::move(body)};
  message.sender.fill(static_cast<std::byte>(sender));
  return message;
}

TEST(Control, SurvivesTheRoundTrip) {
  Samples samples(11);
  for (int i = 0; i < 1000; ++i) {
    const ControlMessage message = samples.control();
    EXPECT_EQ(decode_control(encode(message)), message);
  }
}

TEST(Control, HasTheBytesThatItsHeaderDescribes) {
  EXPECT_EQ(base::to_hex(encode(from('s', Revoke{5, "gone"}))),
            "0105"
            "73737373737373737373737373737373"
            "0100080000000500000000000000"
            "020004000000676f6e65");
  EXPECT_EQ(base::to_hex(encode(from('s', Fetch{5, 6, 7}))),
            "0106"
            "73737373737373737373737373737373"
            "0100080000000500000000000000"
            "0200080000000600000000000000"
            "0300080000000700000000000000");
  EXPECT_EQ(base::to_hex(encode(from('s', FetchedRegion{7, true}))),
            "0107"
            "73737373737373737373737373737373"
            "0100080000000700000000000000"
            "02000100000001");
  EXPECT_EQ(base::to_hex(encode(from('s', AskKeys{4, 5, 6, 7}))),
            "0109"
            "73737373737373737373737373737373"
            "0100080000000400000000000000"
            "0200080000000500000000000000"
            "0300080000000600000000000000"
            "0400080000000700000000000000");
  EXPECT_EQ(base::to_hex(encode(from(
                's', Keys{4, 0, 1, bytes_of("ab"), {{5, 6, bytes_of("k")}}, "no"}))),
            "010a"
            "73737373737373737373737373737373"
            "0100080000000400000000000000"
            "0200080000000000000000000000"
            "0300080000000100000000000000"
            "0400020000006162"
            "050015000000"
            "05000000000000000600000000000000010000006b"
            "0600020000006e6f");
  EXPECT_EQ(
      base::to_hex(encode(from('s', Serve{4, 5, 6, 1, bytes_of("ab"), {{7, 8, 9}}}))),
      "010b"
      "73737373737373737373737373737373"
      "0100080000000400000000000000"
      "0200080000000500000000000000"
      "0300080000000600000000000000"
      "0400080000000100000000000000"
      "0500020000006162"
      "060018000000"
      "070000000000000008000000000000000900000000000000"
      "07000100000001"
      "0800080000000000000000000000"
      "0900080000000000000000000000");
  EXPECT_EQ(base::to_hex(encode(from('s', NotServed{4, "no"}))),
            "010c"
            "73737373737373737373737373737373"
            "0100080000000400000000000000"
            "0200020000006e6f"
            "03000100000000");
}

TEST(Control, TakesNoHalfRangesAndNotTooMany) {
  Serve serve{4, 5, 6, 1, {}, {{7, 8, 9}}};
  base::Bytes half = encode(from('s', serve));
  // What follows the length of the ranges: these, and three fields more.
  const std::size_t at = half.size() - 14 - 14 - 7 - 24;
  half[at - 4] = std::byte{23};
  half.erase(half.begin() + static_cast<std::ptrdiff_t>(at));
  expect_error(ErrorKind::kInvalidArgument, "field 6 has a value it cannot have",
               [&] { decode_control(half); });
  serve.ranges.resize(kMaxServedRangesInMessage);
  EXPECT_EQ(decode_control(encode(from('s', serve))), from('s', serve));
  serve.ranges.emplace_back();
  EXPECT_THROW(decode_control(encode(from('s', serve))), Error);
}

TEST(Control, CutsLongTextAtACharacter) {
  const ControlMessage message = from('s', Revoke{5, std::string(1019, 'x') + "€uro"});
  EXPECT_EQ(decode_control(encode(message)),
            from('s', Revoke{5, std::string(1019, 'x') + "..."}));
}

TEST(Control, SendsTextOfOtherLibrariesAsUtf8) {
  EXPECT_EQ(decode_control(encode(from('s', Revoke{5, "no \xe9t\xe9"}))),
            from('s', Revoke{5, "no ?t?"}));
}

TEST(Control, SkipsUnknownFields) {
  const ControlMessage message = from('s', Grant{7});
  base::Writer out;
  out.raw(encode(message));
  append_field(out, 8, bytes_of("newer"));
  append_field(out, 999, bytes_of("newest"));
  append_field(out, 0, {});
  EXPECT_EQ(decode_control(out.bytes()), message);
}

TEST(Control, RefusesUnknownKindsAndVersions) {
  base::Bytes data = encode(from('s', Grant{7}));
  data[1] = std::byte{8};
  expect_error(ErrorKind::kInvalidArgument, "kind 8 is unknown",
               [&] { decode_control(data); });
  data[1] = std::byte{0};
  expect_error(ErrorKind::kInvalidArgument, "kind 0 is unknown",
               [&] { decode_control(data); });
  data[0] = std::byte{2};
  expect_error(ErrorKind::kInvalidArgument, "version 2 is unknown",
               [&] { decode_control(data); });
}

TEST(Control, RefusesMissingFields) {
  // A Grant has the first field of an Attach only.
  base::Bytes data = encode(from('s', Grant{7}));
  data[1] = std::byte{2};
  expect_error(ErrorKind::kInvalidArgument, "field 2 is missing",
               [&] { decode_control(data); });
}

TEST(Control, RefusesValuesOutOfRange) {
  base::Bytes attach = encode(from('s', Attach{1, 2, 3, AccessKind::kView}));
  EXPECT_EQ(attach.back(), std::byte{2});
  attach.back() = std::byte{3};
  expect_error(ErrorKind::kInvalidArgument, "field 4", [&] { decode_control(attach); });

  base::Bytes region = encode(from('s', FetchedRegion{1, true}));
  region.back() = std::byte{2};
  expect_error(ErrorKind::kInvalidArgument, "field 2", [&] { decode_control(region); });

  base::Bytes done = encode(from('s', Done{}));
  done[18 + 14 + 14 + 6] = std::byte{3};
  expect_error(ErrorKind::kInvalidArgument, "field 3", [&] { decode_control(done); });

  base::Bytes revoke = encode(from('s', Revoke{5, "x"}));
  revoke.back() = std::byte{0xff};
  expect_error(ErrorKind::kInvalidArgument, "field 2", [&] { decode_control(revoke); });

  base::Writer long_text;
  long_text.raw(encode(from('s', Revoke{5, "x"})));
  append_field(long_text, 2, bytes_of(std::string(1025, 'x')));
  expect_error(ErrorKind::kInvalidArgument, "field 2",
               [&] { decode_control(long_text.bytes()); });
}

TEST(Control, RefusesMessagesBeyondTheLimit) {
  ControlMessage hello = from('s', Hello{"a", base::Bytes(kMaxControlBytes), "", ""});
  expect_error(ErrorKind::kInvalidArgument, "exceeds 65536", [&] { encode(hello); });
  base::Bytes payload;
  append_to_payload(payload, from('s', Grant{5}));
  const base::Bytes before = payload;
  expect_error(ErrorKind::kInvalidArgument, "exceeds 65536",
               [&] { append_to_payload(payload, hello); });
  EXPECT_EQ(payload, before);
  expect_error(ErrorKind::kInvalidArgument, "too long",
               [] { decode_control(base::Bytes(kMaxControlBytes + 1)); });
}

TEST(Control, RefusesKeysThatReachOutsideAndTooMany) {
  const ControlMessage keys = from('s', Keys{4, 0, 1, {}, {{5, 6, bytes_of("k")}}, ""});
  const auto with_keys = [&](base::BytesView value) {
    base::Writer out;
    out.raw(encode(keys));
    append_field(out, 5, value);
    return std::move(out).take();
  };
  base::Writer key;
  key.u64(5);
  key.u64(6);
  key.u32(1);
  EXPECT_EQ(size_in_message({5, 6, bytes_of("k")}), key.bytes().size() + 1);
  expect_error(ErrorKind::kInvalidArgument, "field 5",
               [&] { decode_control(with_keys(key.bytes())); });
  key.raw(bytes_of("k"));
  EXPECT_EQ(decode_control(with_keys(key.bytes())), keys);
  for (std::size_t size = 1; size < key.bytes().size(); ++size)
    expect_error(ErrorKind::kInvalidArgument, "field 5", [&] {
      decode_control(with_keys(base::BytesView(key.bytes()).first(size)));
    });
  // As many as there may be do not fit into a message.
  static_assert(kMaxKeys * size_in_message({}) > kMaxControlBytes);
}

TEST(ControlPayload, GivesItsMessagesInOrder) {
  Samples samples(12);
  std::vector<ControlMessage> messages;
  base::Bytes payload;
  for (int i = 0; i < 100; ++i) {
    messages.push_back(samples.control());
    append_to_payload(payload, messages.back());
    const auto parts = split_payload(payload);
    ASSERT_EQ(parts.size(), messages.size());
    for (std::size_t k = 0; k < parts.size(); ++k)
      ASSERT_EQ(decode_control(parts[k]), messages[k]);
  }
  EXPECT_TRUE(split_payload({}).empty());
}

TEST(ControlPayload, RefusesEveryTruncation) {
  base::Bytes payload;
  append_to_payload(payload, from('s', Grant{7}));
  const std::size_t first = payload.size();
  append_to_payload(payload, from('s', Revoke{5, "gone"}));
  for (std::size_t size = 1; size < payload.size(); ++size)
    if (size != first)
      expect_error(ErrorKind::kInvalidArgument, "reaches outside",
                   [&] { split_payload(base::BytesView(payload).first(size)); });
}

}  // namespace
}  // namespace nixl_connect::wire
