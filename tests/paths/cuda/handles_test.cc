// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/handles.h"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "nixl_connect/error.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using Handles = StandInTest;

TEST_F(Handles, LeaveTheContextThatWasCurrent) {
  const Session outer(1);
  { const Session inner(0); }
  CuContext current = nullptr;
  outer.functions.context_get_current(&current);
  EXPECT_EQ(current, outer.context());
}

TEST_F(Handles, GiveBackWhatTheyOwnOnce) {
  const std::size_t mappings = stand_in::mappings();
  const std::size_t objects = stand_in::objects();
  {
    const Session session;
    DeviceMemory memory = allocate(session.driver, 100);
    const DeviceMemory moved = std::move(memory);
    const Event event = make_event(session.driver, EventReach::kThisProcess);
    EXPECT_EQ(stand_in::mappings(), mappings + 1);
    EXPECT_EQ(stand_in::objects(), objects + 2);
  }
  EXPECT_EQ(stand_in::calls("cuMemFree"), 1U);
  EXPECT_EQ(stand_in::mappings(), mappings);
  EXPECT_EQ(stand_in::objects(), objects);
}

TEST_F(Handles, TellWhatWasAttemptedAndHowTheDriverNamesTheFailure) {
  const Session session;
  stand_in::fail("cuMemAlloc", kCuOutOfMemory);
  try {
    allocate(session.driver, 100);
    FAIL() << "allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNoResources);
    EXPECT_STREQ(error.what(),
                 "allocating GPU memory: CUDA_ERROR_OUT_OF_MEMORY (2), out of memory");
  }
  EXPECT_NE(allocate(session.driver, 100).get(), 0U);
}

TEST_F(Handles, SayThatAPoisonedContextIsOfNoUse) {
  const Session session;
  stand_in::poison(0, kCuIllegalAddress);
  try {
    make_stream(session.driver);
    FAIL() << "made";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_EQ(std::string(error.what()),
              "making a CUDA stream: CUDA_ERROR_ILLEGAL_ADDRESS (700), an illegal "
              "memory access was encountered; CUDA is of no further use to this "
              "process, which has to be restarted");
  }
}

TEST_F(Handles, LetAStreamWaitForAnEventOfAnother) {
  const Session first;
  const Session second;
  const DeviceMemory memory = allocate(first.driver, 100);
  const Event event = make_event(first.driver, EventReach::kThisProcess);
  stand_in::hold_streams();
  first.functions.memset_async(memory.get(), 5, 100, first.stream());
  first.functions.event_record(event.get(), first.stream());
  second.functions.stream_wait_event(second.stream(), event.get(), 0);
  std::vector<std::byte> seen(100);
  const auto pinned = register_memory(second.driver, seen.data(), seen.size());
  second.functions.memcpy_dtoh_async(seen.data(), memory.get(), 100, second.stream());
  EXPECT_EQ(second.functions.event_query(event.get()), kCuNotReady);
  stand_in::release_streams();
  second.finish();
  EXPECT_EQ(seen, bytes_of(5, 100));
}

TEST_F(Handles, WriteAWordIntoPinnedMemoryWhenTheStreamGetsThere) {
  const Session session;
  alignas(4096) std::array<std::byte, 4096> page{};
  auto& word = *reinterpret_cast<std::uint32_t*>(page.data());
  const RegisteredMemory pinned = register_memory(session.driver, page.data(), 4096);
  CuDevicePointer address = 0;
  session.functions.mem_host_get_device_pointer(&address, page.data(), 0);
  session.functions.stream_write_value32(session.stream(), address, 42, 0);
  session.finish();
  EXPECT_EQ(word, 42U);
}

TEST_F(Handles, OfDevicesTellWhatTheyAre) {
  const auto devices = find_devices(driver_under_test());
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[1].device, 1);
  EXPECT_EQ(devices[1].name, "Stand-in 1");
  EXPECT_EQ(devices[1].pci_id, "0000:02:00.0");
  EXPECT_EQ(devices[1].compute_capability, 90);
  EXPECT_NE(devices[0].uuid.bytes, devices[1].uuid.bytes);
  EXPECT_TRUE(can_reach(driver_under_test(), 0, 1));
  stand_in::set_peers(false);
  EXPECT_FALSE(can_reach(driver_under_test(), 0, 1));
  EXPECT_TRUE(can_reach(driver_under_test(), 1, 1));
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
