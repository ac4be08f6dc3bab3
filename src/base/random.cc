// SPDX-License-Identifier: Apache-2.0
//
// Random numbers by getrandom(2).
#include "base/random.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "base/bytes.h"
#include "nixl_connect/error.h"

namespace nixl_connect::base {

void fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
    if (got >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kInternal,
                  "the kernel gave no random numbers: getrandom: " +
                      std::generic_category().message(errno));
    }
  }
}

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  while (value == 0) fill_random(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::string random_hex(std::size_t digits) {
  Bytes bytes((digits + 1) / 2);
  fill_random(bytes);
  std::string text = to_hex(bytes);
  text.resize(digits);
  return text;
}

std::string random_uuid4() {
  std::array<std::byte, 16> bytes{};
  fill_random(bytes);
  bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};  // version 4
  bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};  // variant of RFC 9562
  std::string text = to_hex(bytes);
  for (const std::size_t position : {8U, 13U, 18U, 23U}) text.insert(position, 1, '-');
  return text;
}

}  // namespace nixl_connect::base
