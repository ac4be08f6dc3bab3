// SPDX-License-Identifier: Apache-2.0
//
// Which processes may reach into the memory of this one where Yama's scope is 1. The
// kernel keeps one answer for a process: none, a process and its children, or all of
// the user's. What the Connectors of this process need is kept together here.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "base/fork.h"

namespace nixl_connect::base {

class Tracers {
 public:
  // prctl(PR_SET_PTRACER, `who`): 0, a pid, or kEverybody.
  using Set = std::function<void(unsigned long who)>;
  static constexpr unsigned long kEverybody = ~0UL;

  explicit Tracers(Set set) : set_(std::move(set)) {}

  // Those of this process.
  static Tracers& of_this_process();

  // As often as add(), remove(). Two processes at once need that all may.
  void add(pid_t tracer);
  void remove(pid_t tracer);

  // Between these two everybody may, because somebody else has said so to the kernel;
  // nothing is taken away from them.
  void add_everybody();
  void remove_everybody();

  // Says it to the kernel anew: somebody else may have said another thing.
  void restore();

 private:
  unsigned long wanted() const noexcept;
  void set_if_changed(unsigned long before);

  const Set set_;
  const std::uint64_t generation_ = fork_generation();

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<pid_t, unsigned> counts_;
  unsigned everybody_ = 0;
};

}  // namespace nixl_connect::base
