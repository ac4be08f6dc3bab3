// SPDX-License-Identifier: Apache-2.0
//
// That the stand-in behaves as the CUDA driver does where other tests rely on it.
#include <algorithm>
#include <array>
#include <cstring>

#include "paths/cuda/roles.h"
#include "paths/cuda/stand_in_fixture.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

using StandIn = StandInTest;

CuIpcHandle receive_handle(const Channel& channel) {
  CuIpcHandle handle;
  const base::Bytes bytes = channel.receive();
  std::copy(bytes.begin(), bytes.end(), handle.bytes.begin());
  return handle;
}

TEST_F(StandIn, DoesTheWorkOfAStreamLaterAndInOrder) {
  const Session session;
  const DeviceMemory memory = allocate(session.driver, 100);
  std::vector<std::byte> seen(100);
  const auto pinned = register_memory(session.driver, seen.data(), seen.size());
  stand_in::hold_streams();
  session.functions.memset_async(memory.get(), 1, 100, session.stream());
  session.functions.memset_async(memory.get(), 2, 50, session.stream());
  session.functions.memcpy_dtoh_async(seen.data(), memory.get(), 100, session.stream());
  EXPECT_EQ(session.functions.stream_query(session.stream()), kCuNotReady);
  EXPECT_EQ(seen, bytes_of(0, 100));
  stand_in::release_streams();
  session.finish();
  auto expected = bytes_of(1, 100);
  std::fill_n(expected.begin(), 50, std::byte{2});
  EXPECT_EQ(seen, expected);
}

TEST_F(StandIn, PoisonsTheContextThatTouchesFreedMemory) {
  const Session session;
  CuDevicePointer freed = allocate(session.driver, 100).get();
  session.functions.memset_async(freed, 1, 100, session.stream());
  EXPECT_EQ(session.functions.stream_synchronize(session.stream()), kCuIllegalAddress);
  EXPECT_EQ(session.functions.mem_alloc(&freed, 100), kCuIllegalAddress);
  const Session other(1);
  other.fill(allocate(other.driver, 100).get(), 1, 0);
}

TEST_F(StandIn, LetsOnlyPeersCopyByKernelButAllByCopyEngine) {
  const Session far(1);
  const DeviceMemory there = allocate(far.driver, 100);
  far.fill(there.get(), 9, 100);
  const Session near(0);
  EXPECT_EQ(near.read(there.get(), 100), bytes_of(9, 100));
  EXPECT_EQ(near.functions.stream_write_value32(near.stream(), there.get(), 1, 0),
            kCuSuccess);
  EXPECT_EQ(near.functions.stream_synchronize(near.stream()), kCuIllegalAddress);
  stand_in::reset();
  EXPECT_EQ(near.functions.context_enable_peer_access(far.context(), 0), kCuSuccess);
  EXPECT_EQ(near.functions.context_enable_peer_access(far.context(), 0),
            kCuPeerAccessAlreadyEnabled);
  near.functions.stream_write_value32(near.stream(), there.get(), 1, 0);
  near.finish();
}

TEST_F(StandIn, OpensMemoryAndEventsOfAnotherProcess) {
  const Child child("hand out memory");
  const CuIpcHandle memory = receive_handle(child.channel());
  const CuIpcHandle event_handle = receive_handle(child.channel());
  const Session session(1);
  CuDevicePointer opened = 0;
  ASSERT_EQ(session.functions.ipc_open_mem_handle(&opened, memory, 0), kCuInvalidValue)
      << "without leave to enable peer access";
  ASSERT_EQ(
      session.functions.ipc_open_mem_handle(&opened, memory, kCuIpcLazyPeerAccess),
      kCuSuccess);
  const ImportedMemory imported(session.driver, opened);
  EXPECT_EQ(session.read(opened, 5000), bytes_of(0, 5000));
  const Event event = open_event(session.driver, event_handle);
  std::vector<std::byte> seen(5000);
  const auto pinned = register_memory(session.driver, seen.data(), seen.size());
  session.functions.stream_wait_event(session.stream(), event.get(), 0);
  session.functions.memcpy_dtoh_async(seen.data(), opened, 5000, session.stream());
  EXPECT_EQ(session.functions.event_query(event.get()), kCuNotReady);
  child.channel().send("go on");
  session.finish();
  EXPECT_EQ(seen, bytes_of(7, 5000));
}

