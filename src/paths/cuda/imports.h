// SPDX-License-Identifier: Apache-2.0
//
// The memory of other processes that one GPU of this one has open, kept for operations
// to come, since to open it takes up to milliseconds. Any thread, with the GPU's
// primary context current on it; whoever has it keeps that context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "paths/cuda/imported_memory.h"

namespace nixl_connect::paths::cuda {

class Imports {
 public:
  // At most so many are kept, besides those that somebody holds: 40 GiB of torch's
  // expandable segments, which come in chunks of 20 MiB.
  static constexpr std::size_t kMostKept = 2048;

  // What all Connectors of this process share: the driver opens no memory of a process
  // at an address under which this one has other memory of it open.
  static std::shared_ptr<Imports> of_process(const Driver& driver, CuDevice device);

  Imports(const Driver& driver, CuDevice device, std::size_t most_kept = kMostKept)
      : driver_(driver), device_(device), most_kept_(most_kept) {}
  Imports(const Imports&) = delete;
  Imports& operator=(const Imports&) = delete;
  ~Imports() = default;

  using Mapping = std::shared_ptr<const ForeignMapping>;

  // The memory if it is open, without a call of the driver; or nothing. An operation
  // holds it until its work is done.
  Mapping find(const ForeignMemory& memory);

  // As find(), and opens it if it is not; `files` are needed then only. What the owner
  // had under these addresses before is no longer kept: it has freed that, or the ids
  // would be the same. Throws as ForeignMapping::open(); Error(kNoResources) can mean
  // that operations still use that memory, until when the driver may refuse the new.
  Mapping open(const ForeignMemory& memory, std::span<const base::UniqueFd> files = {});

  // Of an owner that has gone. What operations hold stays until they are done.
  void drop(const Instance& owner);

  std::size_t size() const;

 private:
  // An address does not tell which memory it was, nor a buffer id whose.
  struct Key {
    Instance owner{};
    std::vector<std::uint64_t> buffer_ids;

    bool operator<(const Key& other) const noexcept {
      return std::tie(owner, buffer_ids) < std::tie(other.owner, other.buffer_ids);
    }
  };
  struct Kept {
    Mapping mapping;
    std::vector<MemoryChunk> chunks;
    std::list<Key>::iterator use;
  };

  static Key key_of(const ForeignMemory& memory);

  // All with mutex_ held.
  Mapping find_locked(const ForeignMemory& memory);
  void drop_what_was_at(const ForeignMemory& memory);
  void erase(std::map<Key, Kept>::iterator kept);

  const Driver& driver_;
  const CuDevice device_;
  const std::size_t most_kept_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<Key, Kept> kept_;
  std::list<Key> uses_;  // the latest first
};

}  // namespace nixl_connect::paths::cuda
