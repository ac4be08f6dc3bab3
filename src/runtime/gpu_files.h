// SPDX-License-Identifier: Apache-2.0
//
// Memory of GPUs of other processes that comes as files: which chunks of it this
// process has open, and the opening of those whose file has come, which the CUDA thread
// does. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/unique_fd.h"
#include "core/terms.h"
#include "wire/extension.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
class ForeignMapping;
}  // namespace nixl_connect::paths::cuda

namespace nixl_connect::runtime {

class GpuFiles {
 public:
  using Mapping = std::shared_ptr<const paths::cuda::ForeignMapping>;
  using Tag = std::uint64_t;  // of paths::cuda::CopyThread
  using Cause = std::shared_ptr<const std::string>;
  using CopyPtr = std::shared_ptr<paths::cuda::DeviceCopy>;

  // A chunk of another process, for a GPU of this one.
  struct Wanted {
    wire::ProcessId owner{};
    int device = 0;
    wire::GpuChunk chunk{};
  };

  // Null mapping: it could not be opened, for that reason.
  using Then = std::function<void(Mapping, Cause, core::Time now)>;

  // `add` gives the CUDA thread a copy that only opens memory.
  explicit GpuFiles(std::function<void(Tag, CopyPtr)> add) : add_(std::move(add)) {}

  // Null if it is not open. The CUDA thread may close it as soon as nobody holds it.
  Mapping find(const Wanted& wanted) const;

  // The file is closed when it is mapped. Throws what `add` throws; otherwise `then`
  // is called by ended().
  void open(const Wanted& wanted, base::UniqueFd file, Then then);

  // Whether a tag is of something that is to be opened, and not of an operation.
  static bool is_mine(Tag tag) noexcept { return (tag & kMark) != 0; }

  // Whose memory it was.
  wire::ProcessId ended(Tag tag, core::Time now);

 private:
  // No operation has it in its number.
  static constexpr Tag kMark = std::uint64_t{1} << 63;

  struct Key {
    wire::ProcessId owner{};
    int device = 0;
    std::uint64_t buffer_id = 0;

    // NOLINTNEXTLINE(modernize-use-nullptr): there is none; clang-tidy 14 errs here
    auto operator<=>(const Key&) const = default;
  };
  struct Opening {
    Wanted wanted;
    CopyPtr copy;
    Then then;
  };

  void keep(const Wanted& wanted, const Mapping& mapping);

  const std::function<void(Tag, CopyPtr)> add_;
  std::map<Key, std::weak_ptr<const paths::cuda::ForeignMapping>> open_;
  std::size_t most_open_ = 64;  // until those that are closed are swept out
  std::unordered_map<Tag, Opening> openings_;
  Tag last_tag_ = kMark;
  std::atomic<std::uint64_t> no_progress_{0};
};

}  // namespace nixl_connect::runtime
