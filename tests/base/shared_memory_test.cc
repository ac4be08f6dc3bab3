// SPDX-License-Identifier: Apache-2.0
#include "base/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <future>
#include <limits>
#include <string>

#include "base/open_files.h"

namespace nixl_connect::base {
namespace {

constexpr const char* kName = "nixl_connect_test";

// Sealed as SharedMemory seals its own, whatever its size.
UniqueFd sealed_memfd(const char* name, off_t size) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), size), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
            0);
  return fd;
}

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

TEST(SharedMemory, IsOnlyReadableThroughTheMappingOfAnother) {
  const SharedMemory memory(kName, 4096);
  const auto seen = of_this_process(memory.fd());
  ASSERT_TRUE(seen);
  // Whoever maps a peer's memory must not be able to spoil it by a wrong store. The
  // kernel is asked to store, since it refuses without a signal, which sanitizers take.
  const UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::read(zero.get(), memory.data(), 1), 1);
  EXPECT_EQ(::read(zero.get(), seen->data(), 1), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST(SharedMemory, IsMappedOnceMoreAfterAMove) {
  SharedMemory memory(kName, 4096);
  memory.data()[5] = std::byte{3};
  const SharedMemory moved(std::move(memory));
  EXPECT_EQ(moved.data()[5], std::byte{3});
  const auto seen = of_this_process(moved.fd());
  EXPECT_EQ(seen.value().data()[5], std::byte{3});
}

TEST(SharedMemory, CannotShrinkUnderThoseWhoMappedIt) {
  const SharedMemory memory(kName, 4096);
  EXPECT_EQ(::ftruncate(memory.fd(), 0), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedMemory, IsNotFoundBehindNumbersOfOtherThings) {
  const SharedMemory other_name("another", 4096);
  EXPECT_FALSE(of_this_process(other_name.fd()));
  // With bytes in it, since an empty one is refused for another reason.
  const UniqueFd unsealed(::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  EXPECT_FALSE(of_this_process(unsealed.get()));
  const UniqueFd longer_name = sealed_memfd("nixl_connect_test2", 4096);
  EXPECT_FALSE(of_this_process(longer_name.get()));
  const UniqueFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(of_this_process(file.get()));
  std::string path = ::testing::TempDir() + "shared_memory_test_XXXXXX";
  const UniqueFd on_disk(::mkstemp(path.data()));
  ASSERT_GE(on_disk.get(), 0);
  EXPECT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::ftruncate(on_disk.get(), 4096), 0);
  EXPECT_FALSE(of_this_process(on_disk.get()));
}

TEST(SharedMemory, HandedOverAsAFileIsTheSameMemory) {
  SharedMemory memory(kName, 10'000);
  const std::size_t before = testing::count_open_files();
  const auto seen = SharedMemory::of_fd(UniqueFd(::dup(memory.fd())), kName,
                                        SharedMemory::Access::kReadWrite);
  EXPECT_EQ(testing::count_open_files(), before);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->size(), memory.size());
  seen->data()[9'999] = std::byte{7};
  EXPECT_EQ(memory.data()[9'999], std::byte{7});
}

TEST(SharedMemory, IsNotFoundInOtherFilesThatAreHandedOver) {
  const auto is_taken = [](int fd) {
    return SharedMemory::of_fd(UniqueFd(fd), kName).has_value();
  };
  const std::size_t before = testing::count_open_files();
  EXPECT_FALSE(is_taken(-1));
  EXPECT_FALSE(is_taken(::dup(SharedMemory("another", 4096).fd())));
  EXPECT_FALSE(is_taken(::dup(sealed_memfd(kName, 0).get())));
  const int unsealed = ::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(::ftruncate(unsealed, 4096), 0);
  EXPECT_FALSE(is_taken(unsealed));
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  EXPECT_FALSE(is_taken(pipe[0]));
  EXPECT_FALSE(is_taken(pipe[1]));
  EXPECT_FALSE(is_taken(::open("/proc/self/status", O_RDONLY | O_CLOEXEC)));
  EXPECT_EQ(testing::count_open_files(), before);
}

TEST(SharedMemory, WithoutOtherWritersCanOnlyBeReadByOthers) {
  const SharedMemory memory(kName, 4096, SharedMemory::PageSize::kUsual,
                            SharedMemory::Writers::kOnlyThisProcess);
  const auto seen = of_this_process(memory.fd());
  ASSERT_TRUE(seen);
  memory.data()[5] = std::byte{3};
  EXPECT_EQ(seen->data()[5], std::byte{3});
  EXPECT_FALSE(SharedMemory::of_fd(UniqueFd(::dup(memory.fd())), kName,
                                   SharedMemory::Access::kReadWrite));
  EXPECT_EQ(::pwrite(memory.fd(), "x", 1, 0), -1);
  EXPECT_NE(::ftruncate(memory.fd(), 0), 0);
}

// Opened for reading, such a pipe would wait for a writer for ever.
TEST(SharedMemory, IsNotFoundBehindAPipeWithTheNameOfAMemfd) {
  const std::string name = kName + std::string("_pipe_") + std::to_string(::getpid());
  const std::string path = "/memfd:" + name;
  if (::mkfifo(path.c_str(), 0600) != 0) GTEST_SKIP() << "/ cannot be written to";
  const UniqueFd pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ::unlink(path.c_str());
  auto answer = std::async(std::launch::async, [&] {
    return SharedMemory::of_process(static_cast<std::uint32_t>(::getpid()),
                                    static_cast<std::uint32_t>(pipe.get()),
                                    name.c_str())
        .has_value();
  });
  const bool is_prompt =
      answer.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  const std::string link = "/proc/self/fd/" + std::to_string(pipe.get());
  const UniqueFd writer(::open(link.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_TRUE(is_prompt);
  EXPECT_FALSE(answer.get());
}

TEST(SharedMemory, IsNotFoundBehindNumbersOfNothing) {
  const SharedMemory memory(kName, 4096);
  const auto fd = static_cast<std::uint32_t>(memory.fd());
  ASSERT_TRUE(of_this_process(memory.fd()));
  constexpr auto kLargest = std::numeric_limits<std::uint32_t>::max();
  for (const std::uint32_t pid : {std::uint32_t{0}, kLargest, kLargest / 2})
    EXPECT_FALSE(SharedMemory::of_process(pid, fd, kName)) << pid;
  EXPECT_FALSE(SharedMemory::of_process(kLargest, kLargest, kName));
  EXPECT_FALSE(of_this_process(100'000));
  EXPECT_FALSE(of_this_process(-1));
  int closed = -1;
  {
    const SharedMemory gone(kName, 4096);
    closed = gone.fd();
  }
  EXPECT_FALSE(of_this_process(closed));
}

TEST(SharedMemory, OfASizeThatCannotBeMappedIsNotFound) {
  const UniqueFd empty = sealed_memfd(kName, 0);
  EXPECT_FALSE(of_this_process(empty.get()));
  const UniqueFd huge = sealed_memfd(kName, std::numeric_limits<off_t>::max());
  EXPECT_FALSE(of_this_process(huge.get()));
}

}  // namespace
}  // namespace nixl_connect::base
