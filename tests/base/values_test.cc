// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/error.h"
#include "nixl_connect/operation.h"

namespace nixl_connect {
namespace {

ErrorKind kind_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kInternal;
}

TEST(Device, ReadsEverySpellingThatUpstreamReads) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"cpu", "cpu"},      {"host", "cpu"},        {" CPU ", "cpu"},
      {"cpu:3", "cpu"},    {"cuda", "cuda:0"},     {"CUDA:3", "cuda:3"},
      {"gpu:1", "cuda:1"}, {"\txpu:2\n", "xpu:2"},
  };
  for (const auto& [text, expected] : cases)
    EXPECT_EQ(to_string(Device(text)), expected) << text;
}

TEST(Device, RefusesUnknownTextNamingIt) {
  for (const char* text : {"", "tpu", "cuda:x", "cuda:", "cuda:-1", "cuda:1x",
                           "cudafoo", "hosting", "cuda:99999999999"}) {
    try {
      const Device device{std::string_view(text)};
      ADD_FAILURE() << text << " gave " << to_string(device);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("\"" + std::string(text) + "\""),
                std::string::npos);
    }
  }
}

TEST(Device, ComparesByKindAndId) {
  EXPECT_EQ(Device("gpu:1"), Device(DeviceKind::kCuda, 1));
  EXPECT_NE(Device("cuda:1"), Device("cuda:2"));
  EXPECT_EQ(Device(DeviceKind::kHost, 7), Device());
  EXPECT_EQ(kind_of([] { (void)Device(DeviceKind::kUnspecified); }),
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of([] { (void)Device(DeviceKind::kCuda, -1); }),
            ErrorKind::kInvalidArgument);
}

TEST(Descriptor, SlicesInsideItsRangeAndNowhereElse) {
  std::vector<char> bytes(100);
  const auto owner = std::make_shared<int>(1);
  const Descriptor whole(bytes.data(), bytes.size(), {}, owner);
  const Descriptor part = whole.slice(10, 90);
  EXPECT_EQ(part.ptr(), whole.ptr() + 10);
  EXPECT_EQ(part.size(), 90U);
  EXPECT_EQ(part.owner(), owner);
  EXPECT_EQ(whole.slice(100, 0).size(), 0U);
  EXPECT_EQ(kind_of([&] { (void)whole.slice(10, 91); }), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of([&] { (void)whole.slice(101, 0); }), ErrorKind::kInvalidArgument);
  EXPECT_EQ(kind_of([&] { (void)whole.slice(1, SIZE_MAX); }),
            ErrorKind::kInvalidArgument);
}

TEST(Descriptor, RefusesARangeThatWrapsAround) {
  char byte = 0;
  EXPECT_EQ(kind_of([&] { (void)Descriptor(&byte, SIZE_MAX); }),
            ErrorKind::kInvalidArgument);
}

TEST(Descriptor, KeepsReadOnlyThroughSlices) {
  const char byte = 0;
  EXPECT_TRUE(Descriptor::read_only(&byte, 1).slice(0, 1).is_read_only());
}

TEST(Enumerations, PrintAsUpstreamPrintsThem) {
  EXPECT_EQ(to_string(OperationKind::kRead), "READ");
  EXPECT_EQ(to_string(OperationKind::kWrite), "WRITE");
  EXPECT_EQ(to_string(OperationKind::kUnspecified), "<invalid>");
  EXPECT_EQ(to_string(OperationStatus::kUninitialized), "<invalid>");
  EXPECT_EQ(to_string(OperationStatus::kInitialized), "INIT");
  EXPECT_EQ(to_string(OperationStatus::kInProgress), "PROC");
  EXPECT_EQ(to_string(OperationStatus::kComplete), "DONE");
  EXPECT_EQ(to_string(OperationStatus::kCancelled), "STOP");
  EXPECT_EQ(to_string(OperationStatus::kErrored), "ERR");
  EXPECT_EQ(to_string(ErrorKind::kTimedOut), "timed out");
}

TEST(OperationStatus, IsTerminalFromCompleteOn) {
  EXPECT_FALSE(is_terminal(OperationStatus::kUninitialized));
  EXPECT_FALSE(is_terminal(OperationStatus::kInProgress));
  EXPECT_TRUE(is_terminal(OperationStatus::kComplete));
  EXPECT_TRUE(is_terminal(OperationStatus::kCancelled));
  EXPECT_TRUE(is_terminal(OperationStatus::kErrored));
}

}  // namespace
}  // namespace nixl_connect
