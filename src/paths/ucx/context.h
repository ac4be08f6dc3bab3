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
};

class Context {
 public:
  // Throws Error(kNoResources) or Error(kUnsupported) with UCX's own words. Settings of
  // ours give way to UCX_* variables of the user, except what `options` says.
  Context(const Library& library, const ContextOptions& options);

  const Library& library() const noexcept { return library_; }
  ucp_context_h raw() const noexcept { return context_.get(); }

  // Keeps the UCX context alive beyond this object: for a worker that has to be left
  // alive.
  std::shared_ptr<ucp_context> share() const noexcept { return context_; }

 private:
  const Library& library_;
  std::shared_ptr<ucp_context> context_;
};

// Memory made reachable, with the key that peers need. Unmapped by the destructor,
// which therefore runs only when nothing uses the memory any more.
class Registration {
 public:
  // `size` > 0. The memory may be read-only. Throws Error(kInvalidArgument) if UCX
  // cannot register the range.
  Registration(const Context& context, std::uintptr_t address, std::size_t size);
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration();

  const base::Bytes& packed_rkey() const noexcept { return packed_rkey_; }
  ucp_mem_h raw() const noexcept { return memory_; }

 private:
  const Context& context_;
  ucp_mem_h memory_ = nullptr;
  base::Bytes packed_rkey_;
};

}  // namespace nixl_connect::paths::ucx
