// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/pinned_ranges.h"

#include <algorithm>
#include <string>
#include <utility>

namespace nixl_connect::paths::cuda {
namespace {

using HostSide = CopyWork::HostSide;

// Finds what holds addresses that mostly follow each other.
class PinFinder {
 public:
  PinFinder(PinnedMaps& pinned_maps, const DeviceFacts& device,
            std::span<const HostMap> maps)
      : pinned_maps_(pinned_maps), device_(device), maps_(maps) {}

  // How many bytes from there on are in one part.
  std::uint64_t pin(std::uint64_t address, std::uint64_t size) {
    if (last_ == nullptr || room_in(*last_, address) == 0) last_ = &find(address, size);
    return room_in(*last_, address);
  }

  std::vector<PinnedMaps::Pin> take() { return std::move(pins_); }

 private:
  static std::uint64_t room_in(const PinnedPart& part, std::uint64_t address) {
    const auto bytes = part.bytes();
    const std::uint64_t offset =
        address - reinterpret_cast<std::uintptr_t>(bytes.data());
    return offset < bytes.size() ? bytes.size() - offset : 0;
  }

  const PinnedPart& find(std::uint64_t address, std::uint64_t size) {
    const auto known = std::find_if(
        pins_.begin(), pins_.end(),
        [&](const PinnedMaps::Pin& each) { return room_in(*each, address) > 0; });
    if (known != pins_.end()) return **known;
    const auto map = std::find_if(maps_.begin(), maps_.end(), [&](const HostMap& each) {
      const std::uint64_t offset = address - start_of(each);
      return offset < each.memory->size() && size <= each.memory->size() - offset;
    });
    if (map == maps_.end())
      throw CopyRefused(
          CopyFailure::Cause::kNotAsSaid, ErrorKind::kInvalidArgument,
          std::to_string(size) + " bytes lie outside of the maps of the host's memory");
    pins_.push_back(pinned_maps_.pin(*map, address - start_of(*map), device_));
    return *pins_.back();
  }

  PinnedMaps& pinned_maps_;
  const DeviceFacts& device_;
  const std::span<const HostMap> maps_;
  std::vector<PinnedMaps::Pin> pins_;
  const PinnedPart* last_ = nullptr;
};

}  // namespace

std::uint64_t start_of(const HostMap& map) {
  return reinterpret_cast<std::uintptr_t>(map.memory->data());
}

std::vector<PinnedMaps::Pin> pin_ranges(PinnedMaps& pinned_maps,
                                        const DeviceFacts& device,
                                        std::span<const HostMap> maps, HostSide side,
                                        KeptPages& ranges, const DeviceCopy& copy) {
  if (side == HostSide::kNone) return {};
  PinFinder pins(pinned_maps, device, maps);
  KeptPages rests;  // of ranges that were cut; in which order all go does not matter
  for (Page& range : ranges) {
    Page rest = range;
    bool is_first = true;
    while (!copy.was_stopped()) {
      const std::uint64_t address =
          side == HostSide::kSources ? rest.source : rest.target;
      const std::uint64_t size = std::min(pins.pin(address, rest.size), rest.size);
      if (is_first)
        range.size = size;
      else
        rests.push_back({rest.source, rest.target, size});
      is_first = false;
      if (size == rest.size) break;
      rest = {rest.source + size, rest.target + size, rest.size - size};
    }
  }
  ranges.insert(ranges.end(), rests.begin(), rests.end());
  return pins.take();
}

}  // namespace nixl_connect::paths::cuda
