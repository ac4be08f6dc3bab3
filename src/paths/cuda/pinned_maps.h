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

#include "paths/cuda/devices.h"
#include "paths/cuda/handles.h"
#include "paths/cuda/host_map.h"

namespace nixl_connect::paths::cuda {

// While it is pinned. What holds it may be the last to do so: the map is
// taken down behind.
class PinnedMap {
 public:
  // Throws CopyRefused(kNotPinned); DriverError if the context is poisoned.
  PinnedMap(const Driver& driver, const DeviceFacts& device, HostMap map);
  PinnedMap(const PinnedMap&) = delete;
  PinnedMap& operator=(const PinnedMap&) = delete;
  // Nothing that uses it is under way any more.
  ~PinnedMap();

  // Where this process has it, and each of its GPUs as well.
  CuDevicePointer start() const noexcept;

  const HostMap& map() const noexcept { return map_; }
  // The owner has given the pages back, which are in memory for the pin alone.
  bool is_given_back() const noexcept;

 private:
  const Driver& driver_;
  const HostMap map_;
  const PrimaryContext context_;
  RegisteredMemory registered_;
};

class PinnedMaps {
 public:
  // At most so many are kept, besides those that somebody holds.
  static constexpr std::size_t kMostKept = 64;

  explicit PinnedMaps(const Driver& driver, std::size_t most_kept = kMostKept)
      : driver_(driver), most_kept_(most_kept) {}
  PinnedMaps(const PinnedMaps&) = delete;
  PinnedMaps& operator=(const PinnedMaps&) = delete;
  ~PinnedMaps() = default;

  using Pin = std::shared_ptr<const PinnedMap>;

  // Pins the map if it is not pinned yet, and drops before what was given back
  // meanwhile. A copy holds it until its work is done. Throws as PinnedMap().
  Pin pin(const HostMap& map, const DeviceFacts& device);

  // Of an owner that has gone, or memory that has. What copies hold stays until they
  // are done.
  void drop(const Instance& owner);
  void drop(std::uint64_t id);

  std::size_t size() const noexcept { return kept_.size(); }

 private:
  const Driver& driver_;
  const std::size_t most_kept_;
  std::list<Pin> kept_;  // the latest used first
};

}  // namespace nixl_connect::paths::cuda
