// SPDX-License-Identifier: Apache-2.0
//
// The queue of references to drop is a lock-free stack: pushed to by the library's
// threads, taken as a whole under the GIL. A lock could be left locked by fork().
#include "pins.h"

#include <atomic>
#include <utility>

#include "bindings.h"

namespace nb = nanobind;

namespace nixl_connect::python {
namespace {

struct Bundle {
  std::vector<PyObject*> objects;
  Bundle* next = nullptr;
};

std::atomic<Bundle*> due{nullptr};

int release_due_when_pending(void* /*unused*/) {
  release_due_pins();
  return 0;
}

void drop(const std::vector<PyObject*>& objects) noexcept {
  for (PyObject* object : objects) Py_DECREF(object);
}

}  // namespace

Pins::~Pins() { release_later(); }

void Pins::add(nb::handle object) {
  if (object.is_none() || (!objects_.empty() && objects_.back() == object.ptr()))
    return;
  objects_.push_back(object.ptr());
  object.inc_ref();
}

void Pins::release() noexcept {
  // Dropping runs arbitrary code, which may come back here.
  const std::vector<PyObject*> objects = std::exchange(objects_, {});
  drop(objects);
}

void Pins::release_later() noexcept {
  if (objects_.empty()) return;
  auto* bundle = new Bundle{std::exchange(objects_, {})};
  bundle->next = due.load(std::memory_order_relaxed);
  while (!due.compare_exchange_weak(bundle->next, bundle, std::memory_order_release)) {
  }
  // When this is refused, as many calls are pending already, the next call of the
  // module does it.
  if (bundle->next == nullptr) Py_AddPendingCall(release_due_when_pending, nullptr);
}

void release_due_pins() noexcept {
  if (due.load(std::memory_order_relaxed) == nullptr) return;
  Bundle* bundle = due.exchange(nullptr, std::memory_order_acquire);
  while (bundle != nullptr) {
    const Bundle* done = bundle;
    drop(done->objects);
    bundle = done->next;
    delete done;
  }
}

void bind_pins(nb::module_& module) {
  module.def("release_due", &release_due_pins,
             "Drops the references that ended operations have left behind.");
}

}  // namespace nixl_connect::python
