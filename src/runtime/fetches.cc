// SPDX-License-Identifier: Apache-2.0
#include "runtime/fetches.h"

#include <algorithm>

#include "nixl_connect/error.h"
#include "runtime/exports.h"
#include "runtime/host_paths.h"
#include "runtime/outbox.h"
#include "runtime/peers.h"
#include "runtime/remote_agent.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMostKnown = 1024;

GpuFiles::Cause cause(const char* text) {
  return std::make_shared<const std::string>(text);
}

bool has_all(const Peer& peer, const wire::Extension& extension) {
  return peer.leases.is_open() &&
         std::all_of(
             extension.exports.begin(), extension.exports.end(),
             [&](const wire::Export& each) { return peer.memory.has(each.id); });
}

// Those in which the ranges lie, each once; nothing if some range lies in none.
std::vector<const wire::Export*> exports_behind(const Movement& movement) {
  ExportFinder finder(movement.agent.extension()->exports);
  std::vector<const wire::Export*> found;
  for (const RemoteRange& range : movement.remote) {
    if (range.size == 0) continue;
    const wire::Export* const each = finder.find(range.address, range.size);
    if (each == nullptr) return {};
    if (std::find(found.begin(), found.end(), each) == found.end())
      found.push_back(each);
  }
  return found;
}

}  // namespace

void Fetches::ask_for_leases(const Peer& peer, const wire::Extension& extension,
                             core::Time now) {
  if (!peer.leases.is_open() && may_have_leases(peer, extension))
    ask({peer.id, {wire::kLeaseTableId}},
        {.fetch = {extension.lease.id, extension.lease.token, wire::kLeaseTableId}},
        now);
}

bool Fetches::may_have_leases(const Peer& peer,
                              const wire::Extension& extension) const {
  return peer.leases.is_open() ||
         (peer.channel != nullptr && extension.lease_table && !is_late(peer.id) &&
          may_wait_for({peer.id, {wire::kLeaseTableId}}, extension.lease.id));
}

bool Fetches::hold(core::OperationId operation, Peer& peer, const Movement& movement,
                   core::Time now) {
  const wire::Extension& extension = *movement.agent.extension();
  if (peer.channel == nullptr || !extension.lease_table || extension.exports.empty() ||
      has_all(peer, extension) || is_late(peer.id))
    return false;
  auto missing = exports_behind(movement);
  if (missing.empty()) return false;
  Maps maps;
  std::erase_if(missing, [&](const wire::Export* each) {
    auto map =
        peer.memory.map(peer.pid(), *each, base::SharedMemory::Access::kReadWrite);
    if (!map) return false;
    maps.push_back(std::move(map));
    return true;
  });
  constexpr wire::Export kLeaseTable{.id = wire::kLeaseTableId};
  if (!peer.leases.is_open())
    missing.push_back(&kLeaseTable);
  else if (!peer.leases.is_valid(extension).value_or(false))
    return false;
  const auto may_come = [&](const wire::Export* each) {
    // If it is there, it is smaller than the metadata says.
    return !peer.memory.has(each->id) &&
           may_wait_for({peer.id, {each->id}}, extension.lease.id);
  };
  if (missing.empty() || !std::all_of(missing.begin(), missing.end(), may_come))
    return false;
  Waiting& waiting = waiting_[operation];
  waiting.peer = peer.id;
  waiting.lease = extension.lease.id;
  waiting.maps = std::move(maps);
  for (const wire::Export* const each : missing) {
    ask({peer.id, {each->id}},
        {.fetch = {extension.lease.id, extension.lease.token, each->id},
         .exported = *each},
        now);
    waiting.missing.push_back({each->id});
  }
  outbox_.send(peer.id);
  return true;
}

