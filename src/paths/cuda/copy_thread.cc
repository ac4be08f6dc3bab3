// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_thread.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

#include "paths/cuda/copy_loop.h"
#include "paths/cuda/pace.h"

namespace nixl_connect::paths::cuda {

struct CopyThread::Shared {
  struct Added {
    CopyTag tag;
    std::shared_ptr<DeviceCopy> copy;
  };

  explicit Shared(Calls called) : calls(std::move(called)) {}

  const Calls calls;
  std::atomic<bool> has_ended{false};
  std::atomic<bool> has_news{false};  // for the thread
  std::mutex mutex;
  std::condition_variable wake;
  // Guarded by mutex.
  std::deque<Added> added;
  std::vector<Instance> dropped;
  std::vector<std::uint64_t> gone;  // memory of this process's host side
  bool has_pinned = false;          // so that such memory may be pinned
  std::vector<CopyTag> ended_tags;
  bool is_closing = false;
};

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// A thread that looks all the time does so often between two looks at the clock, which
// cost more.
constexpr int kLooks = 16;

// While a copy waits for a stream of a user's, which nothing else tells of.
constexpr microseconds kMostNapForStreams{100};

// How long a copy is held that may deadlock with others: most end sooner, and one that
// does not may wait for a peer who waits for the held one. What is to be closed is held
// as long, or memory of peers that are gone would stay while others are busy.
constexpr std::chrono::seconds kMostHeld{1};

}  // namespace

// What runs on the thread.
class CopyThread::Run {
 public:
  Run(Shared& shared, const Driver& driver, const void* kernel_image, bool may_spin)
      : shared_(shared), may_spin_(may_spin), loop_(driver, kernel_image) {}

  void operator()() {
    // Or naps of this thread would end 50 us late.
    ::prctl(PR_SET_TIMERSLACK, 1000UL);
    while (take_news()) {
      if (loop_.advance()) last_change_ = Clock::now();
      tell_ends();
      if (!loop_.has_copies()) {
        if (held_.copy == nullptr && !is_any_to_close()) sleep();
      } else if (!shared_.has_news.load()) {
        await_change();
      }
    }
    // Nothing is told any more, and nobody counts microseconds.
    while (loop_.is_anything_under_way()) {
      loop_.look_closely();
      std::this_thread::sleep_for(kLeastNap);
    }
  }

 private:
  // One copy at a time, since to start it may take milliseconds, and the others have to
  // go on meanwhile. False if the thread is to end.
  bool take_news() {
    start_held();
    close_dropped();
    if (!shared_.has_news.load()) return true;
    Shared::Added added{};
    const bool was_any_to_close = is_any_to_close();
    {
      const std::lock_guard lock(shared_.mutex);
      if (shared_.is_closing) return false;
      move_to_end(shared_.dropped, dropped_);
      move_to_end(shared_.gone, gone_);
      if (!shared_.added.empty() && held_.copy == nullptr) {
        added = std::move(shared_.added.front());
        shared_.added.pop_front();
      }
      shared_.has_news.store(!shared_.added.empty() && held_.copy == nullptr);
    }
    last_change_ = Clock::now();
    if (!was_any_to_close) close_until_ = last_change_ + kMostHeld;
    close_dropped();
    if (added.copy == nullptr) return true;
    held_ = std::move(added);
    held_until_ = last_change_ + kMostHeld;
    start_held();
    return true;
  }

  // Unless it may deadlock with others. Those behind it wait too.
  void start_held() {
    if (held_.copy == nullptr) return;
    if (!held_.copy->was_stopped() && loop_.may_deadlock_with(*held_.copy) &&
        Clock::now() < held_until_)
      return;
    loop_.start(held_.tag, std::exchange(held_.copy, nullptr));
    const std::lock_guard lock(shared_.mutex);
    if (!shared_.added.empty()) shared_.has_news.store(true);
  }

  template <typename Each>
  static void move_to_end(std::vector<Each>& from, std::vector<Each>& to) {
    to.insert(to.end(), from.begin(), from.end());
    from.clear();
  }

  bool is_any_to_close() const noexcept { return !dropped_.empty() || !gone_.empty(); }

  // Unless that may deadlock with copies.
  void close_dropped() {
    if (!is_any_to_close()) return;
    if (Clock::now() < close_until_ && loop_.may_deadlock()) return;
    for (const Instance& owner : dropped_) loop_.drop(owner);
    for (const std::uint64_t id : gone_) loop_.drop_host_memory(id);
    dropped_.clear();
    gone_.clear();
  }

  void tell_ends() {
    loop_.take_ended(ended_);
    if (ended_.empty()) return;
    {
      const std::lock_guard lock(shared_.mutex);
      shared_.ended_tags.insert(shared_.ended_tags.end(), ended_.begin(), ended_.end());
      shared_.has_ended.store(true);
    }
    shared_.calls.ended(shared_.has_ended);
  }

  // To be woken takes several times as long as to start a small copy, and one that has
  // ended is often followed by the next.
  void sleep() {
    while (may_spin_ && Clock::now() - last_change_ < kSpin) {
      for (int look = 0; look < kLooks; ++look)
        if (shared_.has_news.load()) return;
      std::this_thread::yield();
    }
    std::unique_lock lock(shared_.mutex);
    shared_.wake.wait(lock, [&] { return shared_.has_news.load(); });
  }

