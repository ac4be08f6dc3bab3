// SPDX-License-Identifier: Apache-2.0
#include "runtime/bell.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {

Bell::Bell() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_.get() < 0)
    throw Error(ErrorKind::kNoResources,
                std::string("opening a Connector: eventfd: ") + std::strerror(errno));
}

void Bell::ring() noexcept {
  if (!sleeps_.load()) return;
  const std::uint64_t one = 1;
  // Fails only if the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
}

void Bell::after_sleep(bool is_readable) noexcept {
  sleeps_.store(false);
  if (!is_readable) return;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto drained = ::read(event_.get(), &count, sizeof count);
}

}  // namespace nixl_connect::runtime
