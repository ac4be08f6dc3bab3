// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/imports.h"

#include <iterator>

namespace nixl_connect::paths::cuda {
namespace {

// Whether some address is in both, as different memory.
bool contradict(const std::vector<MemoryChunk>& some,
                const std::vector<MemoryChunk>& others) {
  for (const MemoryChunk& chunk : some)
    for (const MemoryChunk& other : others)
      if (chunk.buffer_id != other.buffer_id &&
          chunk.start < other.start + other.size &&
          other.start < chunk.start + chunk.size)
        return true;
  return false;
}

}  // namespace

Imports::Key Imports::key_of(const ForeignMemory& memory) {
  Key key{memory.owner, {}};
  key.buffer_ids.reserve(memory.chunks.size());
  for (const MemoryChunk& chunk : memory.chunks)
    key.buffer_ids.push_back(chunk.buffer_id);
  return key;
}

// Alive for as long as anybody has it.
std::shared_ptr<Imports> Imports::of_process(const Driver& driver, CuDevice device) {
  struct Known {
    std::mutex mutex;
    std::map<std::pair<const Driver*, CuDevice>, std::weak_ptr<Imports>> imports;
  };
  static Known& known = *new Known;
  const std::lock_guard lock(known.mutex);
  std::weak_ptr<Imports>& found = known.imports[{&driver, device}];
  std::shared_ptr<Imports> imports = found.lock();
  if (imports == nullptr) {
    imports = std::make_shared<Imports>(driver, device);
    found = imports;
  }
  return imports;
}

std::size_t Imports::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

Imports::Mapping Imports::find(const ForeignMemory& memory) {
  const std::lock_guard lock(mutex_);
  return find_locked(memory);
}

Imports::Mapping Imports::find_locked(const ForeignMemory& memory) {
  const auto found = kept_.find(key_of(memory));
  if (found == kept_.end()) return nullptr;
  uses_.splice(uses_.begin(), uses_, found->second.use);
  return found->second.mapping;
}

Imports::Mapping Imports::open(const ForeignMemory& memory,
                               std::span<const base::UniqueFd> files) {
  const std::lock_guard lock(mutex_);
  if (Mapping mapping = find_locked(memory)) return mapping;
  drop_what_was_at(memory);
  Mapping mapping = ForeignMapping::open(driver_, device_, memory, files);
  Key key = key_of(memory);
  uses_.push_front(key);
  kept_.insert_or_assign(std::move(key), Kept{mapping, memory.chunks, uses_.begin()});
  while (kept_.size() > most_kept_) erase(kept_.find(uses_.back()));
  return mapping;
}

void Imports::drop(const Instance& owner) {
  const std::lock_guard lock(mutex_);
  auto kept = kept_.lower_bound({owner, {}});
  while (kept != kept_.end() && kept->first.owner == owner) erase(kept++);
}

void Imports::drop_what_was_at(const ForeignMemory& memory) {
  auto kept = kept_.lower_bound({memory.owner, {}});
  while (kept != kept_.end() && kept->first.owner == memory.owner) {
    const auto next = std::next(kept);
    if (contradict(kept->second.chunks, memory.chunks)) erase(kept);
    kept = next;
  }
}

void Imports::erase(std::map<Key, Kept>::iterator kept) {
  uses_.erase(kept->second.use);
  kept_.erase(kept);
}

}  // namespace nixl_connect::paths::cuda
