// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the wire formats share: captured vectors, random values from a
// seed, and a check for errors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "wire/control.h"
#include "wire/nixl_blob.h"
#include "wire/notification.h"

namespace nixl_connect::wire {

base::Bytes bytes_of(std::string_view text);

// The bytes in tests/data/nixl/<name>.hex; the file says what they are.
base::Bytes captured(const std::string& name);

// Expects `call` to throw an Error of this kind whose text contains `words`.
template <typename Call>
void expect_error(ErrorKind kind, std::string_view words, Call&& call) {
  try {
    call();
    ADD_FAILURE() << "no error; expected one with: " << words;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(words), std::string_view::npos)
        << "expected: " << words << "\nfound:    " << error.what();
  }
}

// Valid values, the same for the same seed.
class Samples {
 public:
  explicit Samples(std::uint64_t seed) : random_(seed) {}

  std::uint64_t number(std::uint64_t max = UINT64_MAX);
  base::Bytes bytes(std::size_t max_size);
  std::string text(std::size_t max_characters);  // UTF-8, quotes and controls included

  Extension extension();
  AgentMetadata agent();
  Notification notification();
  ControlMessage control();
  RdmaMetadata envelope();

 private:
  Region region();
  LeaseRecord lease();
  GpuExport gpu_export(bool has_handle);

  std::mt19937_64 random_;
};

}  // namespace nixl_connect::wire
