// SPDX-License-Identifier: Apache-2.0
//
// The events of other processes that one GPU of this one has open, kept for points to
// come, which are recorded on the same events. One thread, with the GPU's context
// current on it.
#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "paths/cuda/handles.h"
#include "paths/cuda/imported_memory.h"

namespace nixl_connect::paths::cuda {

class ForeignPoints {
 public:
  // At most so many are kept, besides those that somebody holds.
  static constexpr std::size_t kMostKept = 256;

  explicit ForeignPoints(const Driver& driver, std::size_t most_kept = kMostKept)
      : driver_(driver), most_kept_(most_kept) {}

  using Opened = std::shared_ptr<const Event>;

  // Opens the event if it is not open yet. Throws as Driver::check().
  Opened open(const ForeignPoint& point);

  // Of an owner that has gone.
  void drop(const Instance& owner);

 private:
  struct Kept {
    ForeignPoint point;
    Opened event;
  };

  const Driver& driver_;
  const std::size_t most_kept_;
  std::list<Kept> kept_;  // the latest used first
};

}  // namespace nixl_connect::paths::cuda
