// SPDX-License-Identifier: Apache-2.0
#include "remote.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "bindings.h"
#include "indices.h"
#include "nixl_connect/error.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

using Named = std::tuple<std::string, std::uint64_t, std::uint64_t>;

// `descriptors`: objects with the attributes of SerializedDescriptor.
Remote make(std::string nixl_metadata, std::string key, int kind,
            const nb::list& descriptors) {
  RdmaMetadata metadata;
  metadata.nixl_metadata = std::move(nixl_metadata);
  metadata.notification_key = std::move(key);
  metadata.operation_kind = static_cast<OperationKind>(kind);
  metadata.descriptors.reserve(descriptors.size());
  for (const nb::handle descriptor : descriptors)
    metadata.descriptors.push_back({nb::cast<std::string>(descriptor.attr("device")),
                                    nb::cast<std::uint64_t>(descriptor.attr("ptr")),
                                    nb::cast<std::uint64_t>(descriptor.attr("size"))});
  return Remote(std::move(metadata));
}

// What model_validate_json makes of a device is for pydantic to say, unless it is this.
bool is_plain(const SerializedDescriptor& descriptor) {
  return std::all_of(descriptor.device.begin(), descriptor.device.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':';
  });
}

std::optional<std::string_view> text_of(nb::handle json) {
  if (PyBytes_Check(json.ptr()))
    return std::string_view(PyBytes_AsString(json.ptr()),
                            static_cast<std::size_t>(PyBytes_Size(json.ptr())));
  if (!PyUnicode_Check(json.ptr())) return std::nullopt;
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(json.ptr(), &size);
  if (text != nullptr) return std::string_view(text, static_cast<std::size_t>(size));
  PyErr_Clear();
  return std::nullopt;
}

