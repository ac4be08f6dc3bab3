// SPDX-License-Identifier: Apache-2.0
//
// Everybody who can be told of an operation's end: a callback and several threads that
// wait.
#pragma once

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "nixl_connect/operation.h"

namespace nixl_connect::contract {

class Watch {
 public:
  explicit Watch(std::shared_ptr<Operation> operation);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  static constexpr std::size_t kThreads = 3;

  struct Told {
    int calls = 0;                  // of the callback
    std::vector<std::string> ends;  // the callback's, then one for each thread
  };
  // Waits for the end, and for whatever comes behind it. Once.
  Told told();

 private:
  std::shared_ptr<Operation> operation_;
  std::atomic<int> calls_{0};
  std::counting_semaphore<> called_{0};
  std::string told_to_callback_;  // written before called_
  std::vector<std::string> told_to_threads_{kThreads};
  std::vector<std::thread> threads_;
};

}  // namespace nixl_connect::contract
