// SPDX-License-Identifier: Apache-2.0
//
// What tests of operations in the order of streams have in common, by the stand-in for
// CUDA's driver.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/end_flag.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stream_points.h"
#include "runtime/buffers.h"
#include "runtime/readiness.h"
#include "support/child.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::testing {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;

inline ConnectorOptions with_gpus() {
  ConnectorOptions options = across_processes();
  options.cuda_driver = stand_in::file();
  return options;
}

// Memory of one GPU, and a stream there which can be held up.
class Gpu {
 public:
  static constexpr std::size_t kSize = 10'000;

  explicit Gpu(int device)
      : session_(device),
        memory_(paths::cuda::allocate(session_.driver, kSize)),
        device_(device) {
    fill_now(0);
  }

  Descriptor descriptor() const { return part(0, kSize); }
  // So many that they go by the kernel.
  std::vector<Descriptor> pages() const {
    std::vector<Descriptor> pages;
    for (std::size_t i = 0; i < 50; ++i) pages.push_back(part(i * 100, 90));
    return pages;
  }
  CudaStream stream() const { return {session_.stream()}; }
  OperationOptions ordered() const { return {.timeout = kSoon, .stream = stream()}; }

  // What the stream is given from now on is done after release().
  void hold() {
    flag_ = paths::cuda::EndFlag(session_.driver, device_);
    flag_.wait().put_on(session_.stream());
  }
  void release() { flag_.raise(); }

  // By the stream, when it comes to it.
  void fill(unsigned char value) const {
    EXPECT_EQ(
        session_.functions.memset_async(memory_.get(), value, kSize, session_.stream()),
        paths::cuda::kCuSuccess);
  }
  void copy_to(std::vector<std::byte>& bytes) {
    pinned_ = {};
    bytes.resize(kSize);
    // Otherwise the call would wait for the stream.
    pinned_ = paths::cuda::register_memory(session_.driver, bytes.data(), kSize);
    EXPECT_EQ(session_.functions.memcpy_dtoh_async(bytes.data(), memory_.get(), kSize,
                                                   session_.stream()),
              paths::cuda::kCuSuccess);
  }
  void finish_stream() const { session_.finish(); }
  bool is_stream_idle() const {
    return session_.functions.stream_query(session_.stream()) ==
           paths::cuda::kCuSuccess;
  }

  // At once.
  void fill_now(unsigned char value) const {
    Session(device_).fill(memory_.get(), value, kSize);
  }
  std::vector<std::byte> content() const {
    return Session(device_).read(memory_.get(), kSize);
  }

 private:
  Descriptor part(std::size_t offset, std::size_t size) const {
    return {reinterpret_cast<void*>(memory_.get() + offset), size,
            Device(DeviceKind::kCuda, device_)};
  }

  const Session session_;
  const paths::cuda::DeviceMemory memory_;
  const int device_;
  paths::cuda::EndFlag flag_;
  paths::cuda::RegisteredMemory pinned_;
};

class GpuOrder : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override {
    connector_.close();
    stand_in::reset();
  }

  RdmaMetadata ask(const std::string& order) {
    owner_.channel().send(order);
    return RdmaMetadata::from_json(owner_.channel().receive_text());
  }
  void release_owner() { owner_.channel().send("release"); }

  // The CUDA thread has asked for the event, and copied nothing.
  static void expect_waiting() {
    stand_in::wait_for_calls("cuEventQuery", stand_in::calls("cuEventQuery") + 3);
    EXPECT_EQ(stand_in::calls("cuMemcpyDtoDAsync"), 0U);
  }
  void expect_content(unsigned char value) const {
    EXPECT_EQ(gpu_.content(), bytes_of(value, Gpu::kSize));
  }

  Child owner_{"owner"};
  Gpu gpu_{1};
  Connector connector_{with_gpus()};
};

}  // namespace nixl_connect::testing
