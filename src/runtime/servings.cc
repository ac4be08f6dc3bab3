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

// Whether a range lies in one of many descriptors.
class Coverage {
 public:
  explicit Coverage(std::span<const Descriptor> descriptors) {
    for (const Descriptor& each : descriptors)
      if (each.size() > 0) marks_.push_back({each.ptr(), each.ptr() + each.size()});
    std::sort(marks_.begin(), marks_.end());
    std::uint64_t furthest = 0;
    for (Mark& each : marks_)
      furthest = each.furthest_end = std::max(furthest, each.furthest_end);
  }

  bool has(std::uint64_t address, std::uint64_t size) const {
    const auto after = std::upper_bound(
        marks_.begin(), marks_.end(), address,
        [](std::uint64_t at, const Mark& each) { return at < each.start; });
    if (after == marks_.begin()) return false;
    const std::uint64_t end = std::prev(after)->furthest_end;
    return address < end && size <= end - address;
  }

 private:
  struct Mark {
    std::uint64_t start;
    std::uint64_t furthest_end;  // of those that begin there or before

    bool operator<(const Mark& other) const { return start < other.start; }
  };
  std::vector<Mark> marks_;
};

[[noreturn]] void refuse(const char* why) {
  throw Error(ErrorKind::kInvalidArgument, why);
}

}  // namespace

std::optional<wire::Serve> Servings::add(core::PeerId peer, wire::Serve message) {
  const std::pair key(peer, message.operation);
  auto coming = coming_.extract(key);
  // What follows a message that was refused.
  if (coming.empty() && message.first != 0) return std::nullopt;
  if (message.ranges.empty() || message.count > wire::kMaxServedRanges)
    refuse("no ranges, or too many");
  if (coming.empty()) {
    check_room(peer);
  } else {
    wire::Serve& before = coming.mapped();
    if (message.first != before.ranges.size()) refuse("ranges are missing");
    before.ranges.insert(before.ranges.end(), message.ranges.begin(),
                         message.ranges.end());
    message = std::move(before);
    message.first = 0;
  }
  if (message.ranges.size() > message.count) refuse("more ranges than announced");
  if (message.ranges.size() < message.count) {
    coming_.emplace(key, std::move(message));
    return std::nullopt;
  }
  if (count_begun(peer) < wire::kMaxServedOperations) return message;
  waiting_.emplace_back(peer, std::move(message));
  return std::nullopt;
}

std::optional<Servings::Waiting> Servings::take_waiting(core::PeerId peer) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), of_peer(peer));
  if (found == waiting_.end() || count_begun(peer) >= wire::kMaxServedOperations)
    return std::nullopt;
  Waiting taken = std::move(*found);
  waiting_.erase(found);
  return taken;
}

void Servings::forget(core::PeerId peer) {
  std::erase_if(coming_, [peer](const auto& each) { return each.first.first == peer; });
  std::erase_if(waiting_, of_peer(peer));
}

// One that has cancelled many asks for others while those are still under way here.
void Servings::check_room(core::PeerId peer) const {
  constexpr std::size_t kMostOperations = 64;
  constexpr std::size_t kMostRanges = 8 * wire::kMaxServedRanges;
  std::size_t operations = 1;
  std::size_t ranges = 0;
  const auto add = [&](const wire::Serve& each) {
    ++operations;
    ranges += each.count;
  };
  for (const auto& [key, each] : coming_)
    if (key.first == peer) add(each);
  for (const auto& [owner, each] : waiting_)
    if (owner == peer) add(each);
  if (operations > kMostOperations || ranges > kMostRanges)
    throw Error(ErrorKind::kNoResources, "too many operations are to be served");
}

std::size_t Servings::count_begun(core::PeerId peer) const {
  return static_cast<std::size_t>(
      std::count_if(begun_.begin(), begun_.end(),
                    [peer](const auto& each) { return each.second.peer == peer; }));
}

std::vector<core::OperationId> Servings::on(core::LeaseId lease) const {
  std::vector<core::OperationId> found;
  for (const auto& [operation, serving] : begun_)
    if (serving.lease == lease) found.push_back(operation);
  std::sort(found.begin(), found.end());
  return found;
}

ServingMemory memory_of_serving(const wire::Serve& asked,
                                const OperationMemory& exposed,
                                const RemoteAgent& peer) {
  const Coverage coverage(exposed.whole());
  ServingMemory memory;
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
