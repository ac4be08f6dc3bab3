// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

namespace nixl_connect::base {
namespace {

TEST(Bytes, AreWrittenLittleEndian) {
  Writer out;
  out.u8(0x01);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090a0b0c0d0e0f);
  out.raw("|");
  EXPECT_EQ(to_hex(out.bytes()),
            "01030207060504"
            "0f0e0d0c0b0a09087c");
}

TEST(Bytes, AreReadBackAsWritten) {
  Writer out;
  out.u8(UINT8_MAX);
  out.u16(UINT16_MAX - 1);
  out.u32(UINT32_MAX - 2);
  out.u64(UINT64_MAX - 3);
  out.raw("rest");
  const Bytes bytes = std::move(out).take();
  Reader reader(bytes);
  EXPECT_EQ(reader.u8(), UINT8_MAX);
  EXPECT_EQ(reader.u16(), UINT16_MAX - 1);
  EXPECT_EQ(reader.u32(), UINT32_MAX - 2);
  EXPECT_EQ(reader.u64(), UINT64_MAX - 3);
  EXPECT_EQ(as_text(reader.rest()), "rest");
  EXPECT_EQ(as_text(reader.raw(4).value()), "rest");
  EXPECT_TRUE(reader.is_empty());
}

TEST(Bytes, AreNotConsumedByAReadThatAsksForMore) {
  const Bytes bytes(1);
  Reader reader(bytes);
  EXPECT_FALSE(reader.u16());
  EXPECT_FALSE(reader.u32());
  EXPECT_FALSE(reader.u64());
  EXPECT_FALSE(reader.raw(2));
  EXPECT_FALSE(reader.raw(UINT64_MAX));
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_FALSE(reader.u8());
  EXPECT_TRUE(reader.raw(0));
}

}  // namespace
}  // namespace nixl_connect::base
