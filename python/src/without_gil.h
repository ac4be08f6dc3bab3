// SPDX-License-Identifier: Apache-2.0
//
// Runs a scope without the GIL. Unlike nanobind's guard, it lets daemon threads come
// back while the interpreter ends: Python would end such a thread by unwinding its
// stack, which C++ answers by ending the process. So from leave_threads_behind() on
// they stay here.
#pragma once

#include <nanobind/nanobind.h>

namespace nixl_connect::python {

class WithoutGil {
 public:
  WithoutGil() noexcept;
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* const state_;
};

// At exit, on the thread that ends the interpreter, with the GIL. Returns when no other
// thread waits for the GIL in such a scope, or after two seconds. `are_any`: whether
// there are daemon threads.
void leave_threads_behind(bool are_any);

// In a forked child, which has no other threads.
void forget_threads() noexcept;

}  // namespace nixl_connect::python
