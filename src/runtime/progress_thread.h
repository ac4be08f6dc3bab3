// SPDX-License-Identifier: Apache-2.0
//
// The one thread of a Connector. It turns the dispatcher while there is work, spins for
// a moment after the last, and then sleeps without using the CPU.
#pragma once

#include <memory>
#include <thread>

namespace nixl_connect::runtime {

class Mailbox;
struct Resources;

class ProgressThread {
 public:
  // Starts the thread. It shares the resources and gives its share up when it ends.
  explicit ProgressThread(std::shared_ptr<Resources> resources);

  // join(), or nothing in a forked child, where there is no thread.
  ~ProgressThread();

  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;

  // Waits for the end, which a CloseRequest brings. Called on the thread itself, that
  // is, from a completion callback, it lets the thread end by itself.
  void join();

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  std::thread thread_;
};

}  // namespace nixl_connect::runtime
