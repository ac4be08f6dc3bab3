// SPDX-License-Identifier: Apache-2.0
//
// Memory of the stand-in's GPUs as VMM gives it, for tests of Connectors, and the parts
// that child processes of their program play.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "support/child.h"

namespace nixl_connect::testing {

int mapper_role(const Channel& test);     // gpu_files_test.cc
int trickster_role(const Channel& test);  // gpu_hostile_files_test.cc

inline ConnectorOptions with_stand_in() {
  ConnectorOptions options = across_processes();
  options.cuda_driver = paths::cuda::stand_in::file();
  return options;
}

// Chunks that are mapped side by side, as those of torch's expandable segments, and can
// be exported as files. Their addresses stay.
class MappedMemory {
 public:
  static constexpr std::size_t kChunk = 2 << 20;

  MappedMemory(int device, std::size_t chunks,
               int handle_types = paths::cuda::kCuHandlePosixFd)
      : device_(device),
        chunks_(chunks),
        handle_types_(handle_types),
        session_(device) {
    session_.driver.check(
        session_.functions.mem_address_reserve(&start_, size(), 0, 0, 0), "reserving");
    map();
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  ~MappedMemory() {
    session_.functions.mem_unmap(start_, size());
    session_.functions.mem_address_free(start_, size());
  }

  // Other memory, under the same addresses.
  void renew() {
    session_.functions.mem_unmap(start_, size());
    map();
  }

  std::size_t size() const noexcept { return chunks_ * kChunk; }
  Descriptor at(std::size_t offset, std::size_t bytes) const {
    return {reinterpret_cast<void*>(start_ + offset), bytes,
            Device(DeviceKind::kCuda, device_)};
  }
  // Around each border between two chunks.
  std::vector<Descriptor> borders(std::size_t bytes) const {
    std::vector<Descriptor> all;
    for (std::size_t i = 1; i < chunks_; ++i)
      all.push_back(at(i * kChunk - bytes / 2, bytes));
    return all;
  }

  void fill(const Descriptor& where, unsigned char value) const {
    session_.fill(where.ptr(), value, where.size());
  }
  void expect(const Descriptor& where, unsigned char value) const {
    EXPECT_EQ(session_.read(where.ptr(), where.size()),
              paths::cuda::testing::bytes_of(value, where.size()));
  }

 private:
  void map() {
    const auto& functions = session_.functions;
    const paths::cuda::CuAllocationProperties properties{.handle_types = handle_types_,
                                                         .location = {.id = device_}};
    for (std::size_t i = 0; i < chunks_; ++i) {
      paths::cuda::CuAllocation made = 0;
      session_.driver.check(functions.mem_create(&made, kChunk, &properties, 0),
                            "making a chunk");
      session_.driver.check(functions.mem_map(start_ + i * kChunk, kChunk, 0, made, 0),
                            "mapping");
      functions.mem_release(made);
    }
    const paths::cuda::CuAccess access{.location = {.id = device_}};
    session_.driver.check(functions.mem_set_access(start_, size(), &access, 1),
                          "letting the GPU in");
  }

  const int device_;
  const std::size_t chunks_;
  const int handle_types_;
  const paths::cuda::testing::Session session_;
  paths::cuda::CuDevicePointer start_ = 0;
};

}  // namespace nixl_connect::testing
