// SPDX-License-Identifier: Apache-2.0
//
// Memory that another process of the host can map: a sealed memfd, which never shrinks,
// so that nobody who has mapped it can fall. A resource; the bytes are for their users
// to guard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace nixl_connect::base {

class SharedMemory {
 public:
  enum class PageSize { kUsual, kHuge };

  // Who may write to it through a map of their own: on kernels before 5.1, all.
  enum class Writers { kAll, kOnlyThisProcess };

  // Zeroed memory of this process. `name` is what /proc shows. Of huge pages, `size` is
  // a multiple, and the system has them in reserve. Throws Error(kNoResources).
  SharedMemory(const char* name, std::size_t size,
               PageSize page_size = PageSize::kUsual, Writers writers = Writers::kAll);

  enum class Access { kRead, kReadWrite };

  // Memory of another process: what it has under `fd`, if that is sealed memory of that
  // name and can be reached; nothing otherwise. Any numbers are safe to ask for.
  static std::optional<SharedMemory> of_process(std::uint32_t pid, std::uint32_t fd,
                                                const char* name,
                                                Access access = Access::kRead);

  // The same of a file that another process has handed over. Where this process has no
  // /proc, the name goes unchecked.
  static std::optional<SharedMemory> of_fd(const UniqueFd& fd, const char* name,
                                           Access access = Access::kRead);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  SharedMemory(UniqueFd fd, std::byte* data, std::size_t size) noexcept;
  static std::optional<SharedMemory> of_sealed(int fd, Access access);

  UniqueFd fd_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace nixl_connect::base
