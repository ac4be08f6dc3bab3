// SPDX-License-Identifier: Apache-2.0
#include "runtime/servings.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "nixl_connect/error.h"
#include "runtime/operation_memory.h"
#include "runtime/remote_agent.h"

namespace nixl_connect::runtime {
namespace {

// Of descriptors, in order, those that touch or overlap as one.
class Coverage {
 public:
  explicit Coverage(std::span<const Descriptor> descriptors) {
    for (const Descriptor& each : descriptors)
      if (each.size() > 0) parts_.push_back({each.ptr(), each.ptr() + each.size()});
    std::sort(parts_.begin(), parts_.end());
    std::vector<Part> merged;
    for (const Part& each : parts_)
      if (!merged.empty() && each.first <= merged.back().second)
        merged.back().second = std::max(merged.back().second, each.second);
      else
        merged.push_back(each);
    parts_ = std::move(merged);
  }

  bool has(std::uint64_t address, std::uint64_t size) const {
    const auto after = std::upper_bound(
        parts_.begin(), parts_.end(), address,
        [](std::uint64_t at, const Part& each) { return at < each.first; });
    if (after == parts_.begin()) return false;
    const std::uint64_t end = std::prev(after)->second;
    return address < end && size <= end - address;
  }

 private:
  using Part = std::pair<std::uint64_t, std::uint64_t>;  // begin and end
  std::vector<Part> parts_;
};

[[noreturn]] void refuse(const char* why) {
  throw Error(ErrorKind::kInvalidArgument, why);
}

}  // namespace

std::optional<wire::Serve> Servings::add(core::PeerId peer, wire::Serve message) {
  const std::pair key(peer, message.operation);
  auto coming = coming_.extract(key);
  if (message.ranges.empty() || message.count > wire::kMaxServedRanges)
    refuse("no ranges, or too many");
  if (coming.empty()) {
    if (count_of(peer) >= wire::kMaxServed)
      throw Error(ErrorKind::kNoResources, "too many operations are served at once");
    if (message.ranges.size() == message.count) return message;
    if (message.ranges.size() > message.count) refuse("more ranges than announced");
    coming_.emplace(key, std::move(message));
    return std::nullopt;
  }
  auto& ranges = coming.mapped().ranges;
  ranges.insert(ranges.end(), message.ranges.begin(), message.ranges.end());
  if (ranges.size() > coming.mapped().count) refuse("more ranges than announced");
  if (ranges.size() == coming.mapped().count) return std::move(coming.mapped());
  coming_.insert(std::move(coming));
  return std::nullopt;
}

void Servings::forget(core::PeerId peer) {
  std::erase_if(coming_, [peer](const auto& each) { return each.first.first == peer; });
}

std::size_t Servings::count_of(core::PeerId peer) const {
  const auto coming =
      std::count_if(coming_.begin(), coming_.end(),
                    [&](const auto& each) { return each.first.first == peer; });
  const auto begun = std::count_if(begun_.begin(), begun_.end(), [&](const auto& each) {
    return each.second.peer == peer;
  });
  return static_cast<std::size_t>(coming + begun);
}

core::OperationId Servings::begin(const Serving& serving) {
  begun_.emplace(++last_, serving);
  return last_;
}

std::vector<core::OperationId> Servings::on(core::LeaseId lease) const {
  std::vector<core::OperationId> found;
  for (const auto& [operation, serving] : begun_)
    if (serving.lease == lease) found.push_back(operation);
  std::sort(found.begin(), found.end());
  return found;
}

ServedMemory served_memory(const wire::Serve& asked, const OperationMemory& exposed,
                           const RemoteAgent& peer) {
  const Coverage coverage(exposed.whole());
  ServedMemory memory;
  memory.here.reserve(asked.ranges.size());
  memory.there.reserve(asked.ranges.size());
  for (const wire::ServedRange& each : asked.ranges) {
    if (each.size == 0) refuse("a range of no bytes");
    if (!coverage.has(each.address, each.size))
      refuse("a range outside of the memory that is exposed");
    const wire::Region* const region = peer.find(each.asker_address, each.size);
    if (region == nullptr) refuse("a range outside of the memory to be served");
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    memory.here.emplace_back(reinterpret_cast<void*>(each.address), each.size,
                             exposed.device());
    memory.there.push_back({each.asker_address, each.size, region, nullptr});
  }
  return memory;
}

}  // namespace nixl_connect::runtime
