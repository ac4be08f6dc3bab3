// SPDX-License-Identifier: Apache-2.0
//
// The measurements of operation_bench. Each starts its own second process, prints what
// it found beside the goal, and throws what keeps it from the end.
#pragma once

#include <cstddef>

namespace nixl_connect::bench {

struct ScatteredOptions {
  std::size_t count = 4096;
  std::size_t size = 4096;  // bytes of one descriptor
  bool is_apart = false;    // each descriptor is registered by itself
  unsigned rounds = 15;
};

// One read of many small pieces of memory: the time of each phase.
void measure_scattered(const ScatteredOptions& options);

struct IdleOptions {
  double seconds = 10;
};

// Processor time that two connected processes use while one waits for the other.
void measure_idle(const IdleOptions& options);

struct StartupOptions {
  unsigned rounds = 15;
};

// From nothing to the end of the first read, in processes that have just been started.
void measure_startup(const StartupOptions& options);

// The process that measure_startup() starts for the first read. Returns its exit
// status.
int run_first_reader();

}  // namespace nixl_connect::bench
