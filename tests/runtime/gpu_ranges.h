// SPDX-License-Identifier: Apache-2.0
//
// Ranges of memory of the host and of GPUs of the stand-in, which the program has.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"

namespace nixl_connect::testing {

using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;

// kHost: of Connector::allocate(); kPlain: any other of the host. kPool: of a GPU, but
// no other process can open it.
enum class On { kGpu, kHost, kPlain, kPool };

inline On other(On on) { return on == On::kGpu ? On::kHost : On::kGpu; }
inline std::string name_of(On on) {
  constexpr const char* kNames[] = {"gpu", "host", "plain", "pool"};
  return kNames[static_cast<int>(on)];
}
inline On on_of(const std::string& name) {
  for (const On on : {On::kGpu, On::kHost, On::kPool})
    if (name == name_of(on)) return on;
  return On::kPlain;
}

struct Layout {
  std::size_t count;
  std::size_t largest;
};
// Few; many small ones; some that are large enough for the copy engine; more than one
// message holds; and more than one slot holds.
constexpr Layout kLayouts[] = {
    {2, 900}, {300, 1001}, {20, 300'000}, {2500, 67}, {25, 800'000}};

// Ranges that do not touch each other, of odd sizes and in odd places.
class Ranges {
 public:
  Ranges(On on, Layout layout, int device = 0)
      : on_(on), layout_(layout), device_(device) {
    if (on == On::kHost) {
      arena_ = Connector::allocate(size());
    } else if (on == On::kPlain) {
      plain_.resize(size());
    } else {
      session_ = std::make_unique<Session>(device);
      on_gpu_ = on == On::kGpu
                    ? paths::cuda::allocate(session_->driver, size())
                    : paths::cuda::DeviceMemory(
                          session_->driver,
                          paths::cuda::stand_in::allocate_from_pool(device, size()));
    }
    put(bytes_of(kRest, size()));
  }

  std::vector<Descriptor> descriptors() const {
    std::vector<Descriptor> result;
    for (std::size_t i = 0; i < layout_.count; ++i)
      result.push_back(descriptor(offset_of(i), size_of(i)));
    return result;
  }
  Descriptor descriptor(std::size_t offset, std::size_t size) const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<void*>(address() + offset), size,
            is_of_gpu() ? Device(DeviceKind::kCuda, device_) : Device()};
  }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < layout_.count; ++i) sum += size_of(i);
    return sum;
  }

  void fill(unsigned seed) const { put(content(seed)); }
  bool has(unsigned seed) const { return get() == content(seed); }

 private:
  static constexpr unsigned char kRest = 0xEE;

  bool is_of_gpu() const { return on_ == On::kGpu || on_ == On::kPool; }
  std::size_t stride() const { return layout_.largest + 9; }
  std::size_t size() const { return layout_.count * stride(); }
  std::size_t size_of(std::size_t i) const {
    return layout_.largest - i * 61 % std::min<std::size_t>(layout_.largest, 800);
  }
  // In another order and elsewhere on the other side.
  std::size_t offset_of(std::size_t i) const {
    if (on_ != On::kGpu) return i * stride() + i % 8;
    return (layout_.count - 1 - i) * stride() + i * 3 % 8;
  }
  std::byte* data() const {
    return on_ == On::kHost ? arena_->data() : const_cast<std::byte*>(plain_.data());
  }
  std::uintptr_t address() const {
    return is_of_gpu() ? on_gpu_.get() : reinterpret_cast<std::uintptr_t>(data());
  }

  // The ranges as they were filled, and nothing between them.
  std::vector<std::byte> content(unsigned seed) const {
    auto bytes = bytes_of(kRest, size());
    for (std::size_t i = 0; i < layout_.count; ++i)
      for (std::size_t j = 0; j < size_of(i); ++j)
        bytes[offset_of(i) + j] =
            static_cast<std::byte>(seed + i * 7 + j * 31 + j / 256);
    return bytes;
  }
  void put(const std::vector<std::byte>& bytes) const {
    if (is_of_gpu()) return session_->write(on_gpu_.get(), bytes);
    std::copy(bytes.begin(), bytes.end(), data());
  }
  std::vector<std::byte> get() const {
    if (is_of_gpu()) return session_->read(on_gpu_.get(), size());
    return {data(), data() + size()};
  }

  const On on_;
  const Layout layout_;
  const int device_;
  std::unique_ptr<Session> session_;
  paths::cuda::DeviceMemory on_gpu_;
  std::optional<Allocation> arena_;
  std::vector<std::byte> plain_;
};

}  // namespace nixl_connect::testing
