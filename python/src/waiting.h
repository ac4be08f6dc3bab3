// SPDX-License-Identifier: Apache-2.0
//
// Blocking without the GIL, so that other threads run, and in slices, so that Ctrl-C
// gets through. Called with the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "without_gil.h"

namespace nixl_connect::python {

// Seconds as Python gives them; at most a century.
inline std::chrono::nanoseconds nanoseconds_of(double seconds) {
  const double bound = std::clamp(seconds, -3.2e9, 3.2e9);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(bound * 1e9));
}

// Calls `wait_for(slice)` until it gives true or `timeout` seconds (none: no bound)
// have passed. What a signal's Python handler raises goes on.
template <typename WaitFor>
bool wait_in_slices(std::optional<double> timeout, WaitFor&& wait_for) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::nanoseconds kSlice = std::chrono::milliseconds(100);
  const auto end =
      timeout ? std::optional(Clock::now() + nanoseconds_of(*timeout)) : std::nullopt;
  while (true) {
    const std::chrono::nanoseconds left = end ? *end - Clock::now() : kSlice;
    bool is_done = false;
    {
      const WithoutGil release;
      is_done = wait_for(std::clamp(left, std::chrono::nanoseconds(0), kSlice));
    }
    if (is_done) return true;
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
    if (left <= std::chrono::nanoseconds(0)) return false;
  }
}

}  // namespace nixl_connect::python
