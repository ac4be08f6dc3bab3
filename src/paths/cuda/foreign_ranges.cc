// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/foreign_ranges.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace nixl_connect::paths::cuda {
namespace {

using Cause = CopyFailure::Cause;

Imports::Mapping open(Imports& imports, const CopyWork::ForeignPart& part) {
  if (part.opened) {
    imports.find(part.memory);  // which is to stay open
    return part.opened;
  }
  if (part.files.empty() && !part.memory.handle) {
    if (Imports::Mapping mapping = imports.find(part.memory)) return mapping;
    throw CopyRefused(Cause::kFilesMissing, ErrorKind::kUnsupported,
                      "GPU memory of another process is not open yet, and its files "
                      "are not there");
  }
  try {
    return imports.open(part.memory, part.files);
  } catch (const DriverError& error) {
    if (is_sticky(error.result())) throw;
    const bool is_too_far = error.result() == kCuPeerAccessUnsupported;
    throw CopyRefused(is_too_far ? Cause::kUnreachable : Cause::kNotOpened,
                      error.kind(), error.what());
  } catch (const Error& error) {
    throw CopyRefused(Cause::kNotAsSaid, error.kind(), error.what());
  }
}

// Finds the mapping in which an address lies, by what its owner calls it.
class Finder {
 public:
  explicit Finder(std::span<const Imports::Mapping> mappings) {
    sorted_.reserve(mappings.size());
    for (const Imports::Mapping& each : mappings) sorted_.push_back(each.get());
    std::sort(sorted_.begin(), sorted_.end(), [](const auto* a, const auto* b) {
      return a->foreign_start() < b->foreign_start();
    });
  }

  const ForeignMapping& find(CuDevicePointer address) {
    if (const ForeignMapping* const found = find_if_open(address)) return *found;
    throw CopyRefused(Cause::kNotAsSaid, ErrorKind::kInvalidArgument,
                      "some of the bytes lie outside of the GPU memory that the other "
                      "process has named");
  }

  const ForeignMapping* find_if_open(CuDevicePointer address) {
    if (last_ != nullptr && holds(*last_, address)) return last_;
    auto found =
        std::upper_bound(sorted_.begin(), sorted_.end(), address,
                         [](CuDevicePointer wanted, const ForeignMapping* each) {
                           return wanted < each->foreign_start();
                         });
    // They overlap only if their owner says what cannot be.
    while (found != sorted_.begin())
      if (holds(**--found, address)) return last_ = *found;
    return nullptr;
  }

 private:
  static bool holds(const ForeignMapping& mapping, CuDevicePointer address) {
    return address - mapping.foreign_start() < mapping.size();
  }

  std::vector<const ForeignMapping*> sorted_;
  const ForeignMapping* last_ = nullptr;
};

KeptPages translated(KeptPages ranges, CopyWork::Foreign side,
                     std::span<const Imports::Mapping> mappings) {
  Finder finder(mappings);
  KeptPages result;
  bool is_any_cut = false;  // and so `result` in use
  for (auto range = ranges.begin(); range != ranges.end(); ++range) {
    Page& rest = *range;
    std::uint64_t& foreign =
        side == CopyWork::Foreign::kSources ? rest.source : rest.target;
    while (rest.size > 0) {
      const ForeignMapping& mapping = finder.find(foreign);
      const std::uint64_t left = mapping.size() - (foreign - mapping.foreign_start());
      if (rest.size <= left) {
        foreign = mapping.here(foreign);
        break;
      }
      if (!is_any_cut) result.assign(ranges.begin(), range);
      is_any_cut = true;
      Page part{rest.source, rest.target, left};
      (side == CopyWork::Foreign::kSources ? part.source : part.target) =
          mapping.here(foreign);
      result.push_back(part);
      rest = {rest.source + left, rest.target + left, rest.size - left};
    }
    if (is_any_cut) result.push_back(rest);
  }
  return is_any_cut ? std::move(result) : std::move(ranges);
}

}  // namespace

std::vector<Imports::Mapping> open_foreign(
    Imports& imports, std::span<const CopyWork::ForeignPart> parts) {
  std::vector<Imports::Mapping> mappings;
  mappings.reserve(parts.size());
  for (const auto& part : parts) mappings.push_back(open(imports, part));
  return mappings;
}

std::optional<PagedPair> located(const PagedPair& pages, CopyWork::Foreign side,
                                 std::span<const Imports::Mapping> mappings) {
  if (side == CopyWork::Foreign::kNone) return pages;
  const bool are_sources = side == CopyWork::Foreign::kSources;
  const base::PagedMemory& foreign = are_sources ? pages.sources : pages.targets;
  Finder finder(mappings);
  std::vector<base::PagedMemory::Piece> pieces = foreign.pieces();
  for (auto& piece : pieces) {
    if (piece.size == 0) continue;
    // Of mapped memory the chunks are open in which pages are, and no others.
    const ForeignMapping* const mapping = finder.find_if_open(piece.address);
    if (mapping == nullptr ||
        piece.size > mapping->size() - (piece.address - mapping->foreign_start()))
      return std::nullopt;
    piece.address = mapping->here(piece.address);
  }
  base::PagedMemory here = foreign.at(std::move(pieces));
  return are_sources ? PagedPair{std::move(here), pages.targets}
                     : PagedPair{pages.sources, std::move(here)};
}

KeptPages located(CopyWork& work, std::span<const Imports::Mapping> mappings) {
  const CopyWork::Foreign side = work.foreign_side;
  KeptPages ranges = work.paged ? written_out(*work.paged) : std::move(work.ranges);
  return side == CopyWork::Foreign::kNone
             ? std::move(ranges)
             : translated(std::move(ranges), side, mappings);
}

}  // namespace nixl_connect::paths::cuda
