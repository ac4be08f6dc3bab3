// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stream_points.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace nixl_connect::paths::cuda {
namespace {

using Recorded = StreamPoint::Recorded;

// The events of this process that are for no point now, and the points that others can
// open.
class Pool {
 public:
  // Never destroyed: threads that outlive main() may use it.
  static Pool& instance() {
    static auto& pool = *new Pool;
    return pool;
  }

  CuContext context_of(const Driver& driver, CuDevice device) {
    const std::lock_guard lock(mutex_);
    auto context = contexts_.find({&driver, device});
    if (context == contexts_.end())
      context =
          contexts_.emplace(std::pair(&driver, device), PrimaryContext(driver, device))
              .first;
    return context->second.get();
  }

  // With the context current.
  Recorded take(const Driver& driver, CuContext context, EventReach reach) {
    {
      const std::lock_guard lock(mutex_);
      auto& free = free_[{context, reach == EventReach::kAllProcesses}];
      if (!free.empty()) {
        const Recorded taken = free.back();
        free.pop_back();
        return taken;
      }
    }
    Event event = make_event(driver, reach);
    Recorded made{&driver, context, event.get(), std::nullopt};
    if (reach == EventReach::kAllProcesses)
      driver.check(
          driver.functions.ipc_get_event_handle(&made.handle.emplace(), made.event),
          "exporting a CUDA event");
    [[maybe_unused]] auto* kept = new Event(std::move(event));
    return made;
  }

  void give_back(const Recorded& recorded) {
    const std::lock_guard lock(mutex_);
    if (recorded.handle) exported_.erase(recorded.handle->bytes);
    free_[{recorded.context, recorded.handle.has_value()}].push_back(recorded);
  }

  void add(const StreamPointPtr& point) {
    if (!point->handle()) return;
    const std::lock_guard lock(mutex_);
    exported_[point->handle()->bytes] = point;
  }

  StreamPointPtr find(const CuIpcHandle& handle) {
    const std::lock_guard lock(mutex_);
    const auto found = exported_.find(handle.bytes);
    return found == exported_.end() ? nullptr : found->second.lock();
  }

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::pair<const Driver*, CuDevice>, PrimaryContext> contexts_;
  std::map<std::pair<CuContext, bool>, std::vector<Recorded>> free_;
  std::map<std::array<std::byte, sizeof(CuIpcHandle)>, std::weak_ptr<const StreamPoint>>
      exported_;
};

}  // namespace

// In a child made by fork() the pool may be locked for ever.
StreamPoint::~StreamPoint() {
  if (recorded_.driver->is_of_this_process()) Pool::instance().give_back(recorded_);
}

bool StreamPoint::has_come() const {
  const Driver& driver = *recorded_.driver;
  const CurrentContext current(driver, recorded_.context);
  const CuResult result = driver.functions.event_query(recorded_.event);
  if (result == kCuNotReady) return false;
  driver.check(result, "waiting for what a CUDA stream was given");
  return true;
}

void StreamPoint::await() const {
  using std::chrono::microseconds;
  constexpr microseconds kLongestNap{200};
  for (microseconds nap{5}; !has_come(); nap = std::min(2 * nap, kLongestNap))
    std::this_thread::sleep_for(nap);
}

StreamPointPtr record_point(const Driver& driver, CuDevice device, CuStream stream,
                            EventReach reach) {
  Pool& pool = Pool::instance();
  const CuContext context = pool.context_of(driver, device);
  const CurrentContext current(driver, context);
  auto point = std::make_shared<const StreamPoint>(pool.take(driver, context, reach));
  const CuResult result = driver.functions.event_record(point->event(), stream);
  if (result == kCuInvalidHandle || result == kCuInvalidContext)
    throw Error(ErrorKind::kInvalidArgument,
                "the stream is none of GPU " + std::to_string(device) +
                    ", which has the memory: " + driver.describe(result));
  driver.check(result, "recording an event on a CUDA stream");
  pool.add(point);
  return point;
}

StreamPointPtr find_point(const CuIpcHandle& handle) {
  return Pool::instance().find(handle);
}

}  // namespace nixl_connect::paths::cuda
