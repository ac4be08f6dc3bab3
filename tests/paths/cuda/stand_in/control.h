// SPDX-License-Identifier: Apache-2.0
//
// What a test can see and do of the stand-in driver of its own process: a library that
// answers as the CUDA driver does, for GPUs that are not there. Thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda::stand_in {

constexpr int kDevices = 2;

// The library itself, for open_driver().
const char* file();

// Ends what the functions below began, and sets the counters to zero.
void reset();

// How often a function of the driver was called, "cuMemAlloc".
unsigned calls(std::string_view function);

// Returns when it was called so often, by whatever threads.
void wait_for_calls(std::string_view function, unsigned count);

// The call of that function after `spared` others does nothing but to fail.
void fail(std::string_view function, CuResult result, unsigned spared = 0);

// The kernel that was launched last, and by how many blocks; none: "", 0.
struct Launch {
  std::string_view kernel;
  unsigned blocks = 0;
};
Launch last_launch();

// Until release_calls(), those who call that function wait in it.
void hold_calls(std::string_view function);
void release_calls();

// As a kernel that goes wrong does: all that uses the device's context fails from now
// on, and what waits in its streams is not done.
void poison(CuDevice device, CuResult result);

// Until release(), streams take work but do none.
void hold_streams();
void release_streams();

// Whether one device reaches the other, by kernels and what is imported; the copy
// engine does anyhow. They do, unless told otherwise.
void set_peers(bool can_reach);

// Whether the devices' events have handles for other processes; they do, unless told
// otherwise before the driver is asked.
void set_event_handles(bool are_there);

// Whether calls that load, allocate, register or open wait for each stream that waits
// for a word (cuStreamWaitValue32), as those of the driver may. They do not, unless
// told otherwise.
void set_calls_wait_for_streams(bool do_wait);

// As long as a stream is captured into a graph, calls that ask or allocate fail, and
// spoil that, on threads that have not said otherwise. False: one has.
void begin_capture();
bool end_capture();

// Memory as cudaMallocAsync has it, which cannot be exported. Freed by cuMemFree.
CuDevicePointer allocate_from_pool(CuDevice device, std::size_t size);

// How many copies from or to memory of the host found that not pinned.
unsigned pageable_copies();

// Memory of the devices that is allocated, mapped or imported; streams and events.
std::size_t mappings();
std::size_t objects();
// Memory of the host that is registered, in pieces.
std::size_t registrations();

}  // namespace nixl_connect::paths::cuda::stand_in