// Text with all fields that is, but for blanks around it, byte for byte what
// RdmaMetadata::to_json writes, and pydantic too. Anything else is for pydantic to
// judge.
std::optional<Remote> read(nb::handle json) {
  auto text = text_of(json);
  if (!text) return std::nullopt;
  constexpr std::string_view kBlanks = " \t\n\r";
  text->remove_prefix(std::min(text->find_first_not_of(kBlanks), text->size()));
  text->remove_suffix(text->size() - (text->find_last_not_of(kBlanks) + 1));
  try {
    RdmaMetadata metadata = RdmaMetadata::from_json(*text);
    const auto& descriptors = metadata.descriptors;
    if (descriptors.empty() || metadata.nixl_metadata.empty() ||
        metadata.notification_key.empty() || metadata.to_json() != *text ||
        !std::all_of(descriptors.begin(), descriptors.end(), is_plain))
      return std::nullopt;
    return Remote(std::move(metadata));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<Named> named(const Remote& remote) {
  std::vector<Named> result;
  result.reserve(remote.metadata().descriptors.size());
  for (const SerializedDescriptor& descriptor : remote.metadata().descriptors)
    result.emplace_back(descriptor.device, descriptor.ptr, descriptor.size);
  return result;
}

// The ranges of one descriptor on either side, split at the bounds of both.
void split(std::span<const SerializedDescriptor> theirs, const Memory& ours,
           Match& match) {
  std::size_t their_offset = 0;
  std::size_t our_offset = 0;
  auto their = theirs.begin();
  auto our = ours.ranges().begin();
  while (their != theirs.end() && our != ours.ranges().end()) {
    const std::size_t size =
        std::min<std::size_t>(their->size - their_offset, our->size - our_offset);
    if (size != 0) {
      match.local.push_back(ours.descriptor({our->address + our_offset, size}));
      match.remote->descriptors.push_back(
          {their->device, their->ptr + their_offset, size});
    }
    their_offset += size;
    our_offset += size;
    if (their_offset == their->size) {
      ++their;
      their_offset = 0;
    }
    if (our_offset == our->size) {
      ++our;
      our_offset = 0;
    }
  }
}

// The remote ranges that belong to local descriptor `index`.
std::span<const SerializedDescriptor> group(const Remote& remote, std::size_t index) {
  const std::span<const SerializedDescriptor> all(remote.metadata().descriptors);
  return remote.is_paged() ? all : all.subspan(index, 1);
}

std::size_t total(std::span<const SerializedDescriptor> descriptors) {
  std::size_t size = 0;
  for (const SerializedDescriptor& descriptor : descriptors) size += descriptor.size;
  return size;
}

bool is_one_to_one(const Remote& remote, std::span<const Memory* const> memories) {
  const auto& descriptors = remote.metadata().descriptors;
  std::size_t position = 0;
  for (const Memory* memory : memories)
    for (const Range& range : memory->ranges()) {
      if (position == descriptors.size()) return false;
      if (descriptors[position++].size != range.size) return false;
    }
  return position == descriptors.size();
}

bool is_splittable(const Remote& remote, std::span<const Memory* const> memories) {
  const std::size_t groups =
      remote.is_paged() ? 1 : remote.metadata().descriptors.size();
  if (groups != memories.size()) return false;
  bool has_many = remote.is_paged();
  for (std::size_t i = 0; i < groups; ++i) {
    if (total(group(remote, i)) != memories[i]->size()) return false;
    has_many = has_many || memories[i]->ranges().size() != 1;
  }
  return has_many;
}

}  // namespace

Remote Remote::pages(std::size_t page_bytes,
                     std::span<const std::int64_t> indices) const {
  if (metadata_.descriptors.size() != 1)
    throw nb::value_error("pages are taken of metadata that names one descriptor");
  const SerializedDescriptor& whole = metadata_.descriptors[0];
  Remote paged({{},
                metadata_.nixl_metadata,
                metadata_.notification_key,
                metadata_.operation_kind});
  paged.is_paged_ = true;
  paged.metadata_.descriptors.reserve(indices.size());
  for (const Range& range : page_ranges({whole.ptr, whole.size}, page_bytes, indices))
    paged.metadata_.descriptors.push_back({whole.device, range.address, range.size});
  return paged;
}

bool is_matched(const Remote& remote, std::span<const Memory* const> memories) {
  return is_one_to_one(remote, memories) || is_splittable(remote, memories);
}

Match match(const Remote& remote, std::span<const Memory* const> memories) {
  Match result;
  if (is_one_to_one(remote, memories) || !is_splittable(remote, memories)) {
    result.local = descriptors_of(memories);
    return result;
  }
  const RdmaMetadata& whole = remote.metadata();
  result.remote.emplace(RdmaMetadata{
      {}, whole.nixl_metadata, whole.notification_key, whole.operation_kind});
  for (std::size_t i = 0; i < memories.size(); ++i)
    split(group(remote, i), *memories[i], result);
  return result;
}

void bind_remote(nb::module_& module) {
  nb::class_<Remote>(module, "Remote")
      .def_static("of", &make, "nixl_metadata"_a, "key"_a, "kind"_a, "descriptors"_a)
      .def_static("read", &read, "json"_a.none())
      .def_prop_ro("nixl_metadata",
                   [](const Remote& self) { return self.metadata().nixl_metadata; })
      .def_prop_ro("notification_key",
                   [](const Remote& self) { return self.metadata().notification_key; })
      .def_prop_ro("operation_kind",
                   [](const Remote& self) {
                     return static_cast<int>(self.metadata().operation_kind);
                   })
      .def("to_json", [](const Remote& self) { return self.metadata().to_json(); })
      .def_prop_ro(
          "size", [](const Remote& self) { return total(self.metadata().descriptors); })
      .def_prop_ro(
          "range_count",
          [](const Remote& self) { return self.metadata().descriptors.size(); })
      .def("descriptors", &named)
      .def(
          "pages",
          [](const Remote& self, nb::handle page_bytes, nb::handle indices) {
            return self.pages(page_bytes_of(page_bytes), indices_of(indices));
          },
          "page_bytes"_a.none(), "indices"_a.none(),
          nb::sig("def pages(self, page_bytes: int, indices: object) -> Remote"));
}

}  // namespace nixl_connect::python
