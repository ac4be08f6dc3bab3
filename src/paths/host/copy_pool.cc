// SPDX-License-Identifier: Apache-2.0
#include "paths/host/copy_pool.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace nixl_connect::paths::host {

CopyPool::CopyPool(unsigned threads, std::function<void()> ended)
    : wanted_threads_(threads), ended_(std::move(ended)) {}

CopyPool::~CopyPool() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CopyPool::add(Tag tag, std::shared_ptr<CmaCopy> copy) {
  if (threads_.empty()) start_threads();
  const std::size_t helpers = std::min(copy->pieces(), threads_.size() + 1) - 1;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({tag, std::move(copy)});
  }
  for (std::size_t i = 0; i < helpers; ++i) wake_.notify_one();
}

// The owner does it all where the system has no threads left.
void CopyPool::start_threads() {
  try {
    for (unsigned i = 0; i < wanted_threads_; ++i) {
      threads_.emplace_back([this] { run(); });
      ::pthread_setname_np(threads_.back().native_handle(), "nixl_copy");
    }
  } catch (const std::system_error&) {
  }
}

bool CopyPool::help() {
  std::unique_lock lock(mutex_);
  while (!jobs_.empty()) {
    const Job job = jobs_.front();
    lock.unlock();
    if (move_piece(job)) return true;
    lock.lock();
  }
  return false;
}

void CopyPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return is_closing_ || !jobs_.empty(); });
    if (is_closing_) return;
    const Job job = jobs_.front();
    lock.unlock();
    while (move_piece(job)) {
    }
    if (has_ended()) ended_();
    lock.lock();
  }
}

// False if nothing was left: then the job is no longer in the list.
bool CopyPool::move_piece(const Job& job) {
  const CmaCopy::Step step = job.copy->move_piece();
  if (step == CmaCopy::Step::kMoved) return true;
  const std::lock_guard lock(mutex_);
  if (!jobs_.empty() && jobs_.front().copy == job.copy) jobs_.pop_front();
  if (step == CmaCopy::Step::kNothingLeft) return false;
  ended_tags_.push_back(job.tag);
  has_ended_.store(true);
  return true;
}

void CopyPool::take_ended(std::vector<Tag>& tags) {
  tags.clear();
  if (!has_ended()) return;
  const std::lock_guard lock(mutex_);
  has_ended_.store(false);
  tags.swap(ended_tags_);
}

}  // namespace nixl_connect::paths::host