bool Fetches::hold(core::OperationId operation, const Peer& peer,
                   const wire::Extension& extension, int device,
                   std::span<const wire::GpuChunk* const> chunks, core::Time now) {
  const wire::LeaseRecord& lease = extension.lease;
  Waiting waiting{peer.id, lease.id, {}, {}};
  std::vector<Asked> missing;
  for (const wire::GpuChunk* const chunk : chunks) {
    const GpuFiles::Wanted wanted{extension.owner(), device, *chunk};
    if (auto mapping = gpu_files_.find(wanted)) {
      waiting.maps.push_back(std::move(mapping));
      continue;
    }
    const std::uint64_t what = wire::kGpuChunkMark | chunk->buffer_id;
    waiting.missing.push_back({what, device});
    missing.push_back({.fetch = {lease.id, lease.token, what}, .wanted = wanted});
  }
  if (missing.empty()) {
    ready_.emplace(operation, Resumed{std::move(waiting.maps)});
    return true;
  }
  const auto may_come = [&](const Item& each) {
    return may_wait_for({peer.id, each}, lease.id);
  };
  if (peer.channel == nullptr || is_late(peer.id) ||
      !std::all_of(waiting.missing.begin(), waiting.missing.end(), may_come))
    return false;
  for (const Asked& each : missing)
    ask({peer.id, {each.fetch.what, device}}, each, now);
  waiting_.insert_or_assign(operation, std::move(waiting));
  outbox_.send(peer.id);
  return true;
}

GpuFiles::Cause Fetches::why_missing(
    const Peer& peer, const wire::Extension& extension, int device,
    std::span<const wire::GpuChunk* const> chunks) const {
  for (const wire::GpuChunk* const chunk : chunks) {
    const auto at =
        asked_.find({peer.id, {wire::kGpuChunkMark | chunk->buffer_id, device}});
    if (at != asked_.end() && at->second.why_not &&
        at->second.fetch.lease == extension.lease.id)
      return at->second.why_not;
  }
  return is_late(peer.id) ? cause("the peer did not hand it over within drain_timeout")
                          : cause("it has not come");
}

// Of several GPUs for which it was asked, whichever has the least number: their files
// are the same.
Fetches::AskedMap::iterator Fetches::find_asked(core::PeerId peer, std::uint64_t what) {
  auto at = asked_.lower_bound({peer, {what}});
  for (; at != asked_.end() && at->first.first == peer && at->first.second.what == what;
       ++at)
    if (at->second.state == State::kAsked || at->second.state == State::kLate)
      return at;
  return asked_.end();
}

void Fetches::arrived(Peer& peer, const wire::FetchedRegion& region,
                      base::UniqueFd& file, core::Time now) {
  const auto at = find_asked(peer.id, region.what);
  if (at == asked_.end()) return;
  if (at->second.state == State::kLate) --paces_[peer.id].late;
  bool is_here = region.is_granted && file.get() >= 0;
  if (wire::is_gpu_chunk(region.what)) {
    if (is_here) return open(at, std::move(file), now);
    at->second.why_not = cause(
        "the peer refuses to hand it over: its operation has ended, the memory was "
        "freed, or its driver does not export it");
    return end(at, nullptr, false, now);
  }
  RemoteMemory::Map map;
  if (is_here && region.what == wire::kLeaseTableId) {
    peer.leases.open(*peer.instance, file);
    is_here = peer.leases.is_open();
  } else if (is_here) {
    map = peer.memory.add(at->second.exported, file);
    is_here = map != nullptr;
  }
  end(at, map, is_here, now);
}

void Fetches::open(AskedMap::iterator at, base::UniqueFd file, core::Time now) {
  const Key key = at->first;
  at->second.state = State::kOpening;
  find_next_deadline();
  try {
    gpu_files_.open(at->second.wanted, std::move(file),
                    [this, key](const GpuFiles::Mapping& mapping,
                                GpuFiles::Cause why_not, core::Time then) {
                      const auto opened = asked_.find(key);
                      if (opened == asked_.end()) return;  // the peer is lost
                      opened->second.why_not = std::move(why_not);
                      end(opened, mapping, mapping != nullptr, then);
                    });
  } catch (const Error& error) {
    at->second.why_not = std::make_shared<const std::string>(error.what());
    end(at, nullptr, false, now);
  }
}

