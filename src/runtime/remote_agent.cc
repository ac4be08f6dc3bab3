// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_agent.h"

#include <algorithm>

#include "nixl_connect/error.h"
#include "wire/envelope.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMaxRecentBytes = 8 << 20;
constexpr std::size_t kMaxRecentAgents = 4096;

// The decoder has refused regions that wrap around.
std::uint64_t end(const wire::Region& region) { return region.address + region.size; }

// And no file or block of a device. Both kinds share the addresses of their process.
bool is_of_processes(const wire::Region& region) {
  return region.memory == wire::MemoryType::kDram ||
         region.memory == wire::MemoryType::kVram;
}

}  // namespace

RemoteAgent::RemoteAgent(wire::AgentMetadata metadata)
    : metadata_(std::move(metadata)) {
  if (!metadata_.connection)
    throw Error(
        ErrorKind::kInvalidArgument,
        "the metadata of agent " + metadata_.agent +
            " has no connection information; ask the peer for its full metadata");
  for (const wire::Region& region : metadata_.regions)
    if (is_of_processes(region))
      marks_.push_back({region.address, end(region), &region});
  std::sort(marks_.begin(), marks_.end(),
            [](const Mark& a, const Mark& b) { return a.start < b.start; });
  for (std::size_t i = 1; i < marks_.size(); ++i) {
    const Mark& before = marks_[i - 1];
    if (before.furthest_end < marks_[i].furthest_end) continue;
    marks_[i].furthest_end = before.furthest_end;
    marks_[i].furthest = before.furthest;
  }
}

const wire::Region* RemoteAgent::find(std::uint64_t address,
                                      std::uint64_t size) const noexcept {
  if (marks_.empty() || marks_.front().start > address) return nullptr;
  // If any region that begins at or before the address covers the range, so does the
  // one of them that reaches furthest.
  const Mark& mark = last_not_above(address);
  const std::uint64_t end = std::max(mark.furthest_end, address);
  return size <= end - address ? mark.furthest : nullptr;
}

const wire::Region* RemoteAgent::find(std::uint64_t address, std::uint64_t size,
                                      std::size_t likely) const noexcept {
  if (likely < metadata_.regions.size()) {
    const wire::Region& region = metadata_.regions[likely];
    if (is_of_processes(region) && region.address <= address && size <= region.size &&
        address - region.address <= region.size - size)
      return &region;
  }
  return find(address, size);
}

// The first mark is not above. Regions mostly are pages of one size: the place is
// guessed as if they were spread evenly, then looked for around it, in steps that grow.
const RemoteAgent::Mark& RemoteAgent::last_not_above(
    std::uint64_t address) const noexcept {
  const std::size_t last = marks_.size() - 1;
  const std::uint64_t first = marks_.front().start;
  if (address >= marks_.back().start) return marks_.back();
  const double share = static_cast<double>(address - first) /
                       static_cast<double>(marks_.back().start - first);
  // In the end marks_[low].start <= address < marks_[high].start.
  auto low = static_cast<std::size_t>(share * static_cast<double>(last));
  std::size_t high = low + 1;
  for (std::size_t step = 1; marks_[low].start > address; step *= 2) {
    high = low;
    low -= std::min(low, step);
  }
  for (std::size_t step = 1; marks_[high].start <= address; step *= 2) {
    low = high;
    high = std::min(high + step, last);
  }
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (marks_[middle].start <= address ? low : high) = middle;
  }
  return marks_[low];
}

std::shared_ptr<const RemoteAgent> RemoteAgents::load(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = recent_.find(text); found != recent_.end())
      return found->second;
  }
  const base::Bytes blob = wire::decode_blob_text(text);
  auto agent = std::make_shared<const RemoteAgent>(wire::decode(blob));
  const std::size_t size = text.size() + blob.size();
  if (size > kMaxRecentBytes) return agent;
  const std::lock_guard lock(mutex_);
  if (recent_.size() >= kMaxRecentAgents || recent_bytes_ + size > kMaxRecentBytes) {
    recent_.clear();
    recent_bytes_ = 0;
  }
  if (recent_.emplace(text, agent).second) recent_bytes_ += size;
  return agent;
}

}  // namespace nixl_connect::runtime
