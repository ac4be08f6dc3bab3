// SPDX-License-Identifier: Apache-2.0
//
// Memory that comes slowly, as from a disk: a thread that copies sits in a page fault
// while everybody else goes on.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"

namespace nixl_connect {
namespace {

using std::chrono::milliseconds;
using testing::Buffer;
using testing::finish;
using testing::kind_of;

// Memory whose last page is not there until arrive() is called.
class SlowMemory {
 public:
  static constexpr std::size_t kSize = 8 << 20;
  static constexpr std::size_t kPage = 4096;

  SlowMemory()
      : faults_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))) {
    void* const memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<std::byte*>(memory);
    ::madvise(memory_, kSize, MADV_NOHUGEPAGE);
    std::memset(memory_, 0x77, kSize - kPage);
    uffdio_api api{UFFD_API, 0, 0};
    uffdio_register registered{};
    registered.range = {reinterpret_cast<std::uintptr_t>(last_page()), kPage};
    registered.mode = UFFDIO_REGISTER_MODE_MISSING;
    is_slow_ = ::ioctl(faults_.get(), UFFDIO_API, &api) == 0 &&
               ::ioctl(faults_.get(), UFFDIO_REGISTER, &registered) == 0;
  }
  SlowMemory(const SlowMemory&) = delete;
  SlowMemory& operator=(const SlowMemory&) = delete;
  ~SlowMemory() {
    arrive();
    ::munmap(memory_, kSize);
  }

  // The system lets this process have such memory.
  bool is_slow() const noexcept { return is_slow_; }
  Descriptor descriptor() const { return {memory_, kSize}; }

  void arrive() {
    static std::vector<std::byte> page(kPage, std::byte{0x77});
    uffdio_copy copied{reinterpret_cast<std::uintptr_t>(last_page()),
                       reinterpret_cast<std::uintptr_t>(page.data()), kPage, 0, 0};
    ::ioctl(faults_.get(), UFFDIO_COPY, &copied);
  }

 private:
  std::byte* last_page() const noexcept { return memory_ + kSize - kPage; }

  base::UniqueFd faults_;
  std::byte* memory_ = nullptr;
  bool is_slow_ = false;
};

constexpr std::size_t kPieceBytes = 512 << 10;

ConnectorOptions with_four_threads() {
  ConnectorOptions options = testing::with_short_drain();
  options.copy_threads = 4;
  return options;
}

// True if it was one of the helping threads that was held up, so that the writer could
// go on with everything else.
bool cancel_of_a_slow_write_waits_for_it(Connector& exposer, bool is_mapped) {
  Connector initiator(with_four_threads());
  SlowMemory source;
  const Allocation mapped = Connector::allocate(SlowMemory::kSize);
  std::vector<std::byte> plain(SlowMemory::kSize);
  const std::span<std::byte> target = is_mapped ? mapped.bytes() : plain;
  auto writable = exposer.create_writable(
      is_mapped ? mapped.descriptor() : Descriptor(plain.data(), plain.size()));
  auto write = initiator.begin_write(source.descriptor(), writable.metadata());
  // All pieces but the last, at which a thread is now.
  while (write.bytes_transferred() < SlowMemory::kSize - kPieceBytes)
    std::this_thread::yield();
  write.cancel();
  Buffer small_source(4096, 3);
  Buffer small_target(4096);
  auto readable = exposer.create_readable(small_source.descriptor());
  auto read = initiator.begin_read(readable.metadata(), small_target.descriptor());
  const bool goes_on = read.wait_for(milliseconds(500)) && !is_terminal(write.status());
  // Many times the drain timeout.
  if (goes_on) {
    EXPECT_FALSE(writable.wait_for(milliseconds(300))) << "while it is written to";
  }
  source.arrive();
  if (!goes_on) {  // the cancel has had to wait for the page, too
    while (!is_terminal(write.status()) || !is_terminal(writable.status()))
      std::this_thread::yield();
    return false;
  }
  EXPECT_EQ(kind_of([&] { (void)writable.wait_for(testing::kSoon); }),
            ErrorKind::kCancelled);
  std::fill(target.begin(), target.end(), std::byte{0x22});
  finish(write);
  EXPECT_EQ(std::count(target.begin(), target.end(), std::byte{0x22}),
            static_cast<std::ptrdiff_t>(target.size()))
      << "written to after the end";
  return true;
}

class SlowWrite : public ::testing::TestWithParam<bool> {};

TEST_P(SlowWrite, IsWaitedForByTheExposingSide) {
  if (!SlowMemory().is_slow()) GTEST_SKIP() << "userfaultfd is not allowed here";
  Connector exposer(with_four_threads());
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i)
    if (cancel_of_a_slow_write_waits_for_it(exposer, GetParam())) return;
}

// The exposing side loses patience with the writer about something else, while a thread
// of the writer's, of which nothing can be heard, is in the middle of a piece.
TEST_P(SlowWrite, IsWaitedForByAnExposingSideThatDropsTheWriter) {
  if (!SlowMemory().is_slow()) GTEST_SKIP() << "userfaultfd is not allowed here";
  ::setenv("UCX_TLS", "tcp,self", 1);  // the owner's thread moves what is read
  Connector exposer(with_four_threads());
  Connector initiator(with_four_threads());
  ::unsetenv("UCX_TLS");
  SlowMemory source;
  const Allocation mapped = Connector::allocate(SlowMemory::kSize);
  std::vector<std::byte> plain(SlowMemory::kSize);
  const std::span<std::byte> target = GetParam() ? mapped.bytes() : plain;
  auto writable = exposer.create_writable(
      GetParam() ? mapped.descriptor() : Descriptor(plain.data(), plain.size()));
  auto write = initiator.begin_write(source.descriptor(), writable.metadata());
  while (write.bytes_transferred() < SlowMemory::kSize - kPieceBytes)
    std::this_thread::yield();

  const auto readable = initiator.create_readable(source.descriptor());
  Buffer copy(SlowMemory::kSize);
  OperationOptions impatient{.timeout = milliseconds(50)};
  impatient.require = "ucx";
  auto read = exposer.begin_read(readable.metadata(), copy.descriptor(), impatient);
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(testing::kSoon); }),
            ErrorKind::kTimedOut);
  EXPECT_FALSE(writable.wait_for(milliseconds(300))) << "while it is written to";

  source.arrive();
  EXPECT_EQ(kind_of([&] { (void)writable.wait_for(testing::kSoon); }),
            ErrorKind::kDisconnected);
  std::fill(target.begin(), target.end(), std::byte{0x22});
  // COMPLETE, if its last piece was in place before it heard that it was dropped.
  while (!is_terminal(write.status())) std::this_thread::yield();
  EXPECT_EQ(std::count(target.begin(), target.end(), std::byte{0x22}),
            static_cast<std::ptrdiff_t>(target.size()))
      << "written to after the end";
}

INSTANTIATE_TEST_SUITE_P(Paths, SlowWrite, ::testing::Bool(), [](const auto& path) {
  return path.param ? std::string("HostMap") : std::string("HostCma");
});

}  // namespace
}  // namespace nixl_connect
