// SPDX-License-Identifier: Apache-2.0
//
// One operation's gets or puts on one endpoint, and the flush behind them. Used by
// one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "paths/ucx/context.h"
#include "paths/ucx/endpoint.h"
#include "paths/ucx/range.h"

namespace nixl_connect::paths::ucx {

struct TransferResult {
  std::optional<std::string> failure;  // UCX's words; none: all bytes are in place
  std::uint64_t bytes = 0;             // that certainly arrived
  std::string path;                    // "ucx: zero-copy cma/memory"
};

class Transfer {
 public:
  // `ended` is called exactly once after start(), inside Worker::progress(), when every
  // request of the transfer has ended; it may destroy the Transfer. With `flush`,
  // remote visibility is part of the end.
  Transfer(Endpoint& endpoint, Direction direction, std::vector<Range> ranges,
           bool flush, std::function<void(TransferResult)> ended);

  // Before the end: as stop(), and `ended` is never called. The memory stays in use
  // until the worker is destroyed.
  ~Transfer();

  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Keeps `counter` at bytes_done() until the end. Before start().
  void mirror(std::atomic<std::uint64_t>& counter) noexcept;

  // Called once. Large ranges are cut so that stop() takes hold soon.
  void start();

  // Submits no more. The end comes when what is under way has ended, as a failure
  // unless everything was already in place.
  void stop();

  // Moved so far; of puts, those that left.
  std::uint64_t bytes_done() const noexcept;

 private:
  class Run;
  std::unique_ptr<Run> run_;
};

}  // namespace nixl_connect::paths::ucx
