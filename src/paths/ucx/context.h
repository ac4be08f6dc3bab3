// SPDX-License-Identifier: Apache-2.0
//
// A UCX context: settings, and memory made reachable. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "paths/ucx/library.h"

namespace nixl_connect::paths::ucx {

struct ContextOptions {
  std::string net_devices;  // empty: all
  bool network = true;      // false: loopback only, whatever else is said
  bool cma = true;          // false: no CMA, in either direction
  bool gpus = false;        // true: carries memory of GPUs as well, by CUDA
  // Of these: false: opens no memory of other processes, and needs no handles of it.
  bool cuda_ipc = true;
};

class Context {
 public:
  // Throws Error(kNoResources) or Error(kUnsupported) with UCX's own words. Settings of
  // ours give way to UCX_* variables of the user, except what `options` says. With
  // `gpus`, a context of CUDA is current on this thread, and whenever anything is done
  // with what belongs to this; Error(kUnsupported) says why UCX does without GPUs.
  Context(const Library& library, const ContextOptions& options);

  const Library& library() const noexcept { return library_; }
  ucp_context_h raw() const noexcept { return context_.get(); }
  bool has_cuda_ipc() const noexcept { return has_cuda_ipc_; }

  // Keeps the UCX context alive beyond this object: for a worker that has to be left
  // alive.
  std::shared_ptr<ucp_context> share() const noexcept { return context_; }

 private:
  const Library& library_;
  const bool has_cuda_ipc_;
  std::shared_ptr<ucp_context> context_;
};

enum class MemoryKind { kHost, kGpu };

// Memory made reachable, with the key that peers need. Unmapped by the destructor,
// which therefore runs only when nothing uses the memory any more.
class Registration {
 public:
  // `size` > 0. The memory may be read-only. That of a GPU lies in one allocation, and
  // the context is one with `gpus`. Throws Error(kInvalidArgument) if UCX cannot
  // register the range.
  Registration(const Context& context, std::uintptr_t address, std::size_t size,
               MemoryKind kind = MemoryKind::kHost);
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration();

  // Empty for memory of a GPU that peers cannot reach by it.
  const base::Bytes& packed_rkey() const noexcept { return packed_rkey_; }
  MemoryKind kind() const noexcept { return kind_; }
  ucp_mem_h raw() const noexcept { return memory_; }

 private:
  ucs_status_t pack();

  const Context& context_;
  const MemoryKind kind_;
  ucp_mem_h memory_ = nullptr;
  base::Bytes packed_rkey_;
};

}  // namespace nixl_connect::paths::ucx
