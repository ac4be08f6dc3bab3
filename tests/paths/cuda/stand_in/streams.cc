// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stand_in/streams.h"

#include <array>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/events.h"
#include "paths/cuda/stand_in/functions.h"

namespace nixl_connect::paths::cuda {
namespace stand_in {
namespace {

class Gate {
 public:
  void set(bool is_shut) {
    const std::lock_guard lock(mutex_);
    is_shut_ = is_shut;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !is_shut_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_shut_ = false;
};

Gate& gate() {
  static auto& gate = *new Gate;
  return gate;
}

// How much work there is on all streams.
class Load {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void remove() {
    const std::lock_guard lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void wait_for_none() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

Load& load() {
  static auto& load = *new Load;
  return load;
}

// The part of it that waits for words.
Load& waits() {
  static auto& waits = *new Load;
  return waits;
}

// Kept by the thread as well, which ends when its work is done and nobody can add any.
struct Queue {
  CuContext context = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> work;
  bool is_busy = false;
  bool is_closed = false;

  bool is_idle() const { return work.empty() && !is_busy; }
};

void run(const std::shared_ptr<Queue>& queue) {
  std::unique_lock lock(queue->mutex);
  while (true) {
    queue->changed.wait(lock, [&] { return !queue->work.empty() || queue->is_closed; });
    if (queue->work.empty()) return;
    Work work = std::move(queue->work.front());
    queue->work.pop_front();
    queue->is_busy = true;
    lock.unlock();
    gate().pass();
    CuContext context = queue->context;
    if (context->sticky == kCuSuccess) {
      const CuResult result = work(context->device);
      if (result != kCuSuccess) context->sticky = result;
    }
    work = nullptr;
    load().remove();
    lock.lock();
    queue->is_busy = false;
    queue->changed.notify_all();
  }
}

std::shared_ptr<Queue> start(CuContext context) {
  auto queue = std::make_shared<Queue>();
  queue->context = context;
  std::thread([queue] { run(queue); }).detach();
  return queue;
}

}  // namespace
}  // namespace stand_in

struct CuStreamObject {
  std::shared_ptr<stand_in::Queue> queue;
};

namespace stand_in {
namespace {

struct Streams {
  std::mutex mutex;
  std::set<CuStream> made;
  std::array<std::shared_ptr<Queue>, kDevices> defaults;
  std::map<std::pair<std::thread::id, CuDevice>, std::shared_ptr<Queue>> of_threads;
};

Streams& streams() {
  static auto& streams = *new Streams;
  return streams;
}

// Nothing if there is no such stream.
std::shared_ptr<Queue> queue_of(CuStream stream) {
  constexpr std::uintptr_t kLegacy = 1;
  constexpr std::uintptr_t kPerThread = 2;
  const auto name = reinterpret_cast<std::uintptr_t>(stream);
  const std::lock_guard lock(streams().mutex);
  if (name > kPerThread)
    return streams().made.contains(stream) ? stream->queue : nullptr;
  const CuContext context = current_context();
  if (context == nullptr) return nullptr;
  auto& queue =
      name <= kLegacy
          ? streams().defaults.at(static_cast<std::size_t>(context->device))
          : streams().of_threads[{std::this_thread::get_id(), context->device}];
  if (queue == nullptr) queue = start(context);
  return queue;
}

}  // namespace

void hold_streams() { gate().set(true); }
void release_streams() { gate().set(false); }
void wait_for_streams() { load().wait_for_none(); }

std::shared_ptr<const void> begin_stream_wait() {
  waits().add();
  return {&waits(), [](Load* load) { load->remove(); }};
}
void wait_for_waiting_streams() { waits().wait_for_none(); }

std::size_t objects() {
  const std::lock_guard lock(streams().mutex);
  return streams().made.size() + events();
}

CuContext context_of(CuStream stream) {
  const auto queue = queue_of(stream);
  return queue == nullptr ? nullptr : queue->context;
}

CuResult enqueue(CuStream stream, Work work) {
  const auto queue = queue_of(stream);
  if (queue == nullptr) return kCuInvalidHandle;
  if (const CuResult sticky = queue->context->sticky; sticky != kCuSuccess)
    return sticky;
  const std::lock_guard lock(queue->mutex);
  queue->work.push_back(std::move(work));
  load().add();
  queue->changed.notify_all();
  return kCuSuccess;
}

CuResult stream_create(CuStream* stream, unsigned /*flags*/) {
  const CuContext context = current_context();
  if (context == nullptr) return kCuInvalidContext;
  *stream = new CuStreamObject{start(context)};
  const std::lock_guard lock(streams().mutex);
  streams().made.insert(*stream);
  return kCuSuccess;
}

CuResult stream_destroy(CuStream stream) {
  {
    const std::lock_guard lock(streams().mutex);
    if (streams().made.erase(stream) == 0) return kCuInvalidHandle;
  }
  {
    const std::lock_guard lock(stream->queue->mutex);
    stream->queue->is_closed = true;
    stream->queue->changed.notify_all();
  }
  delete stream;
  return kCuSuccess;
}

CuResult stream_query(CuStream stream) {
  const auto queue = queue_of(stream);
  if (queue == nullptr) return kCuInvalidHandle;
  const std::lock_guard lock(queue->mutex);
  if (const CuResult sticky = queue->context->sticky; sticky != kCuSuccess)
    return sticky;
  return queue->is_idle() ? kCuSuccess : kCuNotReady;
}

CuResult stream_synchronize(CuStream stream) {
  const auto queue = queue_of(stream);
  if (queue == nullptr) return kCuInvalidHandle;
  std::unique_lock lock(queue->mutex);
  queue->changed.wait(lock, [&] { return queue->is_idle(); });
  return queue->context->sticky;
}

}  // namespace stand_in
}  // namespace nixl_connect::paths::cuda
