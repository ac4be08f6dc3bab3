// SPDX-License-Identifier: Apache-2.0
#include "wire/utf8.h"

#include <gtest/gtest.h>

namespace nixl_connect::wire {
namespace {

TEST(Utf8, TakesEveryKindOfCharacter) {
  for (const char* text :
       {"", "plain", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(text)) << text;
}

TEST(Utf8, RefusesOverlongSurrogateCutAndTooLargeForms) {
  for (const char* text :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe1\x80",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "ab\xe1\x80\x41"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(Utf8, BoundsTextAtTheEndOfACharacter) {
  EXPECT_EQ(bounded_utf8("a€b", 5), "a€b");
  EXPECT_EQ(bounded_utf8("a€b", 4), "a...");
  EXPECT_EQ(bounded_utf8("a€bcd", 6), "a...");
  EXPECT_EQ(bounded_utf8("a€bcde", 7), "a€...");
  EXPECT_EQ(bounded_utf8("a€b", 2), "..");
  EXPECT_EQ(bounded_utf8("a€b", 0), "");
  EXPECT_EQ(bounded_utf8("a\xff\xe2\x82", 9), "a???");
}

}  // namespace
}  // namespace nixl_connect::wire