TEST_F(StandIn, MapsPhysicalMemorySideBySideForThoseThatHaveAccess) {
  constexpr std::size_t kChunk = 2 << 20;
  const Session session;
  const Functions& functions = session.functions;
  CuAllocationProperties properties;
  properties.handle_types = kCuHandlePosixFd;
  CuDevicePointer start = 0;
  ASSERT_EQ(functions.mem_address_reserve(&start, 2 * kChunk, 0, 0, 0), kCuSuccess);
  for (std::size_t i = 0; i < 2; ++i) {
    CuAllocation allocation = 0;
    ASSERT_EQ(functions.mem_create(&allocation, kChunk, &properties, 0), kCuSuccess);
    ASSERT_EQ(functions.mem_map(start + i * kChunk, kChunk, 0, allocation, 0),
              kCuSuccess);
    functions.mem_release(allocation);
  }
  EXPECT_EQ(functions.memset_async(start, 3, 100, session.stream()), kCuSuccess);
  EXPECT_EQ(functions.stream_synchronize(session.stream()), kCuIllegalAddress);
  stand_in::reset();
  const CuAccess access;
  ASSERT_EQ(functions.mem_set_access(start, 2 * kChunk, &access, 1), kCuSuccess);
  session.fill(start + kChunk - 50, 3, 100);
  EXPECT_EQ(session.read(start + kChunk - 50, 100), bytes_of(3, 100));
  EXPECT_EQ(functions.mem_address_free(start, 2 * kChunk), kCuInvalidValue);
  EXPECT_EQ(functions.mem_unmap(start, 2 * kChunk), kCuSuccess);
  EXPECT_EQ(functions.mem_address_free(start, 2 * kChunk), kCuSuccess);
}

TEST_F(StandIn, CopiesFromTheHostWhatIsPinnedLaterAndTheRestAtOnce) {
  const Session session;
  const Functions& functions = session.functions;
  const DeviceMemory memory = allocate(session.driver, 100);
  auto bytes = bytes_of(1, 200);
  EXPECT_EQ(
      functions.memcpy_htod_async(memory.get(), bytes.data(), 100, session.stream()),
      kCuSuccess);
  EXPECT_EQ(functions.stream_query(session.stream()), kCuSuccess);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  EXPECT_EQ(functions.memcpy_dtod_async(memory.get(), address, 100, session.stream()),
            kCuInvalidValue);
  const auto pinned = register_memory(session.driver, bytes.data(), 100);
  EXPECT_EQ(functions.memcpy_htod_async(memory.get(), bytes.data() + 50, 100,
                                        session.stream()),
            kCuInvalidValue)
      << "half of it is";
  stand_in::hold_streams();
  EXPECT_EQ(
      functions.memcpy_htod_async(memory.get(), bytes.data(), 100, session.stream()),
      kCuSuccess);
  EXPECT_EQ(functions.stream_query(session.stream()), kCuNotReady);
  bytes[99] = std::byte{2};
  stand_in::release_streams();
  EXPECT_EQ(session.read(memory.get() + 99, 1), bytes_of(2, 1));
}

TEST_F(StandIn, GivesAddressesOutAgainUnderNewBufferIds) {
  const Session session;
  const auto id_of = [&](CuDevicePointer address) {
    std::uint64_t id = 0;
    CuPointerAttribute attribute = kCuPointerBufferId;
    void* value = &id;
    session.functions.pointer_get_attributes(1, &attribute, &value, address);
    return id;
  };
  DeviceMemory first = allocate(session.driver, 12345);
  const CuDevicePointer address = first.get();
  const std::uint64_t id = id_of(address);
  first = {};
  const DeviceMemory second = allocate(session.driver, 12345);
  EXPECT_EQ(second.get(), address);
  EXPECT_NE(id_of(address), id);
}

}  // namespace
}  // namespace nixl_connect::paths::cuda::testing
