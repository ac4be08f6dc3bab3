// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/handles.h"

#include <string>

namespace nixl_connect::paths::cuda {

PrimaryContext::PrimaryContext(const Driver& driver, CuDevice device) {
  driver.check(driver.functions.primary_context_retain(&context_, device),
               "making the CUDA context of GPU " + std::to_string(device));
  handle_ = {driver, device};
}

CurrentContext::CurrentContext(const Driver& driver, CuContext context)
    : driver_(driver), beside_captures_(driver) {
  driver.check(driver.functions.context_push(context), "making a CUDA context current");
}

CurrentContext::~CurrentContext() {
  CuContext own = nullptr;
  driver_.functions.context_pop(&own);
}

BesideCaptures::BesideCaptures(const Driver& driver) noexcept
    : driver_(driver), before_(kCuCaptureRelaxed) {
  driver_.functions.thread_exchange_capture_mode(&before_);
}

BesideCaptures::~BesideCaptures() {
  driver_.functions.thread_exchange_capture_mode(&before_);
}

Stream make_stream(const Driver& driver) {
  CuStream stream = nullptr;
  driver.check(driver.functions.stream_create(&stream, kCuStreamNonBlocking),
               "making a CUDA stream");
  return {driver, stream};
}

Event make_event(const Driver& driver, EventReach reach) {
  unsigned flags = kCuEventDisableTiming;
  if (reach == EventReach::kAllProcesses) flags |= kCuEventInterprocess;
  CuEvent event = nullptr;
  driver.check(driver.functions.event_create(&event, flags), "making a CUDA event");
  return {driver, event};
}

Event open_event(const Driver& driver, const CuIpcHandle& handle) {
  CuEvent event = nullptr;
  driver.check(driver.functions.ipc_open_event_handle(&event, handle),
               "opening a CUDA event of another process");
  return {driver, event};
}

DeviceMemory allocate(const Driver& driver, std::size_t size) {
  CuDevicePointer address = 0;
  driver.check(driver.functions.mem_alloc(&address, size), "allocating GPU memory");
  return {driver, address};
}

RegisteredMemory register_memory(const Driver& driver, void* address,
                                 std::size_t size) {
  constexpr unsigned kFlags = kCuHostRegisterPortable | kCuHostRegisterDeviceMap;
  driver.check(driver.functions.mem_host_register(address, size, kFlags),
               "pinning memory for the GPU");
  return {driver, address};
}

}  // namespace nixl_connect::paths::cuda
