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
  auto& regions = metadata_.regions;
  std::erase_if(regions, [](const wire::Region& region) {
    return region.memory != wire::MemoryType::kDram;
  });
  std::sort(regions.begin(), regions.end(),
            [](const wire::Region& a, const wire::Region& b) {
              return a.address < b.address;
            });
  starts_.reserve(regions.size());
  furthest_.reserve(regions.size());
  for (std::size_t i = 0; i < regions.size(); ++i) {
    starts_.push_back(regions[i].address);
    const std::size_t before = i == 0 ? 0 : furthest_.back();
    furthest_.push_back(end(regions[i]) > end(regions[before]) ? i : before);
  }
}

const wire::Region* RemoteAgent::find(std::uint64_t address, std::uint64_t size,
                                      const wire::Region* before) const noexcept {
  const auto covers = [&](const wire::Region& region) {
    return region.address <= address &&
           size <= end(region) - std::min(address, end(region));
  };
  // Ranges mostly follow each other as their regions do.
  if (before != nullptr) {
    if (covers(*before)) return before;
    if (before != &metadata_.regions.back() && covers(before[1])) return before + 1;
  }
  const auto behind = std::upper_bound(starts_.begin(), starts_.end(), address);
  if (behind == starts_.begin()) return nullptr;
  // If any region that begins at or before the address covers the range, so does the
  // one of them that reaches furthest.
  const auto last = static_cast<std::size_t>(behind - starts_.begin()) - 1;
  const wire::Region& region = metadata_.regions[furthest_[last]];
  return covers(region) ? &region : nullptr;
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
