// SPDX-License-Identifier: Apache-2.0
//
// Memory for tests: filled with a pattern, with guard bytes on both sides.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"

namespace nixl_connect::testing {

class Buffer {
 public:
  explicit Buffer(std::size_t size)
      : bytes_(
            std::make_shared<std::vector<std::uint8_t>>(size + 2 * kGuard, kGuardByte)),
        size_(size) {
    std::fill_n(data(), size, std::uint8_t{0});
  }
  Buffer(std::size_t size, std::uint32_t seed) : Buffer(size) {
    for (std::size_t i = 0; i < size; ++i) data()[i] = pattern(seed, i);
  }

  std::uint8_t* data() { return bytes_->data() + kGuard; }
  std::size_t size() const { return size_; }

  // Owned by this buffer's memory.
  Descriptor descriptor() { return {data(), size_, {}, bytes_}; }

  // `count` pieces of `size` bytes, never adjacent, in shuffled order.
  std::vector<Descriptor> scattered(std::size_t count, std::size_t size) {
    std::vector<Descriptor> pieces;
    for (std::size_t i = 0; i < count; ++i)
      pieces.push_back(descriptor().slice((i * 7919 % count) * (size + 1), size));
    return pieces;
  }

  void expect_pattern(std::uint32_t seed) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size_; ++i) wrong += data()[i] != pattern(seed, i);
    EXPECT_EQ(wrong, 0U) << "wrong bytes of " << size_;
  }
  void expect_untouched() {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size_; ++i) wrong += data()[i] != 0;
    EXPECT_EQ(wrong, 0U) << "touched bytes of " << size_;
  }
  void expect_guards() {
    for (std::size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ((*bytes_)[i], kGuardByte);
      ASSERT_EQ((*bytes_)[kGuard + size_ + i], kGuardByte);
    }
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr std::uint8_t kGuardByte = 0xA5;

  static std::uint8_t pattern(std::uint32_t seed, std::size_t i) {
    return static_cast<std::uint8_t>((i * 2654435761U + seed * 97U) >> 8 ^ i);
  }

  std::shared_ptr<std::vector<std::uint8_t>> bytes_;
  std::size_t size_;
};

// With every path, though the test may run where some are forbidden.
inline ConnectorOptions with_every_path() {
  ConnectorOptions options = ConnectorOptions::from_environment();
  options.forbid.clear();
  return options;
}

// The same, as if each Connector were in a process of its own.
inline ConnectorOptions across_processes() {
  ConnectorOptions options = with_every_path();
  options.forbid = {"local"};
  return options;
}

// The same, without CUDA.
inline ConnectorOptions without_gpus() {
  ConnectorOptions options = across_processes();
  options.cuda_driver = "/nowhere/libcuda.so.1";
  return options;
}

// As across_processes(), and for peers that are silent at the end it waits as long as
// this only.
constexpr std::chrono::milliseconds kShortDrain{20};

inline ConnectorOptions with_short_drain() {
  ConnectorOptions options = across_processes();
  options.drain_timeout = kShortDrain;
  return options;
}

// The kind of the Error that `call` throws; a test failure if it throws none.
template <typename Call>
ErrorKind kind_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kInternal;
}

// The text of that Error; "nothing" if it throws none.
template <typename Call>
std::string text_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

inline void expect_named(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

constexpr std::chrono::seconds kSoon{20};

// Fails the test instead of hanging it.
template <typename Operation>
OperationStatus finish(Operation& operation) {
  EXPECT_TRUE(operation.wait_for(kSoon)) << "still " << to_string(operation.status());
  return operation.status();
}

}  // namespace nixl_connect::testing