// It is here, or will not be, and something else can be asked for.
void Fetches::end(AskedMap::iterator at, const std::shared_ptr<const void>& map,
                  bool is_here, core::Time now) {
  const Key key = at->first;
  --paces_[key.first].unanswered;
  if (is_here)
    asked_.erase(at);
  else
    at->second.state = State::kRefused;
  find_next_deadline();
  settle(key, is_here, map);
  if (ask_next(key.first, now)) outbox_.send(key.first);
}

void Fetches::drop_all_of(core::PeerId peer) {
  asked_.erase(asked_.lower_bound({peer, {}}), asked_.lower_bound({peer + 1, {}}));
  paces_.erase(peer);
  find_next_deadline();
}

void Fetches::tick(core::Time now) {
  if (now < next_deadline_) return;
  std::vector<Key> missed;
  for (auto& [key, asked] : asked_) {
    if (asked.state != State::kAsked || asked.deadline > now) continue;
    asked.state = State::kLate;
    ++paces_[key.first].late;
    missed.push_back(key);
  }
  for (auto& [peer, pace] : paces_)
    if (pace.late > 0) give_up_next(peer, missed);
  find_next_deadline();
  for (const Key& key : missed) settle(key, false);
}

bool Fetches::may_wait_for(const Key& key, core::LeaseId lease) const {
  const auto at = asked_.find(key);
  if (at == asked_.end()) return true;
  const State state = at->second.state;
  return state == State::kRefused ? was_refused_to_another(key, lease)
                                  : state != State::kLate;
}

// Which may have ended.
bool Fetches::was_refused_to_another(const Key& key, core::LeaseId lease) const {
  const auto at = asked_.find(key);
  return at != asked_.end() && at->second.state == State::kRefused &&
         at->second.fetch.lease != lease;
}

bool Fetches::is_late(core::PeerId peer) const {
  const auto at = paces_.find(peer);
  return at != paces_.end() && at->second.late > 0;
}

// Unless it is on its way already, or soon will be.
void Fetches::ask(const Key& key, const Asked& wanted, core::Time now) {
  if (asked_.size() >= kMostKnown)
    std::erase_if(
        asked_, [&](const auto& each) { return each.second.state == State::kRefused; });
  const auto [at, is_new] = asked_.try_emplace(key);
  if (!is_new && at->second.state != State::kRefused) return;
  at->second = wanted;
  paces_[key.first].next.push_back(key.second);
  ask_next(key.first, now);
}

// False if nothing was asked.
bool Fetches::ask_next(core::PeerId peer, core::Time now) {
  Pace& pace = paces_[peer];
  bool has_asked = false;
  for (; !pace.next.empty() && pace.unanswered < kMostAsked; pace.next.pop_front()) {
    Asked& asked = asked_.at({peer, pace.next.front()});
    asked.state = State::kAsked;
    asked.deadline = now + patience_;
    next_deadline_ = std::min(next_deadline_, asked.deadline);
    ++pace.unanswered;
    outbox_.add(peer, asked.fetch, now);
    has_asked = true;
  }
  return has_asked;
}

// They may be asked for another time.
void Fetches::give_up_next(core::PeerId peer, std::vector<Key>& given_up) {
  for (const Item& item : std::exchange(paces_[peer].next, {})) {
    asked_.erase({peer, item});
    given_up.emplace_back(peer, item);
  }
}

// Those who miss it go on: with it if that was the last one, without it in any case.
void Fetches::settle(const Key& key, bool is_here,
                     const std::shared_ptr<const void>& map) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    Waiting& waiting = at->second;
    const bool is_missed =
        waiting.peer == key.first && std::erase(waiting.missing, key.second) > 0;
    if (is_missed && map) waiting.maps.push_back(map);
    if (!is_missed || (is_here && !waiting.missing.empty())) {
      ++at;
      continue;
    }
    ready_.emplace(at->first, Resumed{std::move(waiting.maps),
                                      was_refused_to_another(key, waiting.lease)});
    at = waiting_.erase(at);
  }
}

void Fetches::find_next_deadline() noexcept {
  next_deadline_ = core::kNever;
  for (const auto& [key, asked] : asked_)
    if (asked.state == State::kAsked)
      next_deadline_ = std::min(next_deadline_, asked.deadline);
}

}  // namespace nixl_connect::runtime
