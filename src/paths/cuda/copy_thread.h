// SPDX-License-Identifier: Apache-2.0
//
// The CUDA thread of a Connector: the only one that calls the driver for transfers. It
// is started with the first copy and sleeps when there is none. One thread at a time
// owns it, adds copies and takes what has ended.
#pragma once

#include <sched.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/exported_memory.h"
#include "paths/cuda/device_copy.h"
#include "paths/cuda/page_kernel_image.h"

namespace nixl_connect::paths::cuda {

class CopyThread {
 public:
  // What it calls, on itself and under no lock.
  struct Calls {
    // has_ended(). `are_left`, valid during the call: whether it still has.
    std::function<void(const std::atomic<bool>& are_left)> ended;
    // A copy is likely to end in kWakingTakes (pace.h), so that who is woken now is
    // awake by then. Of each copy once.
    std::function<void()> nears_end;
  };

  // It runs on the cores that the calling thread may use. `kernel_image`: none, if the
  // copy engines are to do it all.
  CopyThread(const Driver& driver, Calls calls,
             const void* kernel_image = page_kernel_image());
  // Waits for what the GPUs were given, and leaves the rest; no end is told any more.
  ~CopyThread();
  CopyThread(const CopyThread&) = delete;
  CopyThread& operator=(const CopyThread&) = delete;

  // Its end, however it comes, is told by take_ended() once. Throws
  // Error(kNoResources) if the system has no thread left, Error(kUnsupported) in a
  // child made by fork().
  void add(CopyTag tag, std::shared_ptr<DeviceCopy> copy);

  // Closes memory of an owner that has gone, when no copy uses it any more.
  void drop(const Instance& owner);

  bool has_ended() const noexcept;
  // Copies at their end. Empties `tags` first.
  void take_ended(std::vector<CopyTag>& tags);

 private:
  struct Shared;  // by the owner and the thread
  class Run;

  void host_memory_goes(std::uint64_t id);
  void start();
  void abandon() noexcept;

  const Driver& driver_;
  const void* const kernel_image_;
  cpu_set_t cores_;
  std::unique_ptr<Shared> shared_;
  std::thread thread_;
  const base::ExportedMemory::Watch watch_;
};

}  // namespace nixl_connect::paths::cuda
