// SPDX-License-Identifier: Apache-2.0
#include "gpu/gpu.h"

#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect::paths::cuda::testing {
namespace {

const Functions& functions() { return Machine::instance().driver.functions; }

void check(CuResult result, const char* attempt) {
  Machine::instance().driver.check(result, attempt);
}

CuStream first_stream() { return Machine::instance().gpus[0]->stream.get(); }

void let_reach(const Driver& driver, const Gpu& gpu, const Gpu& peer) {
  const CurrentContext current(driver, gpu.context.get());
  driver.check(driver.functions.context_enable_peer_access(peer.context.get(), 0),
               "letting one GPU reach the other");
}

}  // namespace

Gpu::Gpu(const Driver& driver, const DeviceFacts& device)
    : facts(device), context(driver, device.device) {
  const CurrentContext current(driver, context.get());
  stream = make_stream(driver);
  if (has_page_kernel())
    kernel = std::make_unique<PageKernel>(driver, facts, page_kernel_image());
}

std::string Machine::why_not() { return open_driver("").why_not; }

const Machine& Machine::instance() {
  // Never destroyed: the driver may be gone by then.
  static const Machine& machine = *new Machine(*open_driver("").driver);
  return machine;
}

Machine::Machine(const Driver& opened) : driver(opened) {
  const auto devices = find_devices(driver);
  gpus.push_back(std::make_unique<Gpu>(driver, devices[0]));
  const bool are_peers =
      devices.size() > 1 && can_reach(driver, 0, 1) && can_reach(driver, 1, 0);
  if (are_peers) {
    gpus.push_back(std::make_unique<Gpu>(driver, devices[1]));
    let_reach(driver, *gpus[0], *gpus[1]);
    let_reach(driver, *gpus[1], *gpus[0]);
  }
  driver.check(driver.functions.context_push(gpus[0]->context.get()),
               "making the first GPU current");
}

std::vector<Route> routes() {
  std::vector<Route> routes{{"same GPU", 0, 0}};
  if (Machine::instance().gpus.size() > 1) {
    routes.push_back({"pull", 1, 0});
    routes.push_back({"push", 0, 1});
  }
  return routes;
}

DeviceMemory allocate_on(std::size_t gpu, std::size_t size) {
  const Machine& machine = Machine::instance();
  const CurrentContext current(machine.driver, machine.gpus.at(gpu)->context.get());
  return allocate(machine.driver, size);
}

void write(CuDevicePointer to, const std::vector<std::byte>& bytes) {
  check(functions().memcpy_htod_async(to, bytes.data(), bytes.size(), first_stream()),
        "writing");
  finish();
}

std::vector<std::byte> read(CuDevicePointer from, std::size_t size) {
  std::vector<std::byte> bytes(size);
  check(functions().memcpy_dtoh_async(bytes.data(), from, size, first_stream()),
        "reading");
  finish();
  return bytes;
}

void fill(CuDevicePointer to, unsigned char value, std::size_t size) {
  check(functions().memset_async(to, value, size, first_stream()), "filling");
  finish();
}

void finish() { check(functions().stream_synchronize(first_stream()), "waiting"); }

}  // namespace nixl_connect::paths::cuda::testing
