// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/foreign_ranges.h"

#include <algorithm>
#include <string>

namespace nixl_connect::paths::cuda {
namespace {

using Cause = CopyFailure::Cause;

Imports::Mapping open(Imports& imports, const CopyWork::ForeignPart& part) {
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

bool holds(const ForeignMapping& mapping, CuDevicePointer address, std::uint64_t size) {
  const std::uint64_t offset = address - mapping.foreign_start();
  return offset <= mapping.size() && size <= mapping.size() - offset;
}

}  // namespace

std::vector<Imports::Mapping> open_foreign(
    Imports& imports, std::span<const CopyWork::ForeignPart> parts) {
  std::vector<Imports::Mapping> mappings;
  mappings.reserve(parts.size());
  for (const auto& part : parts) mappings.push_back(open(imports, part));
  return mappings;
}

void translate(std::span<Page> ranges, CopyWork::Foreign side,
               std::span<const Imports::Mapping> mappings) {
  if (side == CopyWork::Foreign::kNone) return;
  auto mapping = mappings.end();
  for (Page& range : ranges) {
    std::uint64_t& address =
        side == CopyWork::Foreign::kSources ? range.source : range.target;
    const auto is_behind = [&](const Imports::Mapping& each) {
      return holds(*each, address, range.size);
    };
    // Mostly that of the range before.
    if (mapping == mappings.end() || !is_behind(*mapping))
      mapping = std::find_if(mappings.begin(), mappings.end(), is_behind);
    if (mapping == mappings.end())
      throw CopyRefused(Cause::kNotAsSaid, ErrorKind::kInvalidArgument,
                        std::to_string(range.size) +
                            " bytes lie outside of the GPU memory that the other "
                            "process has named");
    address = (*mapping)->here(address);
  }
}

}  // namespace nixl_connect::paths::cuda
