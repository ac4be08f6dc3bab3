// SPDX-License-Identifier: Apache-2.0
#include "runtime/asked_keys.h"

#include <algorithm>

#include "nixl_connect/error.h"
#include "runtime/outbox.h"

namespace nixl_connect::runtime {
namespace {

// Of one that reaches beyond the last address nothing is used.
bool is_of_addresses(const wire::MemoryKey& key) noexcept {
  return key.size > 0 && key.size <= UINT64_MAX - key.address;
}

std::uint64_t end_of(const wire::MemoryKey& key) noexcept {
  return key.address + key.size;
}

// By their addresses, without those that lie within others: then the ends rise, too.
std::vector<wire::MemoryKey> in_order(std::vector<wire::MemoryKey> keys) {
  std::erase_if(keys, [](const auto& each) { return !is_of_addresses(each); });
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.address < b.address; });
  std::uint64_t end = 0;
  std::erase_if(keys, [&](const auto& each) {
    const bool is_within = end_of(each) <= end;
    end = std::max(end, end_of(each));
    return is_within;
  });
  return keys;
}

}  // namespace

RemoteKeys::RemoteKeys(base::Bytes connection, std::vector<wire::MemoryKey> keys)
    : connection_(std::move(connection)), keys_(in_order(std::move(keys))) {}

// The last one that begins there or before, which reaches furthest of these.
const wire::MemoryKey& RemoteKeys::key_at(std::uint64_t address) const {
  const auto behind = std::upper_bound(
      keys_.begin(), keys_.end(), address,
      [](std::uint64_t wanted, const auto& each) { return wanted < each.address; });
  if (behind != keys_.begin() && address < end_of(behind[-1])) return behind[-1];
  throw Error(ErrorKind::kInvalidArgument,
              "the peer gave no key of some of the memory; ask it for new metadata");
}

bool lack_keys(const RemoteRanges& ranges) noexcept {
  const auto places = ranges.places();
  return std::any_of(places.begin(), places.end(),
                     [](const RemoteRange& each) { return each.region->rkey.empty(); });
}

void AskedKeys::ask(core::OperationId operation, core::PeerId peer,
                    const wire::LeaseRecord& lease, core::Time now) {
  Waiting& waiting = waiting_[operation];
  waiting = {peer, {operation, lease.id, lease.token, 0}};
  outbox_.add(peer, waiting.asked, now);
  outbox_.send(peer);
}

void AskedKeys::arrived(core::PeerId peer, const wire::Keys& answer, core::Time now) {
  const auto found = waiting_.find(answer.operation);
  if (found == waiting_.end()) return;
  Waiting& waiting = found->second;
  if (waiting.peer != peer || waiting.is_ready || answer.first != waiting.keys.size())
    return;
  waiting.keys.insert(waiting.keys.end(), answer.keys.begin(), answer.keys.end());
  const bool is_honest = answer.count <= wire::kMaxKeys &&
                         waiting.keys.size() <= answer.count &&
                         (answer.count == 0 || !answer.keys.empty());
  if (is_honest && waiting.keys.size() < answer.count) {
    waiting.asked.first = waiting.keys.size();
    outbox_.add(peer, waiting.asked, now);
    outbox_.send(peer);
    return;
  }
  waiting.connection = answer.connection;
  if (!is_honest)
    waiting.why_not = "its answer makes no sense";
  else if (answer.count == 0)
    waiting.why_not = answer.why_not.empty() ? "it does not say why" : answer.why_not;
  waiting.is_ready = has_ready_ = true;
}

std::vector<AskedKeys::Ready> AskedKeys::take_ready() {
  std::vector<Ready> ready;
  if (!std::exchange(has_ready_, false)) return ready;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    Waiting& waiting = at->second;
    if (!waiting.is_ready) {
      ++at;
      continue;
    }
    Ready& each = ready.emplace_back(Ready{at->first, nullptr, waiting.why_not});
    if (waiting.why_not.empty())
      each.keys = std::make_shared<const RemoteKeys>(std::move(waiting.connection),
                                                     std::move(waiting.keys));
    at = waiting_.erase(at);
  }
  return ready;
}

}  // namespace nixl_connect::runtime
