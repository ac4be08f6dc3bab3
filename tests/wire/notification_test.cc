// SPDX-License-Identifier: Apache-2.0
#include "wire/notification.h"

#include <gtest/gtest.h>

#include "wire/samples.h"
#include "wire/serdes.h"

namespace nixl_connect::wire {
namespace {

TEST(Notification, HasTheBytesOfAGenuineOne) {
  const Notification full{"w-1", "0f8fad5b-d9cb-469f-a165-70867728950e"};
  EXPECT_EQ(encode(full), captured("v3_notification"));
  EXPECT_EQ(decode_notification(captured("v3_notification")), full);
  const Notification empty{"w-1", ""};
  EXPECT_EQ(encode(empty), captured("v3_empty_notification"));
  EXPECT_EQ(decode_notification(captured("v3_empty_notification")), empty);
}

TEST(Notification, SurvivesTheRoundTrip) {
  Samples samples(10);
  for (int i = 0; i < 500; ++i) {
    const Notification notification = samples.notification();
    EXPECT_EQ(decode_notification(encode(notification)), notification);
  }
}

TEST(Notification, RefusesTextThatIsNotUtf8) {
  expect_error(ErrorKind::kInvalidArgument, "\"msg\" at byte 27 is not UTF-8", [] {
    decode_notification(encode(Notification{"w-1", "\xff"}));
  });
  expect_error(ErrorKind::kInvalidArgument, "\"name\" at byte 11 is not UTF-8", [] {
    decode_notification(encode(Notification{"\xed\xa0\x80", ""}));
  });
}

TEST(Notification, NamesTheTagFoundInAnotherPayload) {
  expect_error(ErrorKind::kInvalidArgument,
               R"(expected tag "name" at byte 11, found "Agen")",
               [] { decode_notification(captured("v1_full")); });
}

}  // namespace
}  // namespace nixl_connect::wire
