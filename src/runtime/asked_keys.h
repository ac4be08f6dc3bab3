// SPDX-License-Identifier: Apache-2.0
//
// Keys of a peer's memory that its metadata lacks and that it is asked for. The
// operations that need them wait here, as long as it takes: the memory may have to get
// ready first. Used by whoever has the turn.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/terms.h"
#include "runtime/remote_ranges.h"
#include "wire/control.h"

namespace nixl_connect::runtime {

class Outbox;

// Of the memory of one lease. Constant once made.
class RemoteKeys {
 public:
  // Of a worker of the peer's.
  RemoteKeys(base::Bytes connection, std::vector<wire::MemoryKey> keys);

  const base::Bytes& connection() const noexcept { return connection_; }

  // Calls visit(address, size, rkey) for each part of the range that has a key of its
  // own, in order. Throws Error(kInvalidArgument) if some of it has none.
  template <typename Visit>
  void for_each_part(const RemoteRange& range, Visit&& visit) const {
    for (std::uint64_t done = 0; done < range.size;) {
      const wire::MemoryKey& key = key_at(range.address + done);
      const std::uint64_t size =
          std::min(range.size - done, key.size - (range.address + done - key.address));
      visit(range.address + done, size, key.rkey);
      done += size;
    }
  }

 private:
  const wire::MemoryKey& key_at(std::uint64_t address) const;

  const base::Bytes connection_;
  // In the order of their addresses and of their ends.
  const std::vector<wire::MemoryKey> keys_;
};

// Whether regions of some of the ranges have no key.
bool lack_keys(const RemoteRanges& ranges) noexcept;

class AskedKeys {
 public:
  explicit AskedKeys(Outbox& outbox) : outbox_(outbox) {}

  // The operation comes out of take_ready() when the answer is here.
  void ask(core::OperationId operation, core::PeerId peer,
           const wire::LeaseRecord& lease, core::Time now);

  // What a peer answers. What nobody has asked for is dropped.
  void arrived(core::PeerId peer, const wire::Keys& answer, core::Time now);

  // The operation waits no more. False if it has not waited.
  bool drop(core::OperationId operation) { return waiting_.erase(operation) != 0; }

  struct Ready {
    core::OperationId operation = 0;
    std::shared_ptr<const RemoteKeys> keys;  // null: there are none
    std::string why_not;
  };
  std::vector<Ready> take_ready();

 private:
  struct Waiting {
    core::PeerId peer = 0;
    wire::AskKeys asked;
    std::vector<wire::MemoryKey> keys{};  // as far as they have come
    bool is_ready = false;
    std::string why_not{};
    base::Bytes connection{};
  };

  Outbox& outbox_;
  std::unordered_map<core::OperationId, Waiting> waiting_;
  bool has_ready_ = false;
};

}  // namespace nixl_connect::runtime
