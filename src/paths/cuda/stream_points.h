// SPDX-License-Identifier: Apache-2.0
//
// Points in what streams of users were given: events, which are recorded there without
// waiting for anything. An event is kept for ever and recorded anew later, since other
// processes may have it open still, and since to make one takes longer than to record
// it. Thread-safe.
#pragma once

#include <memory>
#include <optional>

#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda {

class StreamPoint {
 public:
  // Made by record_point().
  struct Recorded {
    const Driver* driver = nullptr;
    CuContext context = nullptr;
    CuEvent event = nullptr;
    std::optional<CuIpcHandle> handle;
  };
  explicit StreamPoint(const Recorded& recorded) : recorded_(recorded) {}
  StreamPoint(const StreamPoint&) = delete;
  StreamPoint& operator=(const StreamPoint&) = delete;
  // The event may be recorded for another point then.
  ~StreamPoint();

  // Whether all that the stream was given before is done. Throws as Driver::check().
  bool has_come() const;

  // Returns when it has, and lets other threads have the processor meanwhile. Throws
  // as has_come().
  void await() const;

  // By which another process opens the event, as long as this object lives.
  const std::optional<CuIpcHandle>& handle() const noexcept { return recorded_.handle; }
  CuEvent event() const noexcept { return recorded_.event; }

 private:
  const Recorded recorded_;
};

using StreamPointPtr = std::shared_ptr<const StreamPoint>;

// Behind what the stream, of that GPU's primary context, was given so far; a special
// value of CUDA's means what it means on the calling thread. The thread's own current
// context stays what it is. For all processes: the point has a handle. Throws
// Error(kInvalidArgument) if the stream is of another GPU, otherwise as
// Driver::check().
StreamPointPtr record_point(const Driver& driver, CuDevice device, CuStream stream,
                            EventReach reach);

// The point with that handle, if this process has recorded it and it lives still.
StreamPointPtr find_point(const CuIpcHandle& handle);

}  // namespace nixl_connect::paths::cuda
