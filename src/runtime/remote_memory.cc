// SPDX-License-Identifier: Apache-2.0
#include "runtime/remote_memory.h"

#include <utility>

#include "base/exported_memory.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::size_t kMostMaps = 256;

}  // namespace

RemoteMemory::Map RemoteMemory::map(std::uint32_t pid, const wire::Export& exported) {
  if (const auto found = by_id_.find(exported.id); found != by_id_.end())
    return found->second;
  if (by_id_.size() >= kMostMaps)
    std::erase_if(by_id_,
                  [](const auto& each) { return each.second.use_count() <= 1; });
  auto memory = base::SharedMemory::of_process(pid, exported.fd,
                                               base::exported_name(exported.id).c_str(),
                                               base::SharedMemory::Access::kReadWrite);
  if (memory && memory->size() < exported.size) memory.reset();
  Map map = memory ? std::make_shared<base::SharedMemory>(*std::move(memory)) : nullptr;
  by_id_[exported.id] = map;
  return map;
}

}  // namespace nixl_connect::runtime
