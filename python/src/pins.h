// SPDX-License-Identifier: Apache-2.0
//
// References to the Python objects whose memory an operation uses. They can be given up
// on any thread: one without the GIL queues them, and the next thread that holds it
// (the interpreter's own pending calls, or the next call into the module) drops them.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

namespace nixl_connect::python {

class Pins {
 public:
  Pins() = default;
  Pins(Pins&& other) noexcept : objects_(std::move(other.objects_)) {
    other.objects_.clear();
  }
  Pins& operator=(Pins&&) = delete;
  // release_later().
  ~Pins();

  // With the GIL.
  void add(nanobind::handle object);
  void release() noexcept;
  const std::vector<PyObject*>& objects() const noexcept { return objects_; }

  // Without the GIL, on any thread.
  void release_later() noexcept;

 private:
  std::vector<PyObject*> objects_;
};

// Drops what was queued. With the GIL; costs one load when nothing is.
void release_due_pins() noexcept;

}  // namespace nixl_connect::python
