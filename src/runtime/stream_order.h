// SPDX-License-Identifier: Apache-2.0
//
// The order between the memory of an operation and streams of its user: what the
// operation waits for, and what waits for its end. Only of memory of GPUs.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/options.h"
#include "paths/cuda/end_flag.h"
#include "paths/cuda/stream_points.h"
#include "runtime/readiness.h"

namespace nixl_connect::runtime {

class Gpus;

// Throws Error(kInvalidArgument) for a stream with memory of the host.
void check_stream(std::span<const Descriptor> descriptors,
                  const OperationOptions& options);

// Where the stream of the options is now; null without one. On the thread of the
// caller, which has a stream of CUDA's of its own. Throws as
// paths::cuda::record_point().
paths::cuda::StreamPointPtr point_of(Gpus& gpus,
                                     std::span<const Descriptor> descriptors,
                                     const OperationOptions& options);

// The same, of memory that is exposed.
Readiness readiness_of(Gpus& gpus, std::span<const Descriptor> descriptors,
                       const OperationOptions& options, bool waits_for_agents);

// Streams that wait for the end of one operation. Thread-safe; calls of the driver are
// made outside of the lock, as they may block.
//
// None waits before all is made and opened that the copy needs: the driver may make
// such a call wait for the streams of a GPU, and so for the end of the very copy.
class StreamWaits {
 public:
  // On memory of that GPU.
  StreamWaits(const paths::cuda::Driver& driver, int number)
      : driver_(driver), number_(number) {}

  // All is made and opened, or another process does the copy.
  void allow() noexcept;
  // Whether add() does not wait.
  bool are_allowed();

  // As long as what it gives lives, no further stream gets a wait: this process copies
  // after all, for whose needs none may wait. Null if one has a wait already.
  static std::shared_ptr<const void> keep_away(const std::shared_ptr<StreamWaits>& all);

  // Returns when the stream has the wait, not before allow(), unless end() comes first;
  // does nothing after that. Throws as paths::cuda::EndWait::put_on().
  void add(const CudaStream& stream);
  void end() noexcept;

 private:
  void keep_away(bool is_on) noexcept;
  // Under mutex_.
  bool may_add() const noexcept {
    return (are_allowed_ && kept_away_ == 0) || has_ended_;
  }

  const paths::cuda::Driver& driver_;
  const int number_;

  std::mutex mutex_;
  // Guarded by mutex_.
  paths::cuda::EndFlag flag_;
  bool are_allowed_ = false;
  bool has_any_ = false;  // or will in a moment
  unsigned kept_away_ = 0;
  bool has_ended_ = false;
  std::condition_variable changed_;
};

// For an operation on them; null if they are not of a GPU, or of no bytes.
std::shared_ptr<StreamWaits> stream_waits_for(Gpus& gpus,
                                              std::span<const Descriptor> descriptors);

}  // namespace nixl_connect::runtime
