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
#include "runtime/driver.h"
#include "runtime/resources.h"

namespace nixl_connect::runtime {
namespace {

void run_to_the_end(std::shared_ptr<Resources> resources,
                    std::shared_ptr<Driver> driver) {
  const bool is_quiet = driver->run();
  if (is_quiet) {
    driver->destroy_dispatcher();
    resources->gpu_ucx.close();
    resources->gpu_ucx_of_ours.close();
    resources->worker.reset();
    return;
  }
  // Transfers that never ended may still touch what these own.
  [[maybe_unused]] auto* leaked_driver = new std::shared_ptr<Driver>(std::move(driver));
  [[maybe_unused]] auto* leaked_share =
      new std::shared_ptr<Resources>(std::move(resources));
}

// Forgets a thread that does not exist in this forked child, where to detach it is a
// fault.
void abandon(std::thread thread) {
  [[maybe_unused]] auto* leaked = new std::thread(std::move(thread));
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
      if (generation_ != base::fork_generation())
        abandon(std::move(thread));
      else if (thread.get_id() == std::this_thread::get_id())
        thread.detach();
      else
        thread.join();
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

ProgressThread::ProgressThread(std::shared_ptr<Resources> resources,
                               std::shared_ptr<Driver> driver)
    : driver_(std::move(driver)) {
  orphans();  // made after UCX was opened, so that it is destroyed before
  try {
    thread_ = std::thread(run_to_the_end, std::move(resources), driver_);
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
  if (driver_->mailbox().is_forked_child()) {
    abandon(std::move(thread_));
  } else if (driver_->is_progress_thread()) {
    orphans().adopt(std::move(thread_));
  } else {
    thread_.join();
  }
}

}  // namespace nixl_connect::runtime
