// SPDX-License-Identifier: Apache-2.0
#include "base/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "nixl_connect/error.h"

namespace nixl_connect::base {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
// The kernel's F_SEAL_FUTURE_WRITE, for which the C library may be too old.
constexpr int kNoFurtherWriters = kSeals | 0x0010;

[[noreturn]] void fail(const char* call) {
  throw Error(ErrorKind::kNoResources, std::string("making shared memory: ") + call +
                                           ": " + std::strerror(errno));
}

std::byte* map(int fd, std::size_t size, int protection) noexcept {
  void* const data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

// Nothing if there is no such link, or none to be seen.
std::optional<bool> is_memfd(const std::string& link, const char* name) {
  std::array<char, 256> target;
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0) return std::nullopt;
  const std::string_view text(target.data(), static_cast<std::size_t>(length));
  return text == "/memfd:" + std::string(name) + " (deleted)";
}

}  // namespace

SharedMemory::SharedMemory(const char* name, std::size_t size, PageSize page_size,
                           Writers writers)
    : fd_(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING |
                                   (page_size == PageSize::kHuge ? MFD_HUGETLB : 0U))),
      size_(size) {
  if (fd_.get() < 0) fail("memfd_create");
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fail("ftruncate");
  data_ = map(fd_.get(), size, PROT_READ | PROT_WRITE);
  if (data_ == nullptr) fail("mmap");
  const bool is_guarded = writers == Writers::kOnlyThisProcess &&
                          ::fcntl(fd_.get(), F_ADD_SEALS, kNoFurtherWriters) == 0;
  if (!is_guarded && ::fcntl(fd_.get(), F_ADD_SEALS, kSeals) != 0) fail("fcntl");
}

std::optional<SharedMemory> SharedMemory::of_process(std::uint32_t pid,
                                                     std::uint32_t fd, const char* name,
                                                     Access access) {
  const bool writes = access == Access::kReadWrite;
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  // Opening a file can do things to it, unless it is a memfd: look before.
  if (!is_memfd(link, name).value_or(false)) return std::nullopt;
  // A pipe can bear that name too, and a memfd does not mind O_NONBLOCK.
  UniqueFd opened(
      ::open(link.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK));
  return of_sealed(opened.get(), access);
}

std::optional<SharedMemory> SharedMemory::of_fd(const UniqueFd& fd, const char* name,
                                                Access access) {
  if (!is_memfd("/proc/self/fd/" + std::to_string(fd.get()), name).value_or(true))
    return std::nullopt;
  return of_sealed(fd.get(), access);
}

std::optional<SharedMemory> SharedMemory::of_sealed(int fd, Access access) {
  // Only a memfd has seals.
  const int seals = ::fcntl(fd, F_GET_SEALS);
  struct stat status {};
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(fd, &status) != 0 ||
      status.st_size <= 0)
    return std::nullopt;
  const auto size = static_cast<std::size_t>(status.st_size);
  std::byte* const data =
      map(fd, size, access == Access::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ);
  if (data == nullptr) return std::nullopt;
  return SharedMemory(UniqueFd(), data, size);
}

SharedMemory::SharedMemory(UniqueFd fd, std::byte* data, std::size_t size) noexcept
    : fd_(std::move(fd)), data_(data), size_(size) {}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(other.size_) {}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace nixl_connect::base
