// SPDX-License-Identifier: Apache-2.0
//
// A piece of this process's memory that takes part in operations. A value: copying it
// copies an address, never the bytes. And memory made for operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "nixl_connect/device.h"

namespace nixl_connect {

class Descriptor {
 public:
  // `size` bytes at `address`, for reading and writing. `owner` keeps the memory alive:
  // every operation holds a copy of it until nothing can touch the memory any more.
  // Without an owner the caller keeps the memory valid until each operation that uses
  // it is terminal. With one, the registration of the memory stays cached between
  // operations while the owner lives, so pass the same owner for the same memory.
  // Memory that is not mapped, or read-only though bytes are to go there, is a fault of
  // this process by the paths that copy as memcpy does (local, host.map), an Error by
  // the others. A size of 0 is legal and moves nothing. Throws Error(kInvalidArgument)
  // if the range wraps around the address space.
  Descriptor(void* address, std::size_t size, Device device = {},
             std::shared_ptr<const void> owner = nullptr);

  // Memory that may be exposed for reading or be the source of a write, and is refused
  // as the target of either.
  static Descriptor read_only(const void* address, std::size_t size, Device device = {},
                              std::shared_ptr<const void> owner = nullptr);

  // The bytes [offset, offset + size) of this descriptor, with the same owner. Throws
  // Error(kInvalidArgument) if they reach outside it.
  Descriptor slice(std::size_t offset, std::size_t size) const;

  std::uintptr_t ptr() const noexcept { return address_; }
  std::size_t size() const noexcept { return size_; }
  const Device& device() const noexcept { return device_; }
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }
  bool is_read_only() const noexcept { return is_read_only_; }

 private:
  std::uintptr_t address_;
  std::size_t size_;
  Device device_;
  bool is_read_only_ = false;
  std::shared_ptr<const void> owner_;
};

// Zeroed memory that peers of the same host map, so that its bytes take the fastest
// path there is (host.map), whichever side reads or writes. Connector::allocate() gives
// it. A handle: copies are of the same memory, which goes with the last of them and the
// last operation on it. Children made by fork() share it. Costs a file descriptor.
class Allocation {
 public:
  std::byte* data() const noexcept { return bytes_.data(); }
  std::size_t size() const noexcept { return bytes_.size(); }
  std::span<std::byte> bytes() const noexcept { return bytes_; }

  // All of it, with itself as owner.
  Descriptor descriptor() const { return {data(), size(), {}, owner_}; }

 private:
  friend class Connector;
  Allocation(std::span<std::byte> bytes, std::shared_ptr<const void> owner) noexcept
      : bytes_(bytes), owner_(std::move(owner)) {}

  std::span<std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace nixl_connect
