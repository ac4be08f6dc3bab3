// SPDX-License-Identifier: Apache-2.0
#include "operation_object.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "completion_queue.h"
#include "nixl_connect/error.h"
#include "plan.h"
#include "remote.h"
#include "waiting.h"
#include "without_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

int status(OperationObject& self) {
  return static_cast<int>(self.operation().status());
}

// How the operation failed is told by failure().
bool wait(OperationObject& self, std::optional<double> timeout) {
  Operation& operation = self.operation();
  if (is_terminal(operation.status())) return true;
  return wait_in_slices(timeout, [&operation](std::chrono::nanoseconds slice) {
    try {
      return operation.wait_for(slice);
    } catch (const Error&) {
      if (!is_terminal(operation.status())) throw;
      return true;
    }
  });
}

std::optional<std::tuple<int, std::string>> failure(OperationObject& self) {
  if (self.operation().status() != OperationStatus::kErrored) return std::nullopt;
  try {
    self.operation().wait();
  } catch (const Error& error) {
    return std::tuple(static_cast<int>(error.kind()), std::string(error.what()));
  }
  return std::nullopt;
}

// The same for the memory.
bool wait_quiet(OperationObject& self, std::optional<double> timeout) {
  Operation& operation = self.operation();
  if (operation.is_quiet()) return true;
  auto quiet = std::make_shared<std::promise<void>>();
  try {
    operation.on_quiet([quiet](OperationStatus) { quiet->set_value(); });
  } catch (const Error&) {
    if (!operation.is_quiet()) throw;
    return true;
  }
  return wait_in_slices(timeout,
                        [future = quiet->get_future()](std::chrono::nanoseconds slice) {
                          return future.wait_for(slice) == std::future_status::ready;
                        });
}

void wait_on(OperationObject& self, std::uintptr_t stream) {
  const WithoutGil release;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  self.operation().wait_on(CudaStream{reinterpret_cast<void*>(stream)});
}

// What can be waited for, as _completion.py numbers it.
enum class When { kTerminal, kQuiet, kRevoked };

bool has_come(OperationObject& self, When when) {
  switch (when) {
    case When::kTerminal:
      return is_terminal(self.operation().status());
    case When::kQuiet:
      return self.operation().is_quiet();
    case When::kRevoked:
      break;
  }
  return self.view().is_revoked() || self.view().is_quiet();
}

// Pushes `token` to the queue when the operation is terminal, its memory quiet, or the
// view revoked or ended. False: it is already.
bool notify(OperationObject& self, const SharedQueue& shared, std::uint64_t token,
            int number) {
  const auto when = static_cast<When>(number);
  if (has_come(self, when)) return false;
  auto push = [queue = shared.queue, token](OperationStatus) { queue->push(token); };
  try {
    if (when == When::kTerminal)
      self.operation().on_complete(std::move(push), CallOn::kAnyThread);
    else if (when == When::kQuiet)
      self.operation().on_quiet(std::move(push));
    else
      self.view().on_revoked(std::move(push));
    return true;
  } catch (const Error&) {
    if (!has_come(self, when)) throw;
    return false;
  }
}

using ViewedBytes = nb::ndarray<nb::memview, const std::uint8_t, nb::ndim<1>>;

// Keeps the operation, and with it the view open, for as long as it lives.
nb::object viewed_bytes(nb::handle_t<OperationObject> self, std::size_t index) {
  const auto bytes = nb::cast<OperationObject&>(self).view().bytes(index);
  if (bytes.empty()) return nb::steal(PyMemoryView_FromObject(nb::bytes("").ptr()));
  return nb::cast(ViewedBytes(bytes.data(), {bytes.size()}, self));
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self))
    for (PyObject* object : nb::inst_ptr<OperationObject>(self)->pins().objects())
      Py_VISIT(object);
  return 0;
}

int clear(PyObject* self) {
  nb::inst_ptr<OperationObject>(self)->let_go();
  return 0;
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {0, nullptr}};

}  // namespace

void OperationObject::let_go() noexcept {
  if (pins_.objects().empty()) return;
  if (!operation().is_quiet()) {
    try {
      operation().cancel();
      auto pins = std::make_shared<Pins>(std::move(pins_));
      operation().on_quiet([pins](OperationStatus) { pins->release_later(); });
      return;
    } catch (const std::exception&) {
      // Over by now and its Connector closed, or in a forked child, whose memory the
      // operation never touches: the callback that was refused has queued the pins.
      return;
    }
  }
  pins_.release();
}

void bind_operation(nb::module_& module) {
  nb::class_<OperationObject>(module, "Operation", nb::type_slots(slots))
      .def_prop_ro("status", &status)
      .def_prop_ro(
          "is_terminal",
          [](OperationObject& self) { return is_terminal(self.operation().status()); })
      .def_prop_ro(
          "notification_key",
          [](OperationObject& self) { return self.operation().notification_key(); })
      .def_prop_ro(
          "bytes_transferred",
          [](OperationObject& self) { return self.operation().bytes_transferred(); })
      .def_prop_ro("path",
                   [](OperationObject& self) { return self.operation().path(); })
      .def_prop_ro("remote",
                   [](OperationObject& self) { return self.active().remote(); })
      .def_prop_ro("is_quiet",
                   [](OperationObject& self) { return self.operation().is_quiet(); })
      .def_prop_ro("is_revoked",
                   [](OperationObject& self) { return self.view().is_revoked(); })
      .def_prop_ro("viewed_count",
                   [](OperationObject& self) { return self.view().count(); })
      .def("viewed_bytes", &viewed_bytes, "index"_a)
      .def("cancel", [](OperationObject& self) { self.operation().cancel(); })
      .def("explain",
           [](OperationObject& self) { return plain(self.operation().explain()); })
      .def("failure", &failure)
      .def("wait", &wait, "timeout"_a.none())
      .def("wait_quiet", &wait_quiet, "timeout"_a.none())
      .def("wait_on", &wait_on, "stream"_a)
      .def("notify", &notify, "queue"_a, "token"_a, "when"_a = 0)
      .def(
          "metadata",
          [](OperationObject& self, bool hex_encode) {
            const auto take = [&] {
              const WithoutGil release;
              return self.passive().metadata(hex_encode);
            };
            return Remote(take());
          },
          "hex_encode"_a);
}

}  // namespace nixl_connect::python
