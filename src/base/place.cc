// SPDX-License-Identifier: Apache-2.0
#include "base/place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "base/unique_fd.h"

namespace nixl_connect::base {
namespace {

int value_of_digit(char digit) noexcept {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t value = kDigits.find(digit);
  return value == std::string_view::npos ? -1 : static_cast<int>(value);
}

// Of a UUID's text.
std::array<std::byte, 16> bytes_of(std::string_view text) noexcept {
  std::array<std::byte, 16> bytes{};
  std::size_t digits = 0;
  for (const char each : text) {
    const int value = value_of_digit(each);
    if (value < 0) continue;
    if (digits == 2 * bytes.size()) return {};
    bytes[digits / 2] = bytes[digits / 2] << 4 | static_cast<std::byte>(value);
    ++digits;
  }
  return digits == 2 * bytes.size() ? bytes : std::array<std::byte, 16>{};
}

std::array<std::byte, 16> boot() noexcept {
  const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text;
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  return size < 0 ? std::array<std::byte, 16>{}
                  : bytes_of({text.data(), static_cast<std::size_t>(size)});
}

std::uint64_t inode_of(const char* path) noexcept {
  struct stat status {};
  return ::stat(path, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

Place place_of_this_process() noexcept {
  static const Place fixed{boot(), inode_of("/proc/self/ns/pid"),
                           inode_of("/proc/self/ns/net"), 0};
  Place place = fixed;
  place.user = ::geteuid();
  return place;
}

}  // namespace nixl_connect::base
