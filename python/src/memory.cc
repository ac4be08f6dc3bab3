// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <utility>

#include "bindings.h"
#include "indices.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

Memory make(nb::object pin, const Owner* owner, std::uintptr_t address,
            std::size_t size, int kind, int device_id, bool is_read_only) {
  return {std::move(pin),
          owner,
          {Range{address, size}},
          Device(static_cast<DeviceKind>(kind), device_id),
          is_read_only};
}

Memory make_strided(nb::object pin, const Owner* owner, std::uintptr_t address,
                    std::size_t item_bytes, const std::vector<std::int64_t>& shape,
                    const std::vector<std::int64_t>& strides, int kind, int device_id,
                    bool is_read_only) {
  return {std::move(pin), owner, strided_ranges(address, item_bytes, shape, strides),
          Device(static_cast<DeviceKind>(kind), device_id), is_read_only};
}

std::vector<std::pair<std::uintptr_t, std::size_t>> pairs(const Memory& memory) {
  std::vector<std::pair<std::uintptr_t, std::size_t>> result;
  result.reserve(memory.ranges().size());
  for (const Range& range : memory.ranges())
    result.emplace_back(range.address, range.size);
  return result;
}

// An object may hold a descriptor of its own memory: the collector has to see that.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<Memory>(self)->pin().ptr());
  return 0;
}

int clear(PyObject* self) {
  nb::inst_ptr<Memory>(self)->drop_pin();
  return 0;
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {0, nullptr}};

}  // namespace

Memory::Memory(nb::object pin, const Owner* owner, std::vector<Range> ranges,
               Device device, bool is_read_only)
    : pin_(std::move(pin)),
      ranges_(std::move(ranges)),
      device_(device),
      is_read_only_(is_read_only) {
  if (owner != nullptr) owner_ = owner->token;
  for (const Range& range : ranges_) size_ += range.size;
}

Memory Memory::slice(std::size_t offset, std::size_t size) const {
  if (offset > size_ || size > size_ - offset)
    refuse("a slice of " + std::to_string(size) + " bytes at " +
           std::to_string(offset) + " reaches outside the " + std::to_string(size_) +
           " bytes of the descriptor");
  Memory part(*this);
  part.size_ = size;
  part.pages_.reset();
  part.ranges_.clear();
  for (const Range& range : ranges()) {
    if (offset >= range.size && (size != 0 || offset > range.size)) {
      offset -= range.size;
      continue;
    }
    const std::size_t taken = std::min(size, range.size - offset);
    part.ranges_.push_back({range.address + offset, taken});
    size -= taken;
    offset = 0;
    if (size == 0) break;
  }
  return part;
}

Memory Memory::pages(std::size_t page_bytes,
                     std::span<const std::int64_t> indices) const {
  Memory part(*this);
  part.size_ = page_bytes * indices.size();
  part.pages_.reset();
  part.ranges_.clear();
  if (ranges().size() <= std::max(kMostPieces, indices.size()) &&
      are_whole(ranges(), page_bytes)) {
    const Memory* const self = this;
    part.pages_.emplace(descriptors_of({&self, 1}), page_bytes,
                        page_numbers(ranges(), page_bytes, indices));
  } else {
    part.ranges_ = page_ranges(ranges(), page_bytes, indices);
  }
  return part;
}

const std::vector<Range>& Memory::ranges() const {
  if (!pages_ || !ranges_.empty()) return ranges_;
  ranges_.reserve(pages_->indices().count());
  for (const Descriptor& page : pages_->descriptors())
    ranges_.push_back({page.ptr(), page.size()});
  return ranges_;
}

std::uintptr_t Memory::address() const {
  if (pages_ && pages_->memory().size() == 1)
    return pages_->memory()[0].ptr() +
           pages_->indices().values()->front() * pages_->indices().page_bytes();
  return ranges().empty() ? 0 : ranges()[0].address;
}

std::optional<std::pair<std::size_t, std::size_t>> Memory::overlap() const {
  if (pages_ && pages_->memory().size() == 1 &&
      are_apart(*pages_->indices().values(),
                pages_->memory()[0].size() / pages_->indices().page_bytes()))
    return std::nullopt;
  return overlapping(ranges());
}

Descriptor Memory::descriptor(const Range& range) const {
  if (is_read_only_)
    return Descriptor::read_only(reinterpret_cast<const void*>(range.address),
                                 range.size, device_, owner_);
  return {reinterpret_cast<void*>(range.address), range.size, device_, owner_};
}

std::vector<Descriptor> descriptors_of(std::span<const Memory* const> memories) {
  std::size_t count = 0;
  for (const Memory* memory : memories) count += memory->ranges().size();
  std::vector<Descriptor> descriptors;
  descriptors.reserve(count);
  for (const Memory* memory : memories)
    for (const Range& range : memory->ranges())
      descriptors.push_back(memory->descriptor(range));
  return descriptors;
}

std::vector<const Memory*> memories_of(nb::handle object) {
  std::vector<const Memory*> memories;
  const Memory* single = nullptr;
  if (nb::try_cast(object, single)) {
    memories.push_back(single);
    return memories;
  }
  const auto list = nb::cast<nb::list>(object);
  memories.reserve(list.size());
  for (const nb::handle item : list) memories.push_back(nb::cast<const Memory*>(item));
  return memories;
}

void refuse(const std::string& text) { throw nb::value_error(text.c_str()); }

void bind_memory(nb::module_& module) {
  nb::class_<Owner>(module, "Owner").def(nb::init<>());
  nb::class_<Memory>(module, "Memory", nb::type_slots(slots))
      .def_static("strided", &make_strided, "pin"_a.none(), "owner"_a.none(),
                  "address"_a, "item_bytes"_a, "shape"_a, "strides"_a, "kind"_a,
                  "device_id"_a, "is_read_only"_a)
      .def_static("contiguous", &make, "pin"_a.none(), "owner"_a.none(), "address"_a,
                  "size"_a, "kind"_a, "device_id"_a, "is_read_only"_a)
      .def_prop_ro("ptr", [](const Memory& self) { return self.address(); })
      .def_prop_ro("size", &Memory::size)
      .def_prop_ro("range_count", [](const Memory& self) { return self.range_count(); })
      .def_prop_ro("is_read_only", &Memory::is_read_only)
      .def("ranges", &pairs)
      .def("slice", &Memory::slice, "offset"_a, "size"_a)
      .def(
          "pages",
          [](const Memory& self, nb::handle page_bytes, nb::handle indices) {
            return self.pages(page_bytes_of(page_bytes), indices_of(indices));
          },
          "page_bytes"_a.none(), "indices"_a.none(),
          nb::sig("def pages(self, page_bytes: int, indices: object) -> Memory"));
}

}  // namespace nixl_connect::python
