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

}  // namespace

RemoteAgent::RemoteAgent(wire::AgentMetadata metadata)
    : metadata_(std::move(metadata)) {
  if (!metadata_.connection)
    throw Error(
        ErrorKind::kInvalidArgument,
        "the metadata of agent " + metadata_.agent +
            " has no connection information; ask the peer for its full metadata");
  mark(wire::MemoryType::kDram, of_host_);
  mark(wire::MemoryType::kVram, of_gpus_);
}

void RemoteAgent::mark(wire::MemoryType memory, Marks& marks) const {
  for (const wire::Region& region : metadata_.regions)
    if (region.memory == memory)
      marks.push_back({region.address, end(region), &region});
  std::sort(marks.begin(), marks.end(),
            [](const Mark& a, const Mark& b) { return a.start < b.start; });
  for (std::size_t i = 1; i < marks.size(); ++i) {
    const Mark& before = marks[i - 1];
    if (before.furthest_end < marks[i].furthest_end) continue;
    marks[i].furthest_end = before.furthest_end;
    marks[i].furthest = before.furthest;
  }
}

const wire::Region* RemoteAgent::find(std::uint64_t address, std::uint64_t size,
                                      wire::MemoryType memory) const noexcept {
  const Marks& marks = memory == wire::MemoryType::kDram ? of_host_ : of_gpus_;
  if (marks.empty() || marks.front().start > address) return nullptr;
  // If any region that begins at or before the address covers the range, so does the
  // one of them that reaches furthest.
  const Mark& mark = last_not_above(marks, address);
  const std::uint64_t end = std::max(mark.furthest_end, address);
  return size <= end - address ? mark.furthest : nullptr;
}

// The first mark is not above. Regions mostly are pages of one size: the place is
// guessed as if they were spread evenly, then looked for around it, in steps that grow.
const RemoteAgent::Mark& RemoteAgent::last_not_above(const Marks& marks,
                                                     std::uint64_t address) noexcept {
  const std::size_t last = marks.size() - 1;
  const std::uint64_t first = marks.front().start;
  if (address >= marks.back().start) return marks.back();
  const double share = static_cast<double>(address - first) /
                       static_cast<double>(marks.back().start - first);
  // In the end marks[low].start <= address < marks[high].start.
  auto low = static_cast<std::size_t>(share * static_cast<double>(last));
  std::size_t high = low + 1;
  for (std::size_t step = 1; marks[low].start > address; step *= 2) {
    high = low;
    low -= std::min(low, step);
  }
  for (std::size_t step = 1; marks[high].start <= address; step *= 2) {
    low = high;
    high = std::min(high + step, last);
  }
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (marks[middle].start <= address ? low : high) = middle;
  }
  return marks[low];
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
