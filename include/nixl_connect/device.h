// SPDX-License-Identifier: Apache-2.0
//
// Where bytes live: host memory or the memory of one accelerator, and the
// streams of work on it. Values.
#pragma once

#include <string>
#include <string_view>

namespace nixl_connect {

enum class DeviceKind { kUnspecified = 0, kHost = 1, kCuda = 2, kXpu = 3 };

// "cpu", "cuda", "xpu"; "<invalid>" for kUnspecified.
std::string_view to_string(DeviceKind kind) noexcept;

class Device {
 public:
  // Host memory.
  Device() = default;

  // Throws Error(kInvalidArgument) for kUnspecified and for a negative id. Host
  // memory has id 0 in the end, whichever is passed.
  explicit Device(DeviceKind kind, int id = 0);

  // Reads "cpu", "host", "cuda", "cuda:1", "gpu:1" or "xpu:2"; letter case and
  // surrounding blanks do not matter, a missing number means 0. Throws
  // Error(kInvalidArgument) for anything else.
  explicit Device(std::string_view text);

  DeviceKind kind() const noexcept { return kind_; }
  int id() const noexcept { return id_; }

  bool operator==(const Device&) const = default;

 private:
  DeviceKind kind_ = DeviceKind::kHost;
  int id_ = 0;
};

// A CUstream or cudaStream_t: CudaStream{stream}. Null and 1 are the legacy default
// stream, 2 is that of the calling thread.
struct CudaStream {
  void* handle = nullptr;
};

// "cpu", "cuda:N", "xpu:N": the form that travels in metadata.
std::string to_string(const Device& device);

}  // namespace nixl_connect
