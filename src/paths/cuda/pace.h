// SPDX-License-Identifier: Apache-2.0
//
// How fast a stream gets on, so that the end of a batch can be awaited asleep for the
// most part and awake when it comes. Values; one thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace nixl_connect::paths::cuda {

// For how long a thread looks all the time at what a GPU is likely to end soon, and
// then how long it naps between two looks.
constexpr std::chrono::microseconds kSpin{50};
constexpr std::chrono::microseconds kLeastNap{20};
constexpr std::chrono::microseconds kMostNap{500};

// A thread that sleeps is awake so long after it was woken, as a rule.
constexpr std::chrono::microseconds kWakingTakes{60};

class Pace {
 public:
  using Duration = std::chrono::nanoseconds;

  // What a batch of that weight (copy_batches.h) is likely to take.
  Duration time_for(std::uint64_t weight) const noexcept {
    return Duration(static_cast<Duration::rep>(static_cast<double>(weight) * ns_each_));
  }

  // One has taken so long, or less, if nobody looked earlier.
  void learn(std::uint64_t weight, Duration taken) noexcept {
    if (weight < kTelling) return;
    const double ns = static_cast<double>(taken.count()) / static_cast<double>(weight);
    ns_each_ += (ns - ns_each_) / 4;
  }

 private:
  // Of less the time is mostly that of its start.
  static constexpr std::uint64_t kTelling = 16 << 20;

  double ns_each_ = 1.0 / 380;  // NVLink's, at first
};

}  // namespace nixl_connect::paths::cuda
