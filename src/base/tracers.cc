// SPDX-License-Identifier: Apache-2.0
#include "base/tracers.h"

#include <sys/prctl.h>

#include "base/log.h"

namespace nixl_connect::base {

// Alive until the process ends, as a Connector may go very late. A process that has
// gone meanwhile is nobody to name; the kernel says so, and nothing is lost.
Tracers& Tracers::of_this_process() {
  static Tracers& instance = *new Tracers([](unsigned long who) {
    if (::prctl(PR_SET_PTRACER, who, 0, 0, 0) != 0)
      log_debug("prctl(PR_SET_PTRACER) failed");
  });
  return instance;
}

void Tracers::add(pid_t tracer) {
  const std::lock_guard lock(mutex_);
  const unsigned long before = wanted();
  ++counts_[tracer];
  set_if_changed(before);
}

void Tracers::remove(pid_t tracer) {
  const std::lock_guard lock(mutex_);
  const unsigned long before = wanted();
  if (const auto found = counts_.find(tracer);
      found != counts_.end() && --found->second == 0)
    counts_.erase(found);
  set_if_changed(before);
}

void Tracers::add_everybody() {
  const std::lock_guard lock(mutex_);
  ++everybody_;
}

void Tracers::remove_everybody() {
  const std::lock_guard lock(mutex_);
  --everybody_;
}

void Tracers::restore() {
  const std::lock_guard lock(mutex_);
  if (generation_ == fork_generation()) set_(wanted());
}

// With the mutex, as the next one.
unsigned long Tracers::wanted() const noexcept {
  if (everybody_ > 0 || counts_.size() > 1) return kEverybody;
  return counts_.empty() ? 0 : static_cast<unsigned long>(counts_.begin()->first);
}

// A forked child has a permission of its own, which is nobody's.
void Tracers::set_if_changed(unsigned long before) {
  if (wanted() != before && generation_ == fork_generation()) set_(wanted());
}

}  // namespace nixl_connect::base
