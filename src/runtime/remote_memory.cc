// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_memory.h"

#include <utility>

#include "base/exported_memory.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMostMaps = 256;

// Not if the metadata was changed.
bool holds_all(const base::SharedMemory& memory, const wire::Export& exported) {
  return memory.size() >= exported.size;
}

}  // namespace

RemoteMemory::Map RemoteMemory::map(std::optional<std::uint32_t> pid,
                                    const wire::Export& exported, Access access) {
  const Key key(exported.id, access);
  if (const auto found = maps_.find(key); found != maps_.end()) {
    found->second.last_use = ++uses_;
    return holds_all(*found->second.map, exported) ? found->second.map : nullptr;
  }
  if (!pid) return nullptr;
  return keep(key, exported,
              base::SharedMemory::of_process(
                  *pid, exported.fd, base::exported_name(exported.id).c_str(), access));
}

RemoteMemory::Map RemoteMemory::add(const wire::Export& exported,
                                    const base::UniqueFd& file) {
  const auto add_for = [&](Access access) {
    return keep({exported.id, access}, exported,
                base::SharedMemory::of_fd(
                    file, base::exported_name(exported.id).c_str(), access));
  };
  Map map = add_for(Access::kReadWrite);
  return map && add_for(Access::kRead) ? map : nullptr;
}

RemoteMemory::Map RemoteMemory::keep(const Key& key, const wire::Export& exported,
                                     std::optional<base::SharedMemory> memory) {
  if (!memory || !holds_all(*memory, exported)) return nullptr;
  if (maps_.size() >= kMostMaps) drop_least_used();
  auto map = std::make_shared<base::SharedMemory>(*std::move(memory));
  maps_[key] = {map, ++uses_};
  return map;
}

// Of those that nobody uses now. If all are in use, there are more of them for a while.
void RemoteMemory::drop_least_used() {
  auto least = maps_.end();
  for (auto at = maps_.begin(); at != maps_.end(); ++at)
    if (at->second.map.use_count() == 1 &&
        (least == maps_.end() || at->second.last_use < least->second.last_use))
      least = at;
  if (least != maps_.end()) maps_.erase(least);
}

}  // namespace nixl_connect::runtime
