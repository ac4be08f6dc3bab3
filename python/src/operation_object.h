// SPDX-License-Identifier: Apache-2.0
//
// An operation as Python holds it: the library's operation and the pins of its memory.
// Dropping one that still runs cancels it, does not block, and leaves the pins to its
// end.
#pragma once

#include <variant>

#include "nixl_connect/operation.h"
#include "pins.h"

namespace nixl_connect::python {

class OperationObject {
 public:
  using Held = std::variant<PassiveOperation, ActiveOperation, ViewOperation>;

  OperationObject(Held held, Pins pins)
      : held_(std::move(held)), pins_(std::move(pins)) {}
  OperationObject(OperationObject&&) noexcept = default;
  ~OperationObject() { let_go(); }

  Operation& operation() noexcept {
    return std::visit([](auto& held) -> Operation& { return held; }, held_);
  }
  PassiveOperation& passive() { return std::get<PassiveOperation>(held_); }
  ActiveOperation& active() {
    if (auto* const view = std::get_if<ViewOperation>(&held_)) return *view;
    return std::get<ActiveOperation>(held_);
  }
  ViewOperation& view() { return std::get<ViewOperation>(held_); }
  const Pins& pins() const noexcept { return pins_; }

  // Gives the pins up: now if the memory is quiet, else cancels the operation and gives
  // them up when it is. With the GIL.
  void let_go() noexcept;

 private:
  Held held_;
  Pins pins_;
};

}  // namespace nixl_connect::python
