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

using Group = std::span<const SerializedDescriptor>;

// The remote ranges of each local descriptor; nothing if they do not come out even.
std::optional<std::vector<Group>> groups_of(const Remote& remote,
                                            std::span<const Memory* const> memories) {
  Group rest(remote.metadata().descriptors);
  std::vector<Group> groups;
  groups.reserve(memories.size());
  for (const Memory* memory : memories) {
    std::size_t count = 0;
    std::size_t size = 0;
    while (count < rest.size() && (count == 0 || size < memory->size()))
      size += rest[count++].size;
    if (count == 0 || size != memory->size()) return std::nullopt;
    groups.push_back(rest.first(count));
    rest = rest.subspan(count);
  }
  if (groups.empty() || total(rest) != 0) return std::nullopt;
  return groups;
}

}  // namespace

Remote Remote::pages(std::size_t page_bytes,
                     std::span<const std::int64_t> indices) const {
  std::vector<Range> whole;
  whole.reserve(metadata_.descriptors.size());
  const std::string& device = metadata_.descriptors.at(0).device;
  for (const SerializedDescriptor& each : metadata_.descriptors) {
    if (each.device != device)
      refuse("pages are taken of memory of one device, not of " + device + " and of " +
             each.device);
    whole.push_back({each.ptr, each.size});
  }
  Remote paged({{},
                metadata_.nixl_metadata,
                metadata_.notification_key,
                metadata_.operation_kind});
  paged.page_count_ = indices.size();
  if (whole.size() <= std::max(kMostPieces, indices.size()) &&
      are_whole(whole, page_bytes)) {
    paged.numbered_.emplace(metadata_, page_bytes,
                            page_numbers(whole, page_bytes, indices));
    return paged;
  }
  const std::vector<Range> ranges = page_ranges(whole, page_bytes, indices);
  paged.metadata_.descriptors.reserve(ranges.size());
  for (const Range& range : ranges)
    paged.metadata_.descriptors.push_back({device, range.address, range.size});
  return paged;
}

const RdmaMetadata& Remote::metadata() const {
  if (numbered_ && metadata_.descriptors.empty())
    metadata_.descriptors = numbered_->metadata().descriptors;
  return metadata_;
}

std::vector<Range> Remote::ranges() const {
  std::vector<Range> all;
  all.reserve(range_count());
  for (const SerializedDescriptor& each : metadata().descriptors)
    all.push_back({each.ptr, each.size});
  return all;
}

std::size_t Remote::range_count() const noexcept {
  return numbered_ ? numbered_->indices().count() : metadata_.descriptors.size();
}

std::size_t Remote::size() const noexcept {
  return numbered_ ? numbered_->indices().size() : total(metadata_.descriptors);
}

std::optional<std::pair<std::size_t, std::size_t>> Remote::overlap() const {
  if (numbered_ && numbered_->memory().descriptors.size() == 1 &&
      are_apart(
          *numbered_->indices().values(),
          numbered_->memory().descriptors[0].size / numbered_->indices().page_bytes()))
    return std::nullopt;
  return overlapping(ranges());
}

bool are_numbered(const Remote& remote, std::span<const Memory* const> memories) {
  if (!remote.numbered() || memories.size() != 1 || !memories[0]->pages()) return false;
  const PageIndices& theirs = remote.numbered()->indices();
  const PageIndices& ours = memories[0]->pages()->indices();
  return theirs.page_bytes() == ours.page_bytes() && theirs.count() == ours.count();
}

bool is_matched(const Remote& remote, std::span<const Memory* const> memories) {
  return are_numbered(remote, memories) || is_one_to_one(remote, memories) ||
         groups_of(remote, memories).has_value();
}

Match match(const Remote& remote, std::span<const Memory* const> memories) {
  Match result;
  const auto groups =
      is_one_to_one(remote, memories) ? std::nullopt : groups_of(remote, memories);
  if (!groups) {
    result.local = descriptors_of(memories);
    return result;
  }
  const RdmaMetadata& whole = remote.metadata();
  result.remote.emplace(RdmaMetadata{
      {}, whole.nixl_metadata, whole.notification_key, whole.operation_kind});
  for (std::size_t i = 0; i < memories.size(); ++i)
    split((*groups)[i], *memories[i], result);
  if (result.local.empty()) {  // nothing is to be moved, by an operation all the same
    const Memory& ours = *memories[0];
    result.local.push_back(ours.descriptor({ours.ranges().at(0).address, 0}));
    result.remote->descriptors.push_back(whole.descriptors.at(0));
  }
  return result;
}

void bind_remote(nb::module_& module) {
  nb::class_<Remote>(module, "Remote")
      .def_static("of", &make, "nixl_metadata"_a, "key"_a, "kind"_a, "descriptors"_a)
      .def_static("read", &read, "json"_a.none())
      .def_prop_ro("nixl_metadata",
                   [](const Remote& self) { return self.header().nixl_metadata; })
      .def_prop_ro("notification_key",
                   [](const Remote& self) { return self.header().notification_key; })
      .def_prop_ro("operation_kind",
                   [](const Remote& self) {
                     return static_cast<int>(self.header().operation_kind);
                   })
      .def("to_json", [](const Remote& self) { return self.metadata().to_json(); })
      .def_prop_ro("size", &Remote::size)
      .def_prop_ro("range_count", &Remote::range_count)
      .def_prop_ro("page_count", &Remote::page_count)
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
