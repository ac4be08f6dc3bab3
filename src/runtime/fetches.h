// SPDX-License-Identifier: Apache-2.0
//
// Memory of peers of this host that they are asked to hand over on the local channel:
// that of the host which this process cannot open in /proc, since the peer is in
// another pid namespace, or not to be traced; and that of GPUs which comes as files.
// The operations that need it wait here. Used by whoever has the turn.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "core/terms.h"
#include "runtime/gpu_files.h"
#include "runtime/remote_memory.h"
#include "wire/control.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

class Outbox;
struct Movement;
struct Peer;

class Fetches {
 public:
  // Of one peer at a time, so that the answers find room in its socket; what the CUDA
  // thread has not opened yet counts as well, so that no more files are open here. What
  // is needed besides is asked for as they come.
  static constexpr std::size_t kMostAsked = 64;

  // After `patience` without an answer the operations go on without what they miss.
  Fetches(Outbox& outbox, GpuFiles& gpu_files, core::Time patience)
      : outbox_(outbox), gpu_files_(gpu_files), patience_(patience) {}

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

  // The same of chunks of a GPU's memory, which that GPU of this process is to open.
  // True if all are open, too: the operation is ready then, and holds them.
  bool hold(core::OperationId operation, const Peer& peer,
            const wire::Extension& extension, int device,
            std::span<const wire::GpuChunk* const> chunks, core::Time now);

  // Why such chunks are not there, as far as it is known.
  GpuFiles::Cause why_missing(const Peer& peer, const wire::Extension& extension,
                              int device,
                              std::span<const wire::GpuChunk* const> chunks) const;

  // What the peer answers. The file may be taken.
  void arrived(Peer& peer, const wire::FetchedRegion& region, base::UniqueFd& file,
               core::Time now);

  // The operation waits no more. False if it has not waited.
  bool drop(core::OperationId operation) {
    return waiting_.erase(operation) + ready_.erase(operation) != 0;
  }
  void drop_all_of(core::PeerId peer);

  // With the maps that they have waited for, which are to stay until they have begun.
  using Maps = std::vector<std::shared_ptr<const void>>;
  struct Resumed {
    Maps maps;
    // Something was refused under another operation's lease, and may be granted under
    // its own: hold() asks.
    bool may_ask_again = false;
  };
  using Ready = std::map<core::OperationId, Resumed>;
  Ready take_ready() { return std::exchange(ready_, {}); }

  void tick(core::Time now);
  core::Time next_deadline() const noexcept { return next_deadline_; }

 private:
  // As it is asked for, and of GPUs' memory which GPU is to open it.
  struct Item {
    static constexpr int kNoDevice = -1;

    std::uint64_t what = 0;
    int device = kNoDevice;

    // NOLINTNEXTLINE(modernize-use-nullptr): there is none; clang-tidy 14 errs here
    auto operator<=>(const Item&) const = default;
  };
  using Key = std::pair<core::PeerId, Item>;
  enum class State {
    kNext,  // it will be
    kAsked,
    kLate,     // and may still come; nothing else is asked of that peer until then
    kOpening,  // the file is here
    kRefused,  // under that lease
  };
  struct Asked {
    State state = State::kNext;
    wire::Fetch fetch;
    wire::Export exported{};    // of the host's memory
    GpuFiles::Wanted wanted{};  // of a GPU's
    core::Time deadline = core::kNever;
    GpuFiles::Cause why_not{};  // kRefused, of a GPU's
  };
  using AskedMap = std::map<Key, Asked>;
  // What is asked of one peer.
  struct Pace {
    std::deque<Item> next;       // those of kNext
    std::size_t unanswered = 0;  // kAsked, kLate and kOpening
    std::size_t late = 0;        // of these
  };
  struct Waiting {
    core::PeerId peer = 0;
    core::LeaseId lease = 0;
    std::vector<Item> missing;
    // What it has already, lest others push it out meanwhile.
    Maps maps;
  };

  bool may_wait_for(const Key& key, core::LeaseId lease) const;
  bool is_late(core::PeerId peer) const;
  void ask(const Key& key, const Asked& wanted, core::Time now);
  bool ask_next(core::PeerId peer, core::Time now);
  AskedMap::iterator find_asked(core::PeerId peer, std::uint64_t what);
  void open(AskedMap::iterator at, base::UniqueFd file, core::Time now);
  void end(AskedMap::iterator at, const std::shared_ptr<const void>& map, bool is_here,
           core::Time now);
  void give_up_next(core::PeerId peer, std::vector<Key>& given_up);
  void settle(const Key& key, bool is_here,
              const std::shared_ptr<const void>& map = nullptr);
  bool was_refused_to_another(const Key& key, core::LeaseId lease) const;
  void find_next_deadline() noexcept;

  Outbox& outbox_;
  GpuFiles& gpu_files_;
  const core::Time patience_;
  AskedMap asked_;
  std::map<core::PeerId, Pace> paces_;
  std::unordered_map<core::OperationId, Waiting> waiting_;
  Ready ready_;
  core::Time next_deadline_ = core::kNever;
};

}  // namespace nixl_connect::runtime
