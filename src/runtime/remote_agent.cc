// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_agent.h"

#include <algorithm>

#include "nixl_connect/error.h"
#include "wire/envelope.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMaxRecentBytes = 8 << 20;
constexpr std::size_t kMaxRecentAgents = 4096;

bool covers(const wire::Region& region, std::uint64_t address, std::uint64_t size) {
  return region.memory == wire::MemoryType::kDram && address >= region.address &&
         address - region.address <= region.size &&
         size <= region.size - (address - region.address);
}

}  // namespace

RemoteAgent::RemoteAgent(wire::AgentMetadata metadata)
    : metadata_(std::move(metadata)) {
  if (!metadata_.connection)
    throw Error(
        ErrorKind::kInvalidArgument,
        "the metadata of agent " + metadata_.agent +
            " has no connection information; ask the peer for its full metadata");
  std::sort(metadata_.regions.begin(), metadata_.regions.end(),
            [](const wire::Region& a, const wire::Region& b) {
              return a.address < b.address;
            });
  reach_.reserve(metadata_.regions.size());
  std::uint64_t furthest = 0;
  for (const wire::Region& region : metadata_.regions) {
    furthest = std::max(furthest, region.address + region.size);
    reach_.push_back(furthest);
  }
}

const wire::Region* RemoteAgent::find(std::uint64_t address,
                                      std::uint64_t size) const noexcept {
  const auto& regions = metadata_.regions;
  const auto behind =
      std::upper_bound(regions.begin(), regions.end(), address,
                       [](std::uint64_t value, const wire::Region& region) {
                         return value < region.address;
                       });
  // The nearest start is the usual answer; an earlier region may reach further.
  auto index = static_cast<std::size_t>(behind - regions.begin());
  while (index-- > 0 && reach_[index] >= address + size)
    if (covers(regions[index], address, size)) return &regions[index];
  return nullptr;
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
