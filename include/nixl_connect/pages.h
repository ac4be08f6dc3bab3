// SPDX-License-Identifier: Apache-2.0
//
// Pages of one size, named by their numbers, on either side of an operation. A cache of
// keys and values is mostly moved so. Between GPUs of two processes (cuda.peer) nothing
// is written out or looked at for each page, so that to begin takes no longer for
// thousands than for one; other paths do so, but make no descriptor of it.
//
//   connector.begin_read(RemotePages(remote, 65'536, theirs),
//                        Pages(cache, 65'536, ours));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/metadata.h"

namespace nixl_connect {

// Which pages: one is the `page_bytes` bytes at index * page_bytes. A value, of which
// copies share the indices.
class PageIndices {
 public:
  PageIndices(std::size_t page_bytes, std::vector<std::uint64_t> values);

  std::size_t page_bytes() const noexcept { return page_bytes_; }
  const std::shared_ptr<const std::vector<std::uint64_t>>& values() const noexcept {
    return values_;
  }
  std::size_t count() const noexcept { return values_->size(); }
  // Bytes of all pages.
  std::size_t size() const noexcept { return count() * page_bytes_; }

 private:
  std::size_t page_bytes_;
  std::shared_ptr<const std::vector<std::uint64_t>> values_;
};

// Of this process's memory, of which all is registered where UCX carries some of its
// pages, once for its owner: give it one. An operation that has them as target writes
// each byte once only if no index is there twice.
class Pages {
 public:
  // Of `memory`, or of the bytes of several descriptors in their order, of which each
  // but the last is a multiple of `page_bytes` long. Throws Error(kInvalidArgument) for
  // no index, a page that is not there, no page at all (page_bytes of 0), memory of
  // several devices, and descriptors of other lengths.
  Pages(Descriptor memory, std::size_t page_bytes, std::vector<std::uint64_t> indices);
  Pages(std::vector<Descriptor> memory, std::size_t page_bytes,
        std::vector<std::uint64_t> indices);

  const std::vector<Descriptor>& memory() const noexcept { return memory_; }
  const PageIndices& indices() const noexcept { return indices_; }

  // One for each page, in their order.
  std::vector<Descriptor> descriptors() const;

 private:
  std::vector<Descriptor> memory_;
  PageIndices indices_;
};

// Of the memory that a peer's metadata names, as Pages are of this process's: by the
// reader's own numbers, so that one metadata serves many operations.
class RemotePages {
 public:
  // Throws as Pages does.
  RemotePages(RdmaMetadata memory, std::size_t page_bytes,
              std::vector<std::uint64_t> indices);

  const RdmaMetadata& memory() const noexcept { return memory_; }
  const PageIndices& indices() const noexcept { return indices_; }

  // Metadata that names each page, in their order.
  RdmaMetadata metadata() const;

 private:
  RdmaMetadata memory_;
  PageIndices indices_;
};

}  // namespace nixl_connect
