// SPDX-License-Identifier: Apache-2.0
#include "without_gil.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "bindings.h"

namespace nixl_connect::python {
namespace {

// Threads inside a scope that will ask for the GIL at its end.
std::atomic<int> outside{0};
std::atomic<bool> is_ending{false};
std::thread::id ending_thread;  // set before is_ending

PyThreadState* leave() noexcept {
  ++outside;  // while the GIL is held, so that leave_threads_behind() sees it
  return PyEval_SaveThread();
}

[[noreturn]] void stay() noexcept {
  --outside;
  while (true) ::pause();
}

}  // namespace

WithoutGil::WithoutGil() noexcept : state_(leave()) {}

WithoutGil::~WithoutGil() {
  if (is_ending && std::this_thread::get_id() != ending_thread) stay();
  PyEval_RestoreThread(state_);
  --outside;
}

void leave_threads_behind(bool are_any) {
  using Clock = std::chrono::steady_clock;
  // What their stacks hold is no leak.
  if (are_any) nanobind::set_leak_warnings(false);
  ending_thread = std::this_thread::get_id();
  is_ending = true;
  const auto end = Clock::now() + std::chrono::seconds(2);
  const WithoutGil release;
  // Itself is one of them. No other thread is left to give a signal: this polls, once.
  while (outside > 1 && Clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void forget_threads() noexcept {
  nanobind::set_leak_warnings(false);  // as above, of the parent's threads
  outside = 0;
}

void bind_threads(nanobind::module_& module) {
  module.def("leave_threads_behind", &leave_threads_behind, nanobind::arg("are_any"));
  module.def("forget_threads", &forget_threads);
}

}  // namespace nixl_connect::python
