// SPDX-License-Identifier: Apache-2.0
//
// Where bytes live: host memory or the memory of one accelerator; the streams of work
// on it, and which of NVIDIA's GPUs there are. Values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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

struct GpuFacts {
  int number = 0;              // of "cuda:N"; other processes may count differently
  std::string name;            // "NVIDIA H200"
  std::string uuid;            // "GPU-5f0e...", the same in all processes
  std::string pci_id;          // "0000:8d:00.0"
  int compute_capability = 0;  // 90: 9.0
  int multiprocessors = 0;
  std::vector<int> reaches;        // other GPUs, of whose memory it can copy
  bool exports_files = false;      // memory that was mapped (cuMemMap), by descriptors
  bool has_event_handles = false;  // events that other processes can wait for
  bool runs_kernel = false;        // for pages, as far as this library has it
};

struct GpuReport {
  std::string driver_file;
  int driver_version = 0;     // of CUDA: 13000 is 13.0
  std::string why_no_driver;  // "no CUDA driver: ..."; empty if there is one to use
  std::vector<GpuFacts> gpus;
  // Compute capabilities that the page kernel is compiled for; GPUs newer than the last
  // compile it themselves. None: why_no_kernel says why.
  std::vector<int> kernel_for;
  std::string why_no_kernel;
};

// For diagnosis. `cuda_driver` as ConnectorOptions has it. Opens the driver, which may
// take a second, and makes no context. Throws Error if the driver fails later. Any
// thread.
GpuReport report_gpus(const std::string& cuda_driver = {});

}  // namespace nixl_connect
