// SPDX-License-Identifier: Apache-2.0
#include "contract/pattern.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace nixl_connect::contract {
namespace {

constexpr std::size_t kPeriod = 65'521;

// Two periods, so that one lies behind each place of the first.
const std::vector<std::byte>& table() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made(2 * kPeriod);
    std::mt19937 random;  // NOLINT(cert-msc51-cpp): the same in both processes
    for (std::size_t i = 0; i < kPeriod; ++i)
      made[i] = made[i + kPeriod] = static_cast<std::byte>(random());
    return made;
  }();
  return bytes;
}

std::size_t mismatch_of(std::span<const std::byte> bytes,
                        std::span<const std::byte> expected) {
  if (std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0)
    return bytes.size();
  return static_cast<std::size_t>(
      std::mismatch(bytes.begin(), bytes.end(), expected.begin()).first -
      bytes.begin());
}

}  // namespace

Pattern::Pattern(std::uint32_t seed) : phase_(seed * std::uint64_t{40'503}) {}

// At most one period.
std::span<const std::byte> Pattern::from(std::uint64_t position,
                                         std::size_t size) const {
  return std::span(table()).subspan((position + phase_) % kPeriod,
                                    std::min(size, kPeriod));
}

void Pattern::write(std::span<std::byte> to, std::uint64_t position) const {
  while (!to.empty()) {
    const auto next = from(position, to.size());
    std::copy(next.begin(), next.end(), to.begin());
    to = to.subspan(next.size());
    position += next.size();
  }
}

std::size_t Pattern::mismatch(std::span<const std::byte> bytes,
                              std::uint64_t position) const {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto expected = from(position + done, bytes.size() - done);
    const std::size_t same =
        mismatch_of(bytes.subspan(done, expected.size()), expected);
    done += same;
    if (same < expected.size()) return done;
  }
  return bytes.size();
}

std::size_t guard_mismatch(std::span<const std::byte> bytes) {
  static const std::vector<std::byte> guards(64 << 10, kGuard);
  for (std::size_t done = 0; done < bytes.size();) {
    const auto part = bytes.subspan(done, std::min(bytes.size() - done, guards.size()));
    const std::size_t same = mismatch_of(part, guards);
    done += same;
    if (same < part.size()) return done;
  }
  return bytes.size();
}

}  // namespace nixl_connect::contract
