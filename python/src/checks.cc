// SPDX-License-Identifier: Apache-2.0
//
// What an operation's arguments must fulfil, checked before anything is opened or
// registered for it. Throws ValueError. The library checks again; the order is the
// point.
#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "bindings.h"
#include "memory.h"
#include "remote.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

std::string name_of(std::size_t index, std::size_t count) {
  return count == 1 ? "the descriptor" : "descriptor " + std::to_string(index);
}

std::string counted(std::size_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string sized(std::size_t bytes) { return " (" + counted(bytes, "byte") + ")"; }

std::vector<Range> ranges_of(std::span<const Memory* const> memories) {
  std::vector<Range> all;
  for (const Memory* memory : memories)
    all.insert(all.end(), memory->ranges().begin(), memory->ranges().end());
  return all;
}

// What the user knows range `index` of them as.
std::string range_name(std::span<const Memory* const> memories, std::size_t index) {
  std::size_t descriptor = 0;
  while (index >= memories[descriptor]->ranges().size())
    index -= memories[descriptor++]->ranges().size();
  const std::string name = name_of(descriptor, memories.size());
  if (memories[descriptor]->ranges().size() == 1) return name;
  return "piece " + std::to_string(index) + " of " + name;
}

[[noreturn]] void refuse_overlap(const std::string& one, const std::string& other) {
  refuse(one + " and " + other +
         " overlap; a target names each of its bytes once, only a source may repeat");
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
    if (memory.address() == 0)
      refuse(name_of(i, memories.size()) + " has a null pointer or names no memory");
    if (is_target && memory.is_read_only())
      refuse(name_of(i, memories.size()) +
             " is read-only and cannot be the target of a transfer");
  }
  if (!is_target) return;
  const auto two =
      memories.size() == 1 ? memories[0]->overlap() : overlapping(ranges_of(memories));
  if (two)
    refuse_overlap(range_name(memories, two->first), range_name(memories, two->second));
}

void check_remote_target(const Remote& remote) {
  const auto two = remote.overlap();
  if (!two) return;
  const bool are_pages = remote.page_count() == remote.metadata().descriptors.size();
  const std::string noun = are_pages           ? "page "
                           : remote.is_paged() ? "piece "
                                               : "descriptor ";
  refuse_overlap(noun + std::to_string(two->first) + " of the metadata",
                 noun + std::to_string(two->second));
}

// Where as many ranges were given as are named: the first that differs.
std::string first_difference(std::span<const Range> theirs,
                             std::span<const Range> ours) {
  if (theirs.size() != ours.size() || ours.size() == 1) return {};
  for (std::size_t i = 0; i < ours.size(); ++i)
    if (theirs[i].size != ours[i].size)
      return "; number " + std::to_string(i) + " has " +
             counted(theirs[i].size, "byte") + " there and " +
             std::to_string(ours[i].size) + " here";
  return {};
}

std::size_t total(std::span<const Range> ranges) {
  std::size_t size = 0;
  for (const Range& range : ranges) size += range.size;
  return size;
}

[[noreturn]] void refuse_match(const Remote& remote,
                               std::span<const Memory* const> memories) {
  const std::vector<Range> theirs = remote.ranges();
  const std::vector<Range> ours = ranges_of(memories);
  std::string given = counted(memories.size(), "descriptor");
  if (ours.size() != memories.size()) given += " in " + counted(ours.size(), "piece");
  refuse("the metadata names " +
         (remote.is_paged() ? counted(remote.page_count(), "page")
                            : counted(theirs.size(), "descriptor")) +
         sized(total(theirs)) + ", but " + given + sized(total(ours)) +
         (memories.size() == 1 ? " was given" : " were given") +
         first_difference(theirs, ours) +
         ". Each local descriptor takes the next of those that have as many bytes: "
         "give an array of the same shape, Descriptor.pages(), a list, or slices such "
         "as descriptor[:size]; metadata.pages() names a part of the peer's memory");
}

void check_exposed(nb::handle memory, bool is_target) {
  check_local(memories_of(memory), is_target);
}

void check_matched(nb::handle memory, bool is_target, const Remote& remote) {
  const auto memories = memories_of(memory);
  check_local(memories, is_target);
  if (!is_target) check_remote_target(remote);
  if (!is_matched(remote, memories)) refuse_match(remote, memories);
}

}  // namespace

void bind_checks(nb::module_& module) {
  module.def("check_exposed", &check_exposed, "memory"_a, "is_target"_a);
  module.def("check_matched", &check_matched, "memory"_a, "is_target"_a, "remote"_a);
}

}  // namespace nixl_connect::python
