// SPDX-License-Identifier: Apache-2.0
//
// Pieces of memory and the numbers of pages of one size in them, which say where
// thousands of pages are without their addresses being written out. A value; copies
// share the numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace nixl_connect {
class Pages;
class RemotePages;
}  // namespace nixl_connect

namespace nixl_connect::base {

class PagedMemory {
 public:
  struct Piece {
    std::uint64_t address = 0;
    std::uint64_t size = 0;  // of whole pages, but for the last one
  };
  using Indices = std::shared_ptr<const std::vector<std::uint64_t>>;

  // At least one page, and all of them are there.
  PagedMemory(std::vector<Piece> pieces, std::uint64_t page_bytes, Indices indices)
      : pieces_(std::move(pieces)),
        page_bytes_(page_bytes),
        indices_(std::move(indices)) {}

  const std::vector<Piece>& pieces() const noexcept { return pieces_; }
  std::uint64_t page_bytes() const noexcept { return page_bytes_; }
  std::size_t count() const noexcept { return indices_->size(); }
  const std::vector<std::uint64_t>& indices() const noexcept { return *indices_; }
  std::uint64_t size() const noexcept { return count() * page_bytes_; }

  // The same pages of pieces that are elsewhere.
  PagedMemory at(std::vector<Piece> pieces) const {
    return {std::move(pieces), page_bytes_, indices_};
  }

  // Tells where pages are, quickly if most lie in the piece of the one before.
  class Finder {
   public:
    // `memory` stays where it is.
    explicit Finder(const PagedMemory& memory);

    std::uint64_t operator()(std::size_t page) {
      const std::uint64_t index = indices_[page];
      if (index - first_ >= count_) find(index);
      return address_ + (index - first_) * page_bytes_;
    }
    // Number of the piece in which that page is.
    std::size_t piece() const noexcept { return piece_; }

   private:
    void find(std::uint64_t index);

    const std::vector<Piece>& pieces_;
    const std::uint64_t* const indices_;
    const std::uint64_t page_bytes_;
    std::vector<std::uint64_t> firsts_;  // page of each piece
    // Of the piece of the last page.
    std::size_t piece_ = 0;
    std::uint64_t address_ = 0;
    std::uint64_t first_ = 0;
    std::uint64_t count_ = 0;
  };

 private:
  std::vector<Piece> pieces_;
  std::uint64_t page_bytes_ = 0;
  Indices indices_;
};

PagedMemory paged(const Pages& pages);
PagedMemory paged(const RemotePages& pages);

}  // namespace nixl_connect::base
