// SPDX-License-Identifier: Apache-2.0
#include "nixl_connect/pages.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/paged_memory.h"
#include "nixl_connect/error.h"

namespace nixl_connect {
namespace {

using base::PagedMemory;
using Pieces = std::vector<PagedMemory::Piece>;

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ErrorKind::kInvalidArgument, text);
}

void check(const Pieces& pieces, std::size_t page_bytes,
           const std::vector<std::uint64_t>& indices) {
  if (page_bytes == 0) refuse("page_bytes is 0; it is a positive number");
  if (indices.empty())
    refuse("the indices name no page; make no operation where there is none to move");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i + 1 < pieces.size() && pieces[i].size % page_bytes != 0)
      refuse("descriptor " + std::to_string(i) + " of " +
             std::to_string(pieces[i].size) + " bytes is not a multiple of pages of " +
             std::to_string(page_bytes) + " bytes; only the last one may have a rest");
    const std::uint64_t pages = pieces[i].size / page_bytes;
    if (pages > UINT64_MAX - count)
      refuse("the descriptors name more bytes than any memory has");
    count += pages;
  }
  const std::uint64_t last = *std::max_element(indices.begin(), indices.end());
  if (last >= count)
    refuse("page " + std::to_string(last) + " is outside the " + std::to_string(count) +
           " pages of " + std::to_string(page_bytes) + " bytes");
}

[[noreturn]] void refuse_devices(const std::string& one, const std::string& other) {
  refuse("pages are taken of memory of one device, not of " + one + " and of " + other);
}

Pieces pieces_of(const std::vector<Descriptor>& memory) {
  Pieces pieces;
  pieces.reserve(memory.size());
  for (const Descriptor& each : memory) {
    if (each.device() != memory[0].device())
      refuse_devices(to_string(memory[0].device()), to_string(each.device()));
    pieces.push_back({each.ptr(), each.size()});
  }
  return pieces;
}

Pieces pieces_of(const RdmaMetadata& memory) {
  Pieces pieces;
  pieces.reserve(memory.descriptors.size());
  for (const SerializedDescriptor& each : memory.descriptors) {
    if (each.device != memory.descriptors[0].device)
      refuse_devices(memory.descriptors[0].device, each.device);
    pieces.push_back({each.ptr, each.size});
  }
  return pieces;
}

}  // namespace

PageIndices::PageIndices(std::size_t page_bytes, std::vector<std::uint64_t> values)
    : page_bytes_(page_bytes),
      values_(std::make_shared<const std::vector<std::uint64_t>>(std::move(values))) {}

Pages::Pages(Descriptor memory, std::size_t page_bytes,
             std::vector<std::uint64_t> indices)
    : Pages(std::vector<Descriptor>{std::move(memory)}, page_bytes,
            std::move(indices)) {}

Pages::Pages(std::vector<Descriptor> memory, std::size_t page_bytes,
             std::vector<std::uint64_t> indices)
    : memory_(std::move(memory)), indices_(page_bytes, std::move(indices)) {
  check(pieces_of(memory_), page_bytes, *indices_.values());
}

std::vector<Descriptor> Pages::descriptors() const {
  const PagedMemory pages = base::paged(*this);
  PagedMemory::Finder find(pages);
  std::vector<Descriptor> descriptors;
  descriptors.reserve(indices_.count());
  for (std::size_t page = 0; page < indices_.count(); ++page) {
    const std::uint64_t address = find(page);
    const Descriptor& whole = memory_[find.piece()];
    descriptors.push_back(whole.slice(address - whole.ptr(), indices_.page_bytes()));
  }
  return descriptors;
}

RemotePages::RemotePages(RdmaMetadata memory, std::size_t page_bytes,
                         std::vector<std::uint64_t> indices)
    : memory_(std::move(memory)), indices_(page_bytes, std::move(indices)) {
  check(pieces_of(memory_), page_bytes, *indices_.values());
}

RdmaMetadata RemotePages::metadata() const {
  const PagedMemory pages = base::paged(*this);
  PagedMemory::Finder find(pages);
  RdmaMetadata metadata{
      {}, memory_.nixl_metadata, memory_.notification_key, memory_.operation_kind};
  metadata.descriptors.reserve(indices_.count());
  for (std::size_t page = 0; page < indices_.count(); ++page)
    metadata.descriptors.push_back(
        {memory_.descriptors[0].device, find(page), indices_.page_bytes()});
  return metadata;
}

base::PagedMemory base::paged(const Pages& pages) {
  const PageIndices& indices = pages.indices();
  return {pieces_of(pages.memory()), indices.page_bytes(), indices.values()};
}

base::PagedMemory base::paged(const RemotePages& pages) {
  const PageIndices& indices = pages.indices();
  return {pieces_of(pages.memory()), indices.page_bytes(), indices.values()};
}

}  // namespace nixl_connect
