// SPDX-License-Identifier: Apache-2.0
//
// Memory of peers of this host that they are asked to hand over on the local channel,
// since this process cannot open it in /proc: the peer is in another pid namespace, or
// not to be traced. The operations that need it wait here. Used by whoever has the
// turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "core/terms.h"
#include "runtime/remote_memory.h"
#include "wire/control.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class Outbox;
struct Movement;
struct Peer;

class Fetches {
 public:
  // Of one peer at a time, so that the answers find room in its socket. What is needed
  // besides is asked for as they come.
  static constexpr std::size_t kMostAsked = 64;

  // After `patience` without an answer the operations go on without what they miss.
  Fetches(Outbox& outbox, core::Time patience) : outbox_(outbox), patience_(patience) {}

  // Asks for the lease table of a peer that was greeted, if it is not open.
  void ask_for_leases(const Peer& peer, const wire::Extension& extension,
                      core::Time now);

  // Whether the lease table is open, or may be by the time it is needed.
  bool may_have_leases(const Peer& peer, const wire::Extension& extension) const;

  // True: the operation has to wait for exports in which its ranges lie, or for the
  // lease table, and comes out of take_ready() when it need not. False: all of that is
  // mapped, or not to be had. The peer is one of ours.
  bool hold(core::OperationId operation, Peer& peer, const Movement& movement,
            core::Time now);

  // What the peer answers.
  void arrived(Peer& peer, const wire::FetchedRegion& region,
               const base::UniqueFd& file, core::Time now);

  // The operation waits no more. False if it has not waited.
  bool drop(core::OperationId operation) {
    return waiting_.erase(operation) + ready_.erase(operation) != 0;
  }
  void drop_all_of(core::PeerId peer);

  // With the maps that they have waited for, which are to stay until they have begun.
  using Ready = std::map<core::OperationId, std::vector<RemoteMemory::Map>>;
  Ready take_ready() { return std::exchange(ready_, {}); }

  void tick(core::Time now);
  core::Time next_deadline() const noexcept { return next_deadline_; }

 private:
  // Which peer, and which export of it, or kLeaseTableId.
  using Key = std::pair<core::PeerId, std::uint64_t>;
  enum class State {
    kNext,  // it will be
    kAsked,
    kLate,     // and may still come; nothing else is asked of that peer until then
    kRefused,  // under that lease
  };
  struct Asked {
    State state = State::kNext;
    wire::Fetch fetch;
    wire::Export exported;
    core::Time deadline = core::kNever;
  };
  // What is asked of one peer.
  struct Pace {
    std::deque<std::uint64_t> next;  // those of kNext
    std::size_t unanswered = 0;      // kAsked and kLate
    std::size_t late = 0;            // of these
  };
  struct Waiting {
    core::PeerId peer = 0;
    std::vector<std::uint64_t> missing;
    // What it has already, lest others push it out meanwhile.
    std::vector<RemoteMemory::Map> maps;
  };

  bool may_wait_for(core::PeerId peer, const wire::Export& exported,
                    core::LeaseId lease) const;
  bool is_late(core::PeerId peer) const;
  void ask(core::PeerId peer, const wire::Extension& extension,
           const wire::Export& exported, core::Time now);
  bool ask_next(core::PeerId peer, core::Time now);
  void give_up_next(core::PeerId peer, std::vector<Key>& given_up);
  void settle(const Key& key, bool is_here, const RemoteMemory::Map& map = nullptr);
  void find_next_deadline() noexcept;

  Outbox& outbox_;
  const core::Time patience_;
  std::map<Key, Asked> asked_;
  std::map<core::PeerId, Pace> paces_;
  std::unordered_map<core::OperationId, Waiting> waiting_;
  Ready ready_;
  core::Time next_deadline_ = core::kNever;
};

}  // namespace nixl_connect::runtime
