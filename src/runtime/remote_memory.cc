// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_memory.h"

#include <utility>

#include "base/exported_memory.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMostMaps = 256;

}  // namespace

RemoteMemory::Map RemoteMemory::map(std::uint32_t pid, const wire::Export& exported) {
  const auto holds_all = [&](const base::SharedMemory& memory) {
    return memory.size() >= exported.size;  // or the metadata was changed
  };
  if (const auto found = by_id_.find(exported.id); found != by_id_.end())
    return holds_all(*found->second) ? found->second : nullptr;
  auto memory = base::SharedMemory::of_process(pid, exported.fd,
                                               base::exported_name(exported.id).c_str(),
                                               base::SharedMemory::Access::kReadWrite);
  if (!memory || !holds_all(*memory)) return nullptr;
  if (by_id_.size() >= kMostMaps)
    std::erase_if(by_id_,
                  [](const auto& each) { return each.second.use_count() <= 1; });
  return by_id_[exported.id] = std::make_shared<base::SharedMemory>(*std::move(memory));
}

}  // namespace nixl_connect::runtime
