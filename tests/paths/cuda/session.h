// SPDX-License-Identifier: Apache-2.0
//
// The driver with a context and a stream, as most tests need it.
#pragma once

#include <cstddef>
#include <vector>

#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda::testing {

// The stand-in, or that of the machine: each program has its own.
const Driver& driver_under_test();

// Of one device, whose context is current on this thread meanwhile.
class Session {
 public:
  explicit Session(CuDevice device = 0)
      : primary_(driver, device),
        current_(driver, primary_.get()),
        stream_(make_stream(driver)) {}

  CuContext context() const { return primary_.get(); }
  CuStream stream() const { return stream_.get(); }
  void finish() const {
    driver.check(functions.stream_synchronize(stream()), "waiting for a stream");
  }
  void fill(CuDevicePointer address, unsigned char value, std::size_t size) const {
    driver.check(functions.memset_async(address, value, size, stream()), "filling");
    finish();
  }
  std::vector<std::byte> read(CuDevicePointer address, std::size_t size) const {
    std::vector<std::byte> bytes(size);
    driver.check(functions.memcpy_dtoh_async(bytes.data(), address, size, stream()),
                 "reading");
    finish();
    return bytes;
  }
  void write(CuDevicePointer address, const std::vector<std::byte>& bytes) const {
    driver.check(
        functions.memcpy_htod_async(address, bytes.data(), bytes.size(), stream()),
        "writing");
    finish();
  }

  const Driver& driver = driver_under_test();
  const Functions& functions = driver.functions;

 private:
  PrimaryContext primary_;
  CurrentContext current_;
  Stream stream_;
};

inline std::vector<std::byte> bytes_of(unsigned char value, std::size_t size) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

}  // namespace nixl_connect::paths::cuda::testing
