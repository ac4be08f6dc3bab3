// SPDX-License-Identifier: Apache-2.0
//
// What an operation's arguments must fulfil, checked before anything is opened or
// registered for it. Throws ValueError. The library checks again; the order is the
// point.
#include <nanobind/nanobind.h>

#include <string>

#include "bindings.h"
#include "memories.h"
#include "remote.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw nb::value_error(text.c_str());
}

std::string name_of(std::size_t index, std::size_t count) {
  return count == 1 ? "the descriptor" : "descriptor " + std::to_string(index);
}

void check_local(std::span<const Memory* const> memories, bool is_target) {
  if (memories.empty()) refuse("an operation needs at least one descriptor");
  for (std::size_t i = 0; i < memories.size(); ++i) {
    const Memory& memory = *memories[i];
    if (memory.device().kind() != memories[0]->device().kind())
      refuse("descriptor " + std::to_string(i) + " is of device kind " +
             std::string(to_string(memory.device().kind())) + ", descriptor 0 of " +
             std::string(to_string(memories[0]->device().kind())) +
             "; one operation takes one kind, so make an operation for each");
    if (memory.ranges().empty() || memory.ranges()[0].address == 0)
      refuse(name_of(i, memories.size()) + " has a null pointer or names no memory");
    if (is_target && memory.is_read_only())
      refuse(name_of(i, memories.size()) +
             " is read-only and cannot be the target of a transfer");
  }
}

[[noreturn]] void refuse_match(const Remote& remote,
                               std::span<const Memory* const> memories) {
  const auto& descriptors = remote.metadata().descriptors;
  if (descriptors.size() != memories.size())
    refuse("the metadata names " + std::to_string(descriptors.size()) +
           " descriptors, but " + std::to_string(memories.size()) +
           " local ones were given; they must match one to one");
  for (std::size_t i = 0; i < memories.size(); ++i)
    if (descriptors[i].size != memories[i]->size())
      refuse(name_of(i, memories.size()) + " has " +
             std::to_string(memories[i]->size()) + " bytes here and " +
             std::to_string(descriptors[i].size) +
             " at the peer; cut it, as by descriptor[:size], to make them equal");
  refuse("the ranges of the descriptors do not match");
}

void check_exposed(nb::handle memory, bool is_target) {
  check_local(memories_of(memory), is_target);
}

void check_matched(nb::handle memory, bool is_target, const Remote& remote) {
  const auto memories = memories_of(memory);
  check_local(memories, is_target);
  if (!is_matched(remote, memories)) refuse_match(remote, memories);
}

}  // namespace

void bind_checks(nb::module_& module) {
  module.def("check_exposed", &check_exposed, "memory"_a, "is_target"_a);
  module.def("check_matched", &check_matched, "memory"_a, "is_target"_a, "remote"_a);
}

}  // namespace nixl_connect::python
