// SPDX-License-Identifier: Apache-2.0
//
// Memory of the host that processes share by mapping it, pinned for all GPUs of this
// one, and kept so for copies to come, since to pin takes some 40 ms for each GiB. The
// CUDA thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>

#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/host_map.h"

namespace nixl_connect::paths::cuda {

// Some bytes of a map while they are pinned, where each GPU has them under the same
// addresses. What holds it may be the last to do so: the map is taken down behind.
class PinnedPart {
 public:
  // Throws CopyRefused(kNotPinned); DriverError if the context is poisoned.
  PinnedPart(const Driver& driver, const DeviceFacts& device, HostMap map,
             std::span<std::byte> bytes);
  PinnedPart(const PinnedPart&) = delete;
  PinnedPart& operator=(const PinnedPart&) = delete;
  // Nothing that uses it is under way any more.
  ~PinnedPart();

  const HostMap& map() const noexcept { return map_; }
  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  // The owner has given the pages back, which are in memory for the pin alone.
  bool is_given_back() const noexcept;

 private:
  const Driver& driver_;
  const HostMap map_;
  const std::span<std::byte> bytes_;
  const PrimaryContext context_;
  RegisteredMemory registered_;
};

class PinnedMaps {
 public:
  // At most so many parts are kept, besides those that somebody holds.
  static constexpr std::size_t kMostKept = 1024;

  // What is pinned at once: of a map that is far larger than what is used of it, only
  // some is, and no copy waits long for another's.
  static constexpr std::size_t kPartBytes = 1 << 30;

  // `part_bytes` are whole pages.
  explicit PinnedMaps(const Driver& driver, std::size_t most_kept = kMostKept,
                      std::size_t part_bytes = kPartBytes)
      : driver_(driver), most_kept_(most_kept), part_bytes_(part_bytes) {}
  PinnedMaps(const PinnedMaps&) = delete;
  PinnedMaps& operator=(const PinnedMaps&) = delete;
  ~PinnedMaps() = default;

  using Pin = std::shared_ptr<const PinnedPart>;

  // Pins the part that holds the byte at `offset`, if it is not pinned yet, and drops
  // before what was given back meanwhile. A copy holds it until its work is done.
  // Throws as PinnedPart().
  Pin pin(const HostMap& map, std::size_t offset, const DeviceFacts& device);

  // Whether anything of the map is pinned.
  bool has(const HostMap& map) const noexcept;

  // Of an owner that has gone, or memory that has. What copies hold stays until they
  // are done.
  void drop(const Instance& owner);
  void drop(std::uint64_t id);

  std::size_t size() const noexcept { return kept_.size(); }

 private:
  const Driver& driver_;
  const std::size_t most_kept_;
  const std::size_t part_bytes_;
  std::list<Pin> kept_;  // the latest used first
};

}  // namespace nixl_connect::paths::cuda
