// SPDX-License-Identifier: Apache-2.0
//
// The copies that one GPU does, with what it needs for them: its context, a stream for
// each direction, the page kernel, and the memory of other processes that it has open.
// The CUDA thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "paths/cuda/awaited_points.h"
#include "paths/cuda/copy_stream.h"
#include "paths/cuda/devices.h"
#include "paths/cuda/page_kernel.h"

namespace nixl_connect::paths::cuda {

class DeviceCopies {
 public:
  // `kernel_image` as page_kernel_image() has it, or none. Throws as Driver::check().
  // `pinned_maps` are those of all GPUs, and outlive this.
  DeviceCopies(const Driver& driver, const DeviceFacts& facts, PinnedMaps& pinned_maps,
               const void* kernel_image);
  DeviceCopies(const DeviceCopies&) = delete;
  DeviceCopies& operator=(const DeviceCopies&) = delete;
  // Nothing is under way, or the context is poisoned.
  ~DeviceCopies();

  // Opens what the copy needs, which can take milliseconds. If that fails, the copy
  // ends at once.
  void start(CopyTag tag, const std::shared_ptr<DeviceCopy>& copy);

  // Whether start() has everything that the copy needs.
  bool has_all_for(const CopyWork& work) const;

  // Sees what is done, as far as a look at memory tells, and gives the streams more.
  // True if something has changed.
  bool advance();
  // Whether advance() would find a batch done.
  bool is_any_done() const noexcept;
  // Sees what is done by asking the driver, who takes microseconds and locks for that;
  // it alone tells of errors.
  bool look_closely();

  // Puts the tags of copies that have ended behind `tags`.
  void take_ended(std::vector<CopyTag>& tags);

  // When a batch is likely to be done; time_point::max() if none is under way.
  std::chrono::steady_clock::time_point next_end() const noexcept;
  // Whether a copy is likely to end soon. Of each that is said once.
  bool take_near_end();
  bool has_copies() const noexcept;
  bool is_anything_under_way() const noexcept;
  // Copies are kept back until streams have come by what they wait for.
  bool is_any_waiting() const noexcept { return !waiting_.empty(); }

  // Of an owner that has gone.
  void drop(const Instance& owner);

 private:
  struct Waiting {
    std::unique_ptr<StartedCopy> copy;
    CopyStream* stream = nullptr;  // on which it will be
    AwaitedPoints points;
  };

  void warm_up();
  bool is_warm() const noexcept { return streams_.back() != nullptr; }
  void prepare(StartedCopy& started, CopyWork work);
  bool try_numbers(StartedCopy& started, const CopyWork& work);
  void reach(CuDevice peer);
  PageKernel* kernel();
  CopyStream& stream_of(const CopyWork& work);

  AwaitedPoints awaited_by(CopyWork& work);
  bool admit();
  bool fill(CopyStream& stream);
  // With the GPU's context current.
  void submit_all(CopyStream& stream, StartedCopy* first);
  void submit(CopyStream& stream, StartedCopy& started);
  void hand_over(CuStream stream, const StartedCopy& started, const CopyBatch& batch);
  CuResult copy_range(CuStream stream, const Page& range,
                      CopyWork::HostSide host_side) const;

  // Of the exception that is being handled; a sticky one ends all copies.
  CopyFailure failure();
  void poison(const CopyFailure& failure);
  void end(std::unique_ptr<StartedCopy> copy);

  const Driver& driver_;
  const DeviceFacts facts_;
  const std::string name_;  // "GPU 0 (NVIDIA H200)"
  PinnedMaps& pinned_maps_;
  const void* kernel_image_;
  PrimaryContext context_;
  std::map<CuDevice, PrimaryContext> peers_;  // that are reached
  std::unique_ptr<PageKernel> kernel_;        // made by the first copy
  std::shared_ptr<Imports> imports_;
  std::unique_ptr<ForeignPoints> foreign_points_;
  std::vector<Waiting> waiting_;  // the oldest first
  std::chrono::steady_clock::time_point last_admission_{};
  // By CopyWork::Foreign, and behind them those to and from memory of the host. Made by
  // the first copy.
  std::array<std::unique_ptr<CopyStream>, 5> streams_;
  std::optional<CopyFailure> poison_;
  std::vector<CopyTag> ended_;
};

}  // namespace nixl_connect::paths::cuda
