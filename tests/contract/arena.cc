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

Ranges in_pieces(std::size_t size, std::size_t size_of_each) {
  constexpr std::size_t kGap = 64;
  if (size_of_each == 0) return one(size);
  Ranges ranges;
  for (std::size_t i = 0; i < size / size_of_each; ++i)
    ranges.push_back({i * (size_of_each + kGap), size_of_each});
  return ranges;
}

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
  } else if (is_of_gpu(kind)) {
    gpu_ = std::make_shared<const GpuMemory>(kind, size);
    bytes_ = gpu_->bytes();
    owner_ = gpu_;
  } else {
    void* const mapped = checked(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::madvise(mapped, size, MADV_HUGEPAGE);
    bytes_ = {static_cast<std::byte*>(mapped), size};
    owner_ = std::shared_ptr<void>(mapped, [size](void* all) { ::munmap(all, size); });
  }
}

std::vector<Descriptor> Arena::descriptors() const {
  const Device device = gpu_ == nullptr ? Device() : gpu_->device();
  std::vector<Descriptor> all;
  all.reserve(ranges_.size());
  for (const Range& range : ranges_)
    all.emplace_back(bytes_.data() + kPage + range.offset, range.size, device, owner_);
  return all;
}

std::uint64_t Arena::size() const {
  std::uint64_t size = 0;
  for (const Range& range : ranges_) size += range.size;
  return size;
}

void Arena::fill(std::uint32_t seed) const {
  std::vector<std::byte> for_gpu(gpu_ == nullptr ? 0 : bytes_.size());
  const std::span<std::byte> bytes = gpu_ == nullptr ? bytes_ : std::span(for_gpu);
  const Pattern pattern(seed);
  std::uint64_t position = 0;
  for (const Range& range : ranges_) {
    pattern.write(bytes.subspan(kPage + range.offset, range.size), position);
    position += range.size;
  }
  for (const auto gap : gaps(bytes)) std::fill(gap.begin(), gap.end(), kGuard);
  if (gpu_ != nullptr) gpu_->write(bytes);
}

void Arena::clear() const {
  if (gpu_ != nullptr) return gpu_->fill(kGuard);
  std::fill(bytes_.begin(), bytes_.end(), kGuard);
}

std::span<const std::byte> Arena::content(std::vector<std::byte>& copy) const {
  if (gpu_ == nullptr) return bytes_;
  copy = gpu_->read();
  return copy;
}

std::string Arena::differs_from_filled(std::uint32_t seed) const {
  std::vector<std::byte> copy;
  const auto bytes = content(copy);
  const Pattern pattern(seed);
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const auto [offset, size] = ranges_[i];
    const std::size_t same =
        pattern.mismatch(bytes.subspan(kPage + offset, size), position);
    if (same < size)
      return says("wrong byte", same) + " of range " + std::to_string(i) + " of " +
             std::to_string(size);
    position += size;
  }
  for (const auto gap : gaps(bytes)) {
    const std::size_t same = guard_mismatch(gap);
    if (same < gap.size())
      return says("touched byte", gap.data() + same - bytes.data() - kPage);
  }
  return "";
}

template <typename Byte>
std::vector<std::span<Byte>> Arena::gaps(std::span<Byte> bytes) const {
  Ranges ascending = ranges_;
  std::sort(ascending.begin(), ascending.end(), [](const Range& a, const Range& b) {
    return std::pair(a.offset, a.size) < std::pair(b.offset, b.size);
  });
  std::vector<std::span<Byte>> gaps;
  std::size_t done = 0;
  for (const Range& range : ascending) {
    const std::size_t begin = kPage + range.offset;
    gaps.push_back(bytes.subspan(done, begin - done));
    done = begin + range.size;
  }
  gaps.push_back(bytes.subspan(done));
  return gaps;
}

std::string Arena::differs_from_cleared() const {
  std::vector<std::byte> copy;
  const std::size_t same = guard_mismatch(content(copy));
  return same == bytes_.size() ? "" : says("touched byte", same - kPage);
}

void Arena::unmap() const {
  checked(::mmap(bytes_.data(), bytes_.size(), PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

void Arena::protect() const { ::mprotect(bytes_.data(), bytes_.size(), PROT_READ); }

}  // namespace nixl_connect::contract
