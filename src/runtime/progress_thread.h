// SPDX-License-Identifier: Apache-2.0
//
// The one thread of a Connector, and its end.
#pragma once

#include <memory>
#include <thread>

namespace nixl_connect::runtime {

class Driver;
struct Resources;

class ProgressThread {
 public:
  // Starts the thread. It shares the resources and gives its share up when it ends.
  ProgressThread(std::shared_ptr<Resources> resources, std::shared_ptr<Driver> driver);

  // join(), or nothing in a forked child, where there is no thread.
  ~ProgressThread();

  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;

  // Waits for the end, which a CloseRequest brings. Called on the thread itself, that
  // is, from a completion callback, it lets the thread end by itself.
  void join();

 private:
  const std::shared_ptr<Driver> driver_;
  std::thread thread_;
};

}  // namespace nixl_connect::runtime
