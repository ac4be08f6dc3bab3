// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_memory.h"

#include <utility>

#include "base/exported_memory.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMostMaps = 256;

}  // namespace

RemoteMemory::Map RemoteMemory::map(std::uint32_t pid, const wire::Export& exported,
                                    base::SharedMemory::Access access) {
  const auto holds_all = [&](const base::SharedMemory& memory) {
    return memory.size() >= exported.size;  // or the metadata was changed
  };
  const Key key(exported.id, access);
  if (const auto found = maps_.find(key); found != maps_.end())
    return holds_all(*found->second) ? found->second : nullptr;
  auto memory = base::SharedMemory::of_process(
      pid, exported.fd, base::exported_name(exported.id).c_str(), access);
  if (!memory || !holds_all(*memory)) return nullptr;
  if (maps_.size() >= kMostMaps)
    std::erase_if(maps_, [](const auto& each) { return each.second.use_count() <= 1; });
  return maps_[key] = std::make_shared<base::SharedMemory>(*std::move(memory));
}

}  // namespace nixl_connect::runtime
