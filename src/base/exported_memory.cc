// SPDX-License-Identifier: Apache-2.0
#include "base/exported_memory.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/random.h"
#include "nixl_connect/error.h"

namespace nixl_connect::base {
namespace {

struct Known {
  std::atomic<std::size_t> count{0};  // so that who has none pays nothing
  std::mutex mutex;
  std::map<std::uintptr_t, ExportedMemory::Place> by_address;
  // With the fork generation of each: those of a parent may be gone.
  std::map<const std::function<void(std::uint64_t)>*, std::uint64_t> watches;
};

// Alive until the process ends, as memory may go very late.
Known& known() {
  static Known& instance = *new Known;
  return instance;
}

}  // namespace

std::string exported_name(std::uint64_t id) {
  Writer bytes;
  bytes.u64(id);
  return "nixl_connect_memory_" + to_hex(bytes.bytes());
}

std::shared_ptr<ExportedMemory> ExportedMemory::make(std::size_t size,
                                                     bool huge_pages) {
  constexpr std::size_t kHugePage = 2 << 20;
  const std::size_t rounded = (size + kHugePage - 1) / kHugePage * kHugePage;
  try {
    if (huge_pages && rounded >= size)
      return std::make_shared<ExportedMemory>(rounded, SharedMemory::PageSize::kHuge);
  } catch (const Error& error) {
    log_info(std::string(error.what()) + "; not enough huge pages, small ones do");
  }
  return std::make_shared<ExportedMemory>(size, SharedMemory::PageSize::kUsual);
}

ExportedMemory::ExportedMemory(std::size_t size, SharedMemory::PageSize page_size)
    : id_(random_u64() >> 1 | 1),
      may_give_back_(page_size == SharedMemory::PageSize::kUsual),
      memory_(exported_name(id_).c_str(), size, page_size) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  const std::lock_guard lock(known().mutex);
  known().by_address[address] = {id_, address, size, memory_.fd()};
  known().count = known().by_address.size();
}

ExportedMemory::~ExportedMemory() {
  if (generation_ != fork_generation()) return;
  {
    const std::lock_guard lock(known().mutex);
    known().by_address.erase(reinterpret_cast<std::uintptr_t>(memory_.data()));
    known().count = known().by_address.size();
    for (const auto& [goes, generation] : known().watches)
      if (generation == generation_) (*goes)(id_);
  }
  if (may_give_back_)
    ::fallocate(memory_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                static_cast<off_t>(memory_.size()));
}

std::optional<ExportedMemory::Place> ExportedMemory::find(std::uintptr_t address,
                                                          std::size_t size) {
  if (known().count == 0) return std::nullopt;
  const std::lock_guard lock(known().mutex);
  const auto after = known().by_address.upper_bound(address);
  if (after == known().by_address.begin()) return std::nullopt;
  const Place& place = std::prev(after)->second;
  const std::size_t offset = address - place.address;
  if (offset > place.size || size > place.size - offset) return std::nullopt;
  return place;
}

ExportedMemory::Watch::Watch(std::function<void(std::uint64_t)> goes)
    : goes_(std::move(goes)) {
  const std::lock_guard lock(known().mutex);
  known().watches.insert_or_assign(&goes_, generation_);
}

ExportedMemory::Watch::~Watch() {
  if (generation_ != fork_generation()) return;
  const std::lock_guard lock(known().mutex);
  known().watches.erase(&goes_);
}

// A copy, made while the piece cannot go: its number could mean another file next.
UniqueFd ExportedMemory::file_of(std::uint64_t id) {
  const std::lock_guard lock(known().mutex);
  const auto& pieces = known().by_address;
  const auto found = std::find_if(pieces.begin(), pieces.end(), [&](const auto& each) {
    return each.second.id == id;
  });
  if (found == pieces.end()) return {};
  return UniqueFd(::fcntl(found->second.fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace nixl_connect::base
