// SPDX-License-Identifier: Apache-2.0
//
// How the ends of operations reach Python: any thread pushes tokens, without the GIL,
// and an eventfd tells one consumer (an event loop's reader, or a thread in
// wait()) to take them. The descriptor is written once for all that lies untaken.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace nixl_connect::python {

class CompletionQueue {
 public:
  // Throws Error(kNoResources) without file descriptors.
  CompletionQueue();
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  // Constant until close(), which the consumer calls.
  int file_descriptor() const noexcept { return fd_; }
  void close() noexcept;

  // Any thread. Nothing happens once the queue is closed.
  void push(std::uint64_t token);

  // Takes what was pushed, in its order. Does not block.
  std::vector<std::uint64_t> drain();

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  int fd_;
  std::vector<std::uint64_t> tokens_;
};

// What Python holds. Callbacks of operations hold the queue as well, and may do so long
// after the loop that it was for.
struct SharedQueue {
  SharedQueue() = default;
  ~SharedQueue() { queue->close(); }
  SharedQueue(const SharedQueue&) = delete;
  SharedQueue& operator=(const SharedQueue&) = delete;

  const std::shared_ptr<CompletionQueue> queue = std::make_shared<CompletionQueue>();
};

}  // namespace nixl_connect::python
