// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <new>

#include "paths/cuda/device_copy.h"
#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {
namespace {

using Cause = CopyFailure::Cause;

template <typename Exception>
CopyFailure failure_of(const Exception& exception) {
  try {
    throw exception;
  } catch (...) {
    return copy_failure("copying");
  }
}

TEST(CopyFailures, KeepCauseKindAndWordsOfErrors) {
  const CopyFailure refused =
      failure_of(CopyRefused(Cause::kNotPinned, ErrorKind::kUnsupported, "no"));
  EXPECT_EQ(refused.cause, Cause::kNotPinned);
  EXPECT_EQ(refused.kind, ErrorKind::kUnsupported);
  EXPECT_EQ(refused.message, "no");
  const CopyFailure plain = failure_of(Error(ErrorKind::kInvalidArgument, "wrong"));
  EXPECT_EQ(plain.cause, Cause::kDriver);
  EXPECT_EQ(plain.kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(plain.message, "wrong");
}

TEST(CopyFailures, TellWhichOnesPoisonTheGpu) {
  const CopyFailure fatal =
      failure_of(DriverError(ErrorKind::kInternal, "bad", kCuIllegalAddress));
  EXPECT_EQ(fatal.cause, Cause::kPoisoned);
  EXPECT_EQ(fatal.kind, ErrorKind::kInternal);
  const CopyFailure passing =
      failure_of(DriverError(ErrorKind::kNoResources, "full", kCuOutOfMemory));
  EXPECT_EQ(passing.cause, Cause::kDriver);
  EXPECT_EQ(passing.kind, ErrorKind::kNoResources);
}

TEST(CopyFailures, AreOfResourcesOtherwise) {
  const CopyFailure failure = failure_of(std::bad_alloc());
  EXPECT_EQ(failure.cause, Cause::kDriver);
  EXPECT_EQ(failure.kind, ErrorKind::kNoResources);
  EXPECT_EQ(failure.message.rfind("copying: ", 0), 0U);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda
