// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_stream.h"

#include <atomic>
#include <utility>

#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

class CopyStreams : public StandInTest {
 protected:
  StartedCopy* add(CopyTag tag, std::uint64_t size) {
    auto started = std::make_unique<StartedCopy>();
    started->tag = tag;
    CopyWork work;
    work.ranges = {{1, 2, size}};
    started->copy = std::make_shared<DeviceCopy>(std::move(work), progress_);
    started->batches = {{{1, 2, size}}, 0};
    StartedCopy* const copy = started.get();
    stream_.add(std::move(started));
    return copy;
  }

  const Session session_;
  std::atomic<std::uint64_t> progress_{0};
  CopyStream stream_{session_.driver};
};

TEST_F(CopyStreams, TurnToTheSmallestAndEachFourthTimeToTheOldest) {
  StartedCopy* const oldest = add(1, 9000);
  StartedCopy* const smallest = add(2, 100);
  add(3, 5000);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(stream_.next(), smallest);
    EXPECT_EQ(stream_.next(), oldest);
  }
}

TEST_F(CopyStreams, TakeOneBatchBehindAFullOne) {
  StartedCopy* const copy = add(1, 1000);
  stand_in::hold_streams();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(stream_.next(), copy);
    EXPECT_EQ(stream_.submitted(*copy, 10, kBatchWeight), kCuSuccess);
  }
  EXPECT_EQ(stream_.next(), nullptr);
  EXPECT_EQ(stream_.look_closely(), kCuNotReady);
  stand_in::release_streams();
  session_.functions.stream_synchronize(stream_.get());
  EXPECT_TRUE(stream_.look());
  EXPECT_EQ(progress_, 20U);
  EXPECT_EQ(stream_.next(), copy);
}

TEST_F(CopyStreams, SayOnceOfACopyThatItsEndIsNear) {
  StartedCopy* const copy = add(1, 100);
  // As light as if it took no time.
  const auto submit = [&] {
    return stream_.submitted(*copy, copy->batches.next().bytes, 0);
  };
  stand_in::hold_streams();
  EXPECT_FALSE(stream_.take_near_end());
  EXPECT_EQ(submit(), kCuSuccess);
  ASSERT_TRUE(copy->batches.is_empty());
  EXPECT_TRUE(stream_.take_near_end());
  EXPECT_FALSE(stream_.take_near_end()) << "again";
}

TEST_F(CopyStreams, DoNotTakeTheEndOfABatchForThatOfItsCopy) {
  StartedCopy* const copy = add(1, 1024ULL * 1024 * 1024);
  stand_in::hold_streams();
  EXPECT_EQ(stream_.submitted(*copy, copy->batches.next().bytes, 0), kCuSuccess);
  EXPECT_FALSE(stream_.take_near_end());
}

TEST_F(CopyStreams, PassOverWhatWasStopped) {
  StartedCopy* const stopped = add(1, 100);
  StartedCopy* const other = add(2, 9000);
  stopped->copy->stop();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(stream_.next(), other);
  const auto ended = stream_.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0]->tag, 1U);
  EXPECT_TRUE(stream_.has_copies());
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
