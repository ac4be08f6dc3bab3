// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_sides.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/exported_memory.h"
#include "paths/cuda/device_copy.h"
#include "runtime/exports.h"
#include "runtime/peers.h"

namespace nixl_connect::runtime {

using base::ExportedMemory;
using base::SharedMemory;
using paths::cuda::CopyWork;
using paths::cuda::HostMap;

namespace {

std::optional<wire::Export> own_export(std::uint64_t address, std::uint64_t size) {
  const auto place = ExportedMemory::find(address, size);
  if (!place) return std::nullopt;
  return wire::Export{place->id, place->address, place->size,
                      static_cast<std::uint32_t>(place->fd)};
}

// From the addresses of exports, of which `find` gives the one that holds a range, to
// those of their maps, which `map` gives.
template <typename Find, typename Map>
bool map_each(CopyWork& work, const Find& find, const Map& map) {
  std::optional<wire::Export> exported;
  std::uint64_t shift = 0;
  for (paths::cuda::Page& range : work.ranges) {
    std::uint64_t& address =
        work.host_side == CopyWork::HostSide::kSources ? range.source : range.target;
    if (!exported || !exported->covers(address, range.size)) {
      exported = find(address, range.size);
      if (!exported) return false;
      auto& maps = work.host_maps;
      auto known = std::find_if(maps.begin(), maps.end(), [&](const HostMap& each) {
        return each.id == exported->id;
      });
      if (known == maps.end()) known = maps.insert(known, map(*exported));
      if (!known->memory) return false;
      shift =
          reinterpret_cast<std::uintptr_t>(known->memory->data()) - exported->address;
    }
    address += shift;
  }
  return true;
}

}  // namespace

bool is_allocated(std::span<const LocalRange> ranges) {
  std::optional<wire::Export> exported;
  return std::all_of(ranges.begin(), ranges.end(), [&](const LocalRange& each) {
    if (each.size() == 0 || (exported && exported->covers(each.ptr(), each.size())))
      return true;
    exported = own_export(each.ptr(), each.size());
    return exported.has_value();
  });
}

bool HostSides::map_of_peer(Peer& peer, const wire::Extension& extension,
                            CopyWork& work) {
  ExportFinder finder(extension.exports);
  return map_each(
      work,
      [&](std::uint64_t address, std::uint64_t size) -> std::optional<wire::Export> {
        const wire::Export* const found = finder.find(address, size);
        if (found == nullptr) return std::nullopt;
        return *found;
      },
      [&](const wire::Export& exported) -> HostMap {
        return {peer.memory.map(peer.pid(), exported, SharedMemory::Access::kReadWrite),
                peer.owner().value_or(extension.owner()), exported.id};
      });
}

bool HostSides::map_own(CopyWork& work) {
  return map_each(work, own_export, [&](const wire::Export& exported) -> HostMap {
    return {map_own(exported), {}, exported.id};
  });
}

HostSides::Map HostSides::map_own(const wire::Export& exported) {
  if (const auto found = own_.find(exported.id); found != own_.end())
    if (Map map = found->second.lock()) return map;
  auto memory = SharedMemory::of_fd(ExportedMemory::file_of(exported.id),
                                    base::exported_name(exported.id).c_str(),
                                    SharedMemory::Access::kReadWrite);
  if (!memory) return nullptr;
  std::erase_if(own_, [](const auto& each) { return each.second.expired(); });
  auto map = std::make_shared<const SharedMemory>(*std::move(memory));
  own_[exported.id] = map;
  return map;
}

}  // namespace nixl_connect::runtime
