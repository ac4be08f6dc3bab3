// SPDX-License-Identifier: Apache-2.0
#include "runtime/progress_thread.h"

#include <pthread.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/fork.h"
#include "runtime/dispatcher.h"
#include "runtime/resources.h"
#include "runtime/sleeper.h"

namespace nixl_connect::runtime {
namespace {

inline void relax_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spinning on the only core would keep the peer from answering.
core::Time spin_time(const ConnectorOptions& options) {
  return std::thread::hardware_concurrency() > 1 ? core::Time(options.spin)
                                                 : core::Time(0);
}

void sleep_if_idle(Dispatcher& dispatcher, Mailbox& mailbox, Sleeper& sleeper) {
  dispatcher.finish_before_sleep();
  if (!mailbox.may_sleep()) return;
  if (dispatcher.worker().arm()) sleeper.sleep_until(dispatcher.next_deadline());
  mailbox.awake();
}

void run(Resources& resources, Dispatcher& dispatcher, Sleeper& sleeper) {
  Mailbox& mailbox = *resources.mailbox;
  const core::Time spin = spin_time(resources.options);
  while (!dispatcher.is_closed()) {
    if (dispatcher.turn()) continue;
    if (now() - dispatcher.last_activity() < spin) {
      relax_cpu();
    } else {
      sleep_if_idle(dispatcher, mailbox, sleeper);
    }
  }
}

void run_to_the_end(std::shared_ptr<Resources> resources,
                    std::unique_ptr<Dispatcher> dispatcher,
                    std::unique_ptr<Sleeper> sleeper) {
  resources->mailbox->set_progress_thread();
  run(*resources, *dispatcher, *sleeper);
  if (dispatcher->is_quiet()) {
    dispatcher.reset();
    resources->worker.reset();
    return;
  }
  // Transfers that never ended may still touch what these own.
  [[maybe_unused]] auto* leaked_dispatcher = dispatcher.release();
  [[maybe_unused]] auto* leaked_share =
      new std::shared_ptr<Resources>(std::move(resources));
}

// Threads whose Connector was destroyed by a completion callback, on the thread itself.
// They are joined when the process ends, before the libraries of UCX are taken down.
class Orphans {
 public:
  Orphans() = default;
  Orphans(const Orphans&) = delete;
  Orphans& operator=(const Orphans&) = delete;
  ~Orphans() {
    for (std::thread& thread : threads_) {
      const bool is_joinable = generation_ == base::fork_generation() &&
                               thread.get_id() != std::this_thread::get_id();
      is_joinable ? thread.join() : thread.detach();
    }
  }

  void adopt(std::thread thread) {
    const std::lock_guard lock(mutex_);
    threads_.push_back(std::move(thread));
  }

 private:
  const std::uint64_t generation_ = base::fork_generation();
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

Orphans& orphans() {
  static Orphans instance;
  return instance;
}

}  // namespace

ProgressThread::ProgressThread(std::shared_ptr<Resources> resources)
    : mailbox_(resources->mailbox) {
  orphans();  // made after UCX was opened, so that it is destroyed before
  // Made here, so that what fails is thrown to whoever opens the Connector.
  auto dispatcher = std::make_unique<Dispatcher>(*resources);
  auto sleeper =
      std::make_unique<Sleeper>(mailbox_->event_fd(), dispatcher->worker().event_fd());
  try {
    thread_ = std::thread(run_to_the_end, std::move(resources), std::move(dispatcher),
                          std::move(sleeper));
  } catch (const std::system_error& error) {
    throw Error(
        ErrorKind::kNoResources,
        std::string("opening a Connector: starting its thread: ") + error.what());
  }
  ::pthread_setname_np(thread_.native_handle(), "nixl_connect");
}

ProgressThread::~ProgressThread() { join(); }

void ProgressThread::join() {
  if (!thread_.joinable()) return;
  if (mailbox_->is_forked_child()) {
    thread_.detach();
  } else if (mailbox_->is_progress_thread()) {
    orphans().adopt(std::move(thread_));
  } else {
    thread_.join();
  }
}

}  // namespace nixl_connect::runtime
