// SPDX-License-Identifier: Apache-2.0
#include "paths/host/fresh_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

#include "paths/host/address.h"
#include "paths/host/own_mappings.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Source: linux/mman.h since 5.14
#endif

namespace nixl_connect::paths::host {
namespace {

std::uintptr_t page_bytes() noexcept {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

Extent extent_of(const Descriptor& target) noexcept {
  return {target.ptr(), target.ptr() + target.size()};
}

Extent extent_of(const Range& range) noexcept {
  return {range.local, range.local + range.size};
}

// Neighbours are visited as one.
template <typename Item, typename Visit>
void for_each_run(std::span<const Item> items, Visit&& visit) {
  Extent run;
  for (const Item& item : items) {
    const Extent extent = extent_of(item);
    if (extent.begin == run.end) {
      run.end = extent.end;
      continue;
    }
    if (run.size() > 0) visit(run);
    run = extent;
  }
  if (run.size() > 0) visit(run);
}

// As far as a few pages tell. Those at the ends are not asked, which others may use.
bool is_untouched(Extent extent) noexcept {
  constexpr std::uint64_t kSamples = 4;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const std::uint64_t offset = extent.size() / (2 * kSamples) * (2 * i + 1);
    unsigned char residency = 0;
    const std::uintptr_t page = (extent.begin + offset) / page_bytes() * page_bytes();
    if (::mincore(pointer_to(page), page_bytes(), &residency) != 0 ||
        (residency & 1U) != 0)
      return false;
  }
  return true;
}

bool is_large_and_fresh(Extent extent) noexcept {
  return extent.size() >= kLeastFreshBytes && is_untouched(extent);
}

// A failure leaves small pages.
void advise(Extent extent) {
  for (const Extent& part : anonymous_parts(extent)) {
    const std::uintptr_t begin =
        (part.begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    const std::uintptr_t end = part.end / kHugePageBytes * kHugePageBytes;
    if (begin < end) ::madvise(pointer_to(begin), end - begin, MADV_HUGEPAGE);
  }
}

std::string line_of(const char* name) {
  std::ifstream file(std::string("/sys/kernel/mm/transparent_hugepage/") + name);
  std::string line;
  std::getline(file, line);
  return line;
}

bool may_advise() {
  static const bool answer =
      is_advice_heeded(line_of("enabled")) &&
      line_of("hpage_pmd_size") == std::to_string(kHugePageBytes);
  return answer;
}

}  // namespace

// With "always", memory without huge pages is memory whose owner does not want them.
bool is_advice_heeded(std::string_view enabled) noexcept {
  return enabled.find("[madvise]") != std::string_view::npos;
}

void prepare(std::span<const Descriptor> targets) {
  if (!may_advise()) return;
  for_each_run(targets, [](Extent run) {
    if (is_large_and_fresh(run)) advise(run);
  });
}

bool is_fresh(std::span<const Range> ranges) noexcept {
  bool is_any = false;
  for_each_run(ranges, [&](Extent run) { is_any = is_any || is_large_and_fresh(run); });
  return is_any;
}

void populate(std::span<const Range> ranges) noexcept {
  for_each_run(ranges, [](Extent run) {
    const std::uintptr_t begin = run.begin / page_bytes() * page_bytes();
    ::madvise(pointer_to(begin), run.end - begin, MADV_POPULATE_WRITE);
  });
}

}  // namespace nixl_connect::paths::host
