// SPDX-License-Identifier: Apache-2.0
#include "contract/gpu_memory.h"

#include <memory>

#include "nixl_connect/error.h"
#include "nixl_connect/options.h"
#include "paths/cuda/driver.h"

namespace nixl_connect::contract {

using paths::cuda::CurrentContext;

struct Gpu {
  Gpu(const paths::cuda::Driver& opened, int ordinal)
      : driver(opened), context(driver, ordinal) {
    const CurrentContext current(driver, context.get());
    stream = paths::cuda::make_stream(driver);
  }

  const paths::cuda::Driver& driver;
  const paths::cuda::PrimaryContext context;
  paths::cuda::Stream stream;
};

namespace {

const paths::cuda::Driver& driver() {
  const auto opened =
      paths::cuda::open_driver(ConnectorOptions::from_environment().cuda_driver);
  if (opened.driver == nullptr) throw Error(ErrorKind::kUnsupported, opened.why_not);
  return *opened.driver;
}

int last_ordinal() {
  int count = 0;
  driver().check(driver().functions.device_get_count(&count), "counting the GPUs");
  return count - 1;
}

// Never destroyed: memory of theirs may be given back at the very end.
const Gpu& gpu_for(MemoryKind kind) {
  static const Gpu& first = *new Gpu(driver(), 0);
  if (kind == MemoryKind::kFirstGpu || last_ordinal() == 0) return first;
  static const Gpu& other = *new Gpu(driver(), last_ordinal());
  return other;
}

// A call that gives the stream of a GPU something to do, and the wait for that.
template <typename Call>
void on_stream_of(const Gpu& gpu, const char* attempt, const Call& call) {
  const CurrentContext current(gpu.driver, gpu.context.get());
  const auto& functions = gpu.driver.functions;
  gpu.driver.check(call(functions, gpu.stream.get()), attempt);
  gpu.driver.check(functions.stream_synchronize(gpu.stream.get()), attempt);
}

}  // namespace

GpuMemory::GpuMemory(MemoryKind kind, std::size_t size)
    : gpu_(gpu_for(kind)), size_(size) {
  const CurrentContext current(gpu_.driver, gpu_.context.get());
  memory_ = paths::cuda::allocate(gpu_.driver, size);
}

GpuMemory::~GpuMemory() {
  const CurrentContext current(gpu_.driver, gpu_.context.get());
  memory_ = {};
}

std::span<std::byte> GpuMemory::bytes() const {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return {reinterpret_cast<std::byte*>(memory_.get()), size_};
}

Device GpuMemory::device() const {
  return Device(DeviceKind::kCuda, gpu_.context.device());
}

void GpuMemory::write(std::span<const std::byte> bytes) const {
  on_stream_of(gpu_, "writing to a GPU", [&](const auto& functions, auto stream) {
    return functions.memcpy_htod_async(memory_.get(), bytes.data(), size_, stream);
  });
}

void GpuMemory::fill(std::byte value) const {
  on_stream_of(
      gpu_, "filling memory of a GPU", [&](const auto& functions, auto stream) {
        return functions.memset_async(
            memory_.get(), std::to_integer<unsigned char>(value), size_, stream);
      });
}

std::vector<std::byte> GpuMemory::read() const {
  std::vector<std::byte> bytes(size_);
  on_stream_of(gpu_, "reading a GPU", [&](const auto& functions, auto stream) {
    return functions.memcpy_dtoh_async(bytes.data(), memory_.get(), size_, stream);
  });
  return bytes;
}

}  // namespace nixl_connect::contract