  // The end of a batch is awaited without any call that blocks in the driver: it would
  // hold up the copies on other streams, and those that are yet to come. The thread
  // looks at the words all the time around the moment when the end is likely to come.
  // Before, and long after, it naps, and asks the driver before each nap: after an
  // error no word is written. What comes later than was thought is noticed an eighth of
  // the wait later at most.

  // How long nothing is likely to change; 0 for a moment only.
  microseconds quiet_time() const {
    const auto now = Clock::now();
    const auto end = loop_.next_end();
    const bool is_known = end != Clock::time_point::max();
    const auto due = is_known ? end - kWakingTakes : last_change_;
    if (may_spin_ && now >= due && now < (is_known ? end : due) + kSpin)
      return microseconds(0);
    const microseconds most = loop_.is_any_waiting() ? kMostNapForStreams : kMostNap;
    const auto nap = now < due ? due - now : (now - last_change_) / 8;
    return std::clamp(std::chrono::duration_cast<microseconds>(nap), kLeastNap, most);
  }

  void await_change() {
    const microseconds nap = quiet_time();
    if (nap == microseconds(0)) {
      if (loop_.take_near_end()) shared_.calls.nears_end();
      for (int look = 0; look < kLooks; ++look)
        if (loop_.is_any_done() || shared_.has_news.load()) return;
      return std::this_thread::yield();
    }
    if (loop_.look_closely()) {
      last_change_ = Clock::now();
      return;
    }
    std::unique_lock lock(shared_.mutex);
    shared_.wake.wait_for(lock, nap, [&] { return shared_.has_news.load(); });
  }

  Shared& shared_;
  const bool may_spin_;
  CopyLoop loop_;
  std::vector<CopyTag> ended_;
  Shared::Added held_{};
  Clock::time_point held_until_{};
  std::vector<Instance> dropped_;    // whose memory is to be closed
  std::vector<std::uint64_t> gone_;  // the same, of this process's host side
  Clock::time_point close_until_{};
  Clock::time_point last_change_ = Clock::now();
};

CopyThread::CopyThread(const Driver& driver, Calls calls, const void* kernel_image)
    : driver_(driver),
      kernel_image_(kernel_image),
      shared_(std::make_unique<Shared>(std::move(calls))),
      watch_([this](std::uint64_t id) { host_memory_goes(id); }) {
  CPU_ZERO(&cores_);
  ::sched_getaffinity(0, sizeof cores_, &cores_);
}

CopyThread::~CopyThread() {
  if (!driver_.is_of_this_process()) {
    abandon();
    return;
  }
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->is_closing = true;
    shared_->has_news.store(true);
  }
  shared_->wake.notify_one();
  if (thread_.joinable()) thread_.join();
}

// In a forked child there is no such thread, and it may have held the mutex.
void CopyThread::abandon() noexcept {
  [[maybe_unused]] auto* leaked_share = shared_.release();
  [[maybe_unused]] auto* leaked_thread = new std::thread(std::move(thread_));
}

void CopyThread::add(CopyTag tag, std::shared_ptr<DeviceCopy> copy) {
  if (!driver_.is_of_this_process())
    throw Error(ErrorKind::kUnsupported,
                "copying GPU memory: CUDA was started before fork() and does not work "
                "in the child; start processes by spawn or exec");
  if (!thread_.joinable()) start();
  {
    const std::lock_guard lock(shared_->mutex);
    if (copy->pins_host_memory()) shared_->has_pinned = true;
    shared_->added.push_back({tag, std::move(copy)});
    shared_->has_news.store(true);
  }
  shared_->wake.notify_one();
}

// The owner may be any thread and bound to one core.
void CopyThread::start() {
  const bool may_spin = CPU_COUNT(&cores_) != 1;
  try {
    thread_ =
        std::thread([shared = shared_.get(), &driver = driver_, image = kernel_image_,
                     may_spin] { Run(*shared, driver, image, may_spin)(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorKind::kNoResources,
                std::string("starting the CUDA thread: ") + error.what());
  }
  const pthread_t thread = thread_.native_handle();
  ::pthread_setname_np(thread, "nixl_cuda");
  if (CPU_COUNT(&cores_) > 0) ::pthread_setaffinity_np(thread, sizeof cores_, &cores_);
}

void CopyThread::drop(const Instance& owner) {
  if (!thread_.joinable() || !driver_.is_of_this_process()) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->dropped.push_back(owner);
    shared_->has_news.store(true);
  }
  shared_->wake.notify_one();
}

// Any thread.
void CopyThread::host_memory_goes(std::uint64_t id) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->has_pinned) return;
    shared_->gone.push_back(id);
    shared_->has_news.store(true);
  }
  shared_->wake.notify_one();
}

bool CopyThread::has_ended() const noexcept { return shared_->has_ended.load(); }

void CopyThread::take_ended(std::vector<CopyTag>& tags) {
  tags.clear();
  if (!has_ended()) return;
  const std::lock_guard lock(shared_->mutex);
  shared_->has_ended.store(false);
  tags.swap(shared_->ended_tags);
}

}  // namespace nixl_connect::paths::cuda
