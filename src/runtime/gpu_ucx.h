// SPDX-License-Identifier: Apache-2.0
//
// UCX for memory of GPUs: a context and a worker of their own, made when they are first
// needed. So who has no GPU pays nothing, and no memory of the host is pinned, as UCX
// does in a context that knows CUDA. A Connector has two. That for NIXL agents opens
// their memory (CUDA IPC), and is made when memory of a GPU is first exposed; that
// between Connectors opens none, since cuda.peer may have it open, and is made when
// such memory is first to go by ucx. What happens to a worker is heard on the event
// descriptor of the Connector's first one. Thread-safe, but for the worker.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "paths/cuda/allocations.h"
#include "paths/cuda/handles.h"
#include "paths/ucx/context.h"
#include "paths/ucx/worker.h"

namespace nixl_connect::runtime {

class Gpus;

class GpuUcx {
 public:
  // `heard_by` is there when open() is called, and not destroyed before close().
  GpuUcx(const paths::ucx::Library& library, paths::ucx::ContextOptions options,
         Gpus& gpus, const std::unique_ptr<paths::ucx::Worker>& heard_by);

  // On the first call makes context and worker, which takes some 20 ms, with a CUDA
  // context of that GPU (none: any). False if they cannot be had; why_not() says why.
  bool open(std::optional<int> device);
  // Whether open() has said yes, or is not known to say no: without making anything.
  bool may_open();

  // "no CUDA driver: ..."; null unless one of these has said no.
  std::shared_ptr<const std::string> why_not() const;

  // The rest is for when open() has said yes.

  // One for all of an allocation, and for all who ask while any of them has it. Throws
  // what paths::ucx::Registration and PrimaryContext throw.
  std::shared_ptr<const paths::ucx::Registration> registration_of(
      const paths::cuda::DeviceAllocation& allocation);

  // Of the worker.
  base::Bytes address() const;

  // For whoever has the turn, with a Current. Null before open() has said yes.
  paths::ucx::Worker* worker() const noexcept { return worker_.load(); }

  // What has made CUDA useless to this process; empty if nothing has. With the turn.
  std::string why_failed() const;

  // Makes a CUDA context current on this thread as long as it lives, and then the one
  // from before again: UCX asks for one in all that has to do with GPUs. Does nothing
  // before open() has said yes, or if CUDA has failed for good.
  class Current {
   public:
    explicit Current(const GpuUcx& ucx) noexcept;
    // Of that GPU.
    Current(GpuUcx& ucx, int device) noexcept;

   private:
    std::optional<paths::cuda::CurrentContext> context_;
  };

  // Destroys the worker; open() says no from then on. With the turn, for ever.
  void close() noexcept;

 private:
  // Number of the GPU, buffer ids of the chunks.
  using Key = std::pair<int, std::vector<std::uint64_t>>;

  void check();
  void make(std::optional<int> device);

  const paths::ucx::Library& library_;
  const paths::ucx::ContextOptions options_;
  Gpus& gpus_;
  const std::unique_ptr<paths::ucx::Worker>& heard_by_;

  mutable std::mutex mutex_;
  // Guarded by mutex_; constant once worker_ is there.
  std::shared_ptr<const std::string> why_not_;
  std::unique_ptr<const paths::ucx::Context> context_;
  std::unique_ptr<paths::ucx::Worker> owned_worker_;
  base::Bytes address_;
  const paths::cuda::Driver* driver_ = nullptr;
  paths::cuda::CuContext cuda_context_ = nullptr;
  // Guarded by mutex_.
  std::map<Key, std::weak_ptr<const paths::ucx::Registration>> registrations_;

  std::atomic<paths::ucx::Worker*> worker_{nullptr};
};

}  // namespace nixl_connect::runtime
