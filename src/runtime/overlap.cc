// SPDX-License-Identifier: Apache-2.0
#include "runtime/overlap.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

struct Piece {
  std::uint64_t begin;
  std::uint64_t end;
  bool is_local;

  std::uint64_t size() const noexcept { return end - begin; }
};

struct Bounds {
  std::uint64_t begin = UINT64_MAX;
  std::uint64_t end = 0;

  void add(std::uint64_t address, std::uint64_t size) noexcept {
    if (size == 0) return;
    begin = std::min(begin, address);
    end = std::max(end, address + size);
  }
};

// Those that reach into the bounds of both sides.
std::vector<Piece> pieces_between(const Bounds& bounds,
                                  std::span<const Descriptor> local,
                                  const RemoteRanges& remote) {
  std::vector<Piece> pieces;
  const auto add = [&](std::uint64_t address, std::uint64_t size, bool is_local) {
    if (size > 0 && address < bounds.end && bounds.begin < address + size)
      pieces.push_back({address, address + size, is_local});
  };
  for (const Descriptor& each : local) add(each.ptr(), each.size(), true);
  for (const RemoteRange& each : remote) add(each.address, each.size, false);
  return pieces;
}

// Whether all are pages of one size, a multiple of it apart, and none of them is on
// both sides: a bit for each place. False: not known.
bool are_pages_apart(std::span<const Piece> pieces) {
  constexpr std::uint64_t kMostPlaces = 64;  // for each piece
  if (pieces.empty()) return true;
  const std::uint64_t size = pieces[0].size();
  const auto [first, last] = std::minmax_element(
      pieces.begin(), pieces.end(),
      [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  const std::uint64_t lowest = first->begin;
  const std::uint64_t places = (last->begin - lowest) / size + 1;
  if (places > kMostPlaces * pieces.size()) return false;
  std::vector<bool> is_local(places);
  const auto are_fit = [&](const Piece& piece) {
    const std::uint64_t offset = piece.begin - lowest;
    if (piece.size() != size || offset % size != 0) return false;
    if (piece.is_local) is_local[offset / size] = true;
    return piece.is_local || !is_local[offset / size];  // the local ones come first
  };
  return std::all_of(pieces.begin(), pieces.end(), are_fit);
}

// In the order of their addresses each is compared with the one of the other side that
// reaches furthest.
std::optional<Overlap> sweep(std::vector<Piece>& pieces) {
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  std::array<std::uint64_t, 2> ends{};
  for (const Piece& piece : pieces) {
    const std::uint64_t other_end = ends.at(piece.is_local ? 0 : 1);
    if (other_end > piece.begin)
      return Overlap{piece.begin, std::min(other_end, piece.end) - piece.begin};
    std::uint64_t& end = ends.at(piece.is_local ? 1 : 0);
    end = std::max(end, piece.end);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Overlap> find_overlap(std::span<const Descriptor> local,
                                    const RemoteRanges& remote) {
  Bounds ours;
  Bounds theirs;
  for (const Descriptor& each : local) ours.add(each.ptr(), each.size());
  for (const RemoteRange& each : remote) theirs.add(each.address, each.size);
  const Bounds both{std::max(ours.begin, theirs.begin), std::min(ours.end, theirs.end)};
  if (both.begin >= both.end) return std::nullopt;
  std::vector<Piece> pieces = pieces_between(both, local, remote);
  return are_pages_apart(pieces) ? std::nullopt : sweep(pieces);
}

void check_apart(std::span<const Descriptor> local, const RemoteRanges& remote) {
  const auto overlap = find_overlap(local, remote);
  if (!overlap) return;
  throw Error(ErrorKind::kInvalidArgument,
              "the target overlaps its source, which is memory of this process: " +
                  std::to_string(overlap->size) + " bytes from address " +
                  std::to_string(overlap->address) +
                  " on are in both; go by way of other memory");
}

}  // namespace nixl_connect::runtime
