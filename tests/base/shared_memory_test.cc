// SPDX-License-Identifier: Apache-2.0
#include "base/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <limits>

namespace nixl_connect::base {
namespace {

constexpr const char* kName = "nixl_connect_test";

std::optional<SharedMemory> of_this_process(int fd) {
  return SharedMemory::of_process(static_cast<std::uint32_t>(::getpid()),
                                  static_cast<std::uint32_t>(fd), kName);
}

TEST(SharedMemory, ShowsWhatIsWrittenAfterItWasMapped) {
  SharedMemory memory(kName, 10'000);
  const auto seen = of_this_process(memory.fd());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->size(), memory.size());
  EXPECT_EQ(seen->data()[9'999], std::byte{0});
  memory.data()[9'999] = std::byte{7};
  EXPECT_EQ(seen->data()[9'999], std::byte{7});
}

TEST(SharedMemory, OutlivesTheOneWhoMadeIt) {
  std::optional<SharedMemory> memory(std::in_place, kName, 4096);
  memory->data()[0] = std::byte{7};
  const auto seen = of_this_process(memory->fd());
  memory.reset();
  EXPECT_EQ(seen.value().data()[0], std::byte{7});
}

TEST(SharedMemory, CannotShrinkUnderThoseWhoMappedIt) {
  const SharedMemory memory(kName, 4096);
  EXPECT_NE(::ftruncate(memory.fd(), 0), 0);
}

TEST(SharedMemory, IsNotFoundBehindNumbersOfOtherThings) {
  const SharedMemory other_name("another", 4096);
  EXPECT_FALSE(of_this_process(other_name.fd()));
  const UniqueFd unsealed(::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_FALSE(of_this_process(unsealed.get()));
  const UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(of_this_process(file.get()));
  EXPECT_FALSE(of_this_process(100'000));
  constexpr auto kLargest = std::numeric_limits<std::uint32_t>::max();
  EXPECT_FALSE(SharedMemory::of_process(0, 0, kName));
  EXPECT_FALSE(SharedMemory::of_process(kLargest, kLargest, kName));
}

}  // namespace
}  // namespace nixl_connect::base
