// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one operation between memories of GPUs, or between that of a GPU and of
// the host, moved by one GPU of this process (copy_thread.h), and what became of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "nixl_connect/error.h"
#include "paths/cuda/engine_sizes.h"
#include "paths/cuda/host_map.h"
#include "paths/cuda/imported_memory.h"
#include "paths/cuda/kernel_choice.h"
#include "paths/cuda/page_shares.h"
#include "paths/cuda/paged_ranges.h"
#include "paths/cuda/stream_points.h"

namespace nixl_connect::paths::local {
class Exposure;
}

namespace nixl_connect::paths::cuda {

// By which its owner knows a copy.
using CopyTag = std::uint64_t;

struct CopyWork {
  // Whose addresses are those of another process, and have to lie in `foreign`. Memory
  // of this process is no foreign one, whichever Connector of it has the operation: a
  // process cannot open its own handles.
  enum class Foreign { kNone, kSources, kTargets };

  struct ForeignPart {
    ForeignMemory memory;
    // Of each chunk, unless the memory has a handle or is open from before.
    std::vector<base::UniqueFd> files;
    // If it is known to be open.
    std::shared_ptr<const ForeignMapping> opened;
  };

  // Of which each target is apart from everything else. None: the foreign memory is
  // opened, and that is all.
  KeptPages ranges;
  // The same, instead of `ranges`.
  std::optional<PagedPair> paged{};
  CuDevice device = 0;  // the GPU that copies
  Foreign foreign_side = Foreign::kNone;
  std::vector<ForeignPart> foreign;
  // Other GPUs of which memory of this process is among the ranges. They let `device`
  // reach that of cudaMalloc; mapped memory, and that of a pool, has to allow it
  // itself.
  std::vector<CuDevice> peers;
  // Nothing is copied: what is foreign is opened and its addresses are found, and the
  // points are waited for.
  bool only_prepares = false;

  // On which side the memory is the host's: its addresses are in `host_maps`, which are
  // pinned first and stay mapped until the end. They are no foreign ones.
  enum class HostSide { kNone, kSources, kTargets };
  HostSide host_side = HostSide::kNone;
  std::vector<HostMap> host_maps;

  // Where allocations of this process's memory begin. Ranges that meet there are not
  // made one, since a copy engine takes no two allocations at a time. In any order.
  std::vector<std::uint64_t> walls{};

  // Of a peer in this process: what it has exposed, which is held while the GPU has any
  // of the ranges, and left alone once its lease is over.
  std::shared_ptr<const local::Exposure> exposure{};

  // Nothing is copied before streams have come by these points.
  std::vector<StreamPointPtr> after{};
  std::optional<ForeignPoint> after_foreign{};

  // Whether multiprocessors may copy, and how many of them. Without, the copy engines
  // do it all, which is slow for many pages but takes nothing from other kernels.
  bool may_use_kernels = true;
  std::uint32_t max_blocks = 0;  // 0: as many as usual
  CopyRoute route = CopyRoute::kFromPeer;
  // Between GPUs, ranges of so many bytes go by copy engines all the same.
  std::uint64_t least_engine_bytes = kLeastEngineBytes;

  bool has_ranges() const noexcept { return paged || !ranges.empty(); }
  std::uint64_t bytes() const noexcept {
    return paged ? paged->sources.size() : sum_up(ranges).bytes;
  }
};

struct CopyFailure {
  enum class Cause {
    kUnreachable,   // the GPU does not reach that of some memory
    kNotOpened,     // memory or an event of the other process, by the driver;
                    // kNoResources while copies use what was there before
    kFilesMissing,  // it is not open yet, so the files of its chunks are needed
    kNotPinned,     // memory of the host: another path may do it
    kNotAsSaid,     // it is smaller than its owner says, or ranges lie outside of it
    kLeaseOver,     // of the exposure
    kPoisoned,      // this process can use the GPU no more
    kDriver,        // anything else
  };

  Cause cause = Cause::kDriver;
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
};

// Thrown where a copy cannot go on.
class CopyRefused : public Error {
 public:
  CopyRefused(CopyFailure::Cause cause, ErrorKind kind, const std::string& message)
      : Error(kind, message), cause_(cause) {}

  CopyFailure::Cause cause() const noexcept { return cause_; }

 private:
  CopyFailure::Cause cause_;
};

// What the exception that is being handled says of a copy: kPoisoned, if the driver
// will not let this process use the GPU any more; of an Error its own kind; of anything
// else that `attempt` lacked resources.
CopyFailure copy_failure(const std::string& attempt);

class DeviceCopy {
 public:
  // `progress` gets the bytes moved so far; it and the memory stay until the end.
  DeviceCopy(CopyWork work, std::atomic<std::uint64_t>& progress);
  DeviceCopy(const DeviceCopy&) = delete;
  DeviceCopy& operator=(const DeviceCopy&) = delete;
  ~DeviceCopy() = default;

  // Nothing more is given to the GPU. The end comes when it is done with what it has,
  // some milliseconds later at most. Any thread.
  void stop() noexcept { was_stopped_.store(true, std::memory_order_relaxed); }

  // Since the end.
  bool is_complete() const noexcept { return bytes_moved_ == bytes_ && !failure_; }
  bool was_stopped() const noexcept {
    return was_stopped_.load(std::memory_order_relaxed);
  }
  // The first one. None: all bytes were moved, unless it was_stopped().
  const std::optional<CopyFailure>& failure() const noexcept { return failure_; }
  std::uint64_t bytes_moved() const noexcept { return bytes_moved_; }

  // What a copy without ranges has opened, in the order of CopyWork::foreign.
  using Opened = std::vector<std::shared_ptr<const ForeignMapping>>;
  const Opened& opened() const noexcept { return opened_; }

  // Of work that only prepares, if there are ranges and no failure(): the ranges,
  // addressed as this process does it for as long as what is held here lives.
  struct Prepared {
    KeptPages ranges;
    Opened held;
  };
  Prepared take_prepared() noexcept { return std::move(prepared_); }

  // No byte was moved without it.
  bool holds_exposure() const noexcept { return holds_exposure_; }

  CuDevice device() const noexcept { return device_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  bool only_prepares() const noexcept { return only_prepares_; }
  // Called by the CUDA thread, at most once, when all is made and opened that the copy
  // needs: from then on it is up to the GPU and the points, and no call of the driver
  // is left that may wait for streams of users. Set before the copy is added.
  void on_prepared(std::function<void()> call) { prepared_call_ = std::move(call); }

  bool pins_host_memory() const noexcept { return pins_host_memory_; }

  // By the CUDA thread until the end. The work is there once.
  const CopyWork& work() const noexcept { return work_; }
  CopyWork take_work() noexcept { return std::move(work_); }
  void add_moved(std::uint64_t bytes) noexcept;
  void fail(CopyFailure failure);
  void tell_prepared() const {
    if (prepared_call_) prepared_call_();
  }
  void set_opened(Opened opened) { opened_ = std::move(opened); }
  void set_prepared(Prepared prepared) { prepared_ = std::move(prepared); }

 private:
  CopyWork work_;
  const CuDevice device_;
  const bool holds_exposure_;
  const std::uint64_t bytes_;
  const bool only_prepares_;
  const bool pins_host_memory_;
  std::atomic<std::uint64_t>& progress_;
  std::atomic<bool> was_stopped_{false};
  std::uint64_t bytes_moved_ = 0;
  std::optional<CopyFailure> failure_;
  std::function<void()> prepared_call_;
  Opened opened_;
  Prepared prepared_;
};

}  // namespace nixl_connect::paths::cuda
