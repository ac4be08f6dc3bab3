// SPDX-License-Identifier: Apache-2.0
//
// Memory of this process that other processes of the host may map: each piece is a
// sealed memfd, whose name says which one it is. The process knows all that it has.
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fork.h"
#include "base/shared_memory.h"

namespace nixl_connect::base {

// The name of the memfd. Ids are random, below 2^63 and never 0: there are other things
// that peers ask for.
std::string exported_name(std::uint64_t id);

class ExportedMemory {
 public:
  // Zeroed, of at least `size` bytes, with huge pages if these are wanted and to be
  // had. Throws Error(kNoResources).
  static std::shared_ptr<ExportedMemory> make(std::size_t size, bool huge_pages);

  // Throws Error(kNoResources).
  ExportedMemory(std::size_t size, SharedMemory::PageSize page_size);
  ExportedMemory(const ExportedMemory&) = delete;
  ExportedMemory& operator=(const ExportedMemory&) = delete;
  // Gives the pages back to the system, though others may have them mapped: they see
  // zeros from then on. Huge pages go with the last map. In a forked child it only
  // takes down the map: the memory is the parent's.
  ~ExportedMemory();

  std::byte* data() const noexcept { return memory_.data(); }
  std::size_t size() const noexcept { return memory_.size(); }

  // Where the others find it.
  struct Place {
    std::uint64_t id = 0;
    std::uintptr_t address = 0;
    std::size_t size = 0;
    int fd = -1;
  };
  // The piece that holds these bytes, if one does.
  static std::optional<Place> find(std::uintptr_t address, std::size_t size);

  // Is told the ids of the pieces that go, from whatever threads; each call is quick
  // and uses nothing of this file. None is under way any more when the watch is
  // destroyed.
  class Watch {
   public:
    explicit Watch(std::function<void(std::uint64_t id)> goes);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    const std::uint64_t generation_ = fork_generation();
    const std::function<void(std::uint64_t id)> goes_;
  };

  // A descriptor of the piece's own file, for a peer. None (-1) if there is no such
  // piece, or no descriptor left.
  static UniqueFd file_of(std::uint64_t id);

 private:
  const std::uint64_t id_;
  const std::uint64_t generation_ = fork_generation();
  const bool may_give_back_;
  const SharedMemory memory_;
};

}  // namespace nixl_connect::base
