// SPDX-License-Identifier: Apache-2.0
#include "paths/host/copy_pool.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace nixl_connect::paths::host {

CopyPool::CopyPool(unsigned threads, std::function<void()> ended, Owner owner)
    : wanted_threads_(threads), ended_(std::move(ended)), owner_(owner) {
  CPU_ZERO(&cores_);
  ::sched_getaffinity(0, sizeof cores_, &cores_);
}

CopyPool::~CopyPool() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CopyPool::add(Tag tag, std::shared_ptr<Copy> copy) {
  if (threads_.empty()) start_threads();
  const std::size_t owners = owner_ == Owner::kHelps ? 1 : 0;
  if (threads_.size() + owners == 0)
    throw Error(ErrorKind::kNoResources,
                "copying: the system has no thread left to do it");
  const std::size_t helpers =
      std::min(copy->pieces(), threads_.size() + owners) - owners;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({tag, std::move(copy)});
    has_jobs_.store(true);
  }
  // One system call for all is far cheaper than one for each.
  if (helpers == threads_.size()) return wake_.notify_all();
  for (std::size_t i = 0; i < helpers; ++i) wake_.notify_one();
}

// The owner, who may be any thread and bound to one core, does it all (if it helps)
// where the system has no threads left.
void CopyPool::start_threads() {
  try {
    for (unsigned i = 0; i < wanted_threads_; ++i) {
      threads_.emplace_back([this] { run(); });
      const pthread_t thread = threads_.back().native_handle();
      ::pthread_setname_np(thread, "nixl_copy");
      if (CPU_COUNT(&cores_) > 0)
        ::pthread_setaffinity_np(thread, sizeof cores_, &cores_);
    }
  } catch (const std::system_error&) {
  }
}

bool CopyPool::help() {
  if (!has_jobs_.load()) return false;
  while (const auto job = next_job())
    if (move_piece(*job)) return true;
  return false;
}

void CopyPool::run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return is_closing_ || !jobs_.empty(); });
      if (is_closing_) return;
    }
    help();
    if (has_ended()) ended_();
  }
}

// The smallest, of several the oldest; but now and then the oldest of all, so that none
// waits for ever.
std::optional<CopyPool::Job> CopyPool::next_job() {
  constexpr unsigned kForTheOldest = 4;
  const std::lock_guard lock(mutex_);
  if (jobs_.empty()) return std::nullopt;
  if (++picks_ % kForTheOldest == 0) return jobs_.front();
  return *std::min_element(jobs_.begin(), jobs_.end(), [](const Job& a, const Job& b) {
    return a.copy->pieces() < b.copy->pieces();
  });
}

// False if there was none left.
bool CopyPool::move_piece(const Job& job) {
  switch (job.copy->move_piece()) {
    case Copy::Step::kNothingLeft:
      remove(job);
      return false;
    case Copy::Step::kGoesOn:
      return true;
    case Copy::Step::kEnded:
      break;
  }
  remove(job);
  const std::lock_guard lock(mutex_);
  ended_tags_.push_back(job.tag);
  has_ended_.store(true);
  return true;
}

void CopyPool::remove(const Job& job) {
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&](const Job& each) { return each.copy == job.copy; });
  has_jobs_.store(!jobs_.empty());
}

void CopyPool::take_ended(std::vector<Tag>& tags) {
  tags.clear();
  if (!has_ended()) return;
  const std::lock_guard lock(mutex_);
  has_ended_.store(false);
  tags.swap(ended_tags_);
}

}  // namespace nixl_connect::paths::host
