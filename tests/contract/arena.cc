// SPDX-License-Identifier: Apache-2.0
#include "contract/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <system_error>
#include <utility>

#include "contract/pattern.h"
#include "nixl_connect/connector.h"

namespace nixl_connect::contract {
namespace {

constexpr std::size_t kPage = 4096;

std::size_t end_of_last(const Ranges& ranges) {
  std::size_t end = 0;
  for (const Range& range : ranges) end = std::max(end, range.offset + range.size);
  return end;
}

void* checked(void* mapped) {
  if (mapped == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "mmap");
  return mapped;
}

// Of a byte before the first range, the offset is negative.
std::string says(const char* what, std::size_t offset) {
  return std::string(what) + " at offset " +
         std::to_string(static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

Ranges one(std::size_t size, std::size_t offset) { return {{offset, size}}; }

Ranges shuffled(const std::vector<std::size_t>& sizes, std::size_t largest_gap,
                Random& random) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  Ranges ranges(sizes.size());
  std::size_t offset = 0;
  for (const std::size_t i : order) {
    offset += random() % (largest_gap + 1);
    ranges[i] = {offset, sizes[i]};
    offset += sizes[i];
  }
  return ranges;
}

// A page of guards on both sides.
Arena::Arena(MemoryKind kind, Ranges ranges) : ranges_(std::move(ranges)) {
  const std::size_t size = end_of_last(ranges_) + 2 * kPage;
  if (kind == MemoryKind::kAllocated) {
    const Allocation allocation = Connector::allocate(size);
    bytes_ = allocation.bytes();
    owner_ = allocation.descriptor().owner();
  } else {
    void* const mapped = checked(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::madvise(mapped, size, MADV_HUGEPAGE);
    bytes_ = {static_cast<std::byte*>(mapped), size};
    owner_ = std::shared_ptr<void>(mapped, [size](void* all) { ::munmap(all, size); });
  }
}

std::vector<Descriptor> Arena::descriptors() const {
  std::vector<Descriptor> all;
  all.reserve(ranges_.size());
  for (const Range& range : ranges_)
    all.emplace_back(bytes_.data() + kPage + range.offset, range.size, Device(),
                     owner_);
  return all;
}

std::uint64_t Arena::size() const {
  std::uint64_t size = 0;
  for (const Range& range : ranges_) size += range.size;
  return size;
}

void Arena::fill(std::uint32_t seed) const {
  const Pattern pattern(seed);
  std::uint64_t position = 0;
  for (const Range& range : ranges_) {
    pattern.write(bytes_.subspan(kPage + range.offset, range.size), position);
    position += range.size;
  }
  for (const auto gap : gaps()) std::fill(gap.begin(), gap.end(), kGuard);
}

void Arena::clear() const { std::fill(bytes_.begin(), bytes_.end(), kGuard); }

std::string Arena::differs_from_filled(std::uint32_t seed) const {
  const Pattern pattern(seed);
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const auto [offset, size] = ranges_[i];
    const std::size_t same =
        pattern.mismatch(bytes_.subspan(kPage + offset, size), position);
    if (same < size)
      return says("wrong byte", same) + " of range " + std::to_string(i) + " of " +
             std::to_string(size);
    position += size;
  }
  for (const auto gap : gaps()) {
    const std::size_t same = guard_mismatch(gap);
    if (same < gap.size())
      return says("touched byte", gap.data() + same - bytes_.data() - kPage);
  }
  return "";
}

// What lies around the ranges.
std::vector<std::span<std::byte>> Arena::gaps() const {
  Ranges ascending = ranges_;
  std::sort(ascending.begin(), ascending.end(), [](const Range& a, const Range& b) {
    return std::pair(a.offset, a.size) < std::pair(b.offset, b.size);
  });
  std::vector<std::span<std::byte>> gaps;
  std::size_t done = 0;
  for (const Range& range : ascending) {
    const std::size_t begin = kPage + range.offset;
    gaps.push_back(bytes_.subspan(done, begin - done));
    done = begin + range.size;
  }
  gaps.push_back(bytes_.subspan(done));
  return gaps;
}

std::string Arena::differs_from_cleared() const {
  const std::size_t same = guard_mismatch(bytes_);
  return same == bytes_.size() ? "" : says("touched byte", same - kPage);
}

void Arena::unmap() const {
  checked(::mmap(bytes_.data(), bytes_.size(), PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

void Arena::protect() const { ::mprotect(bytes_.data(), bytes_.size(), PROT_READ); }

}  // namespace nixl_connect::contract
