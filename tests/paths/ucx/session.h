// SPDX-License-Identifier: Apache-2.0
//
// One process's UCX for a test: library, context and worker, driven the way the
// progress thread drives them, by sleeping on the event descriptor.
#pragma once

#include <functional>

#include "paths/ucx/context.h"
#include "paths/ucx/library.h"
#include "paths/ucx/transfer.h"
#include "paths/ucx/worker.h"

namespace nixl_connect::paths::ucx::testing {

// The UCX of NIXL_CONNECT_UCX_DIRECTORY, or the one found without it.
const Library& library_under_test();

struct Session {
  explicit Session(const ContextOptions& options = {})
      : context(library_under_test(), options), worker(context) {}

  // Progresses, or sleeps until that or reading `other_fd` is due, at most ten seconds.
  void step(int other_fd = -1);

  // Steps until `is_done`. Throws std::runtime_error after ten seconds.
  void run_until(const std::function<bool()>& is_done, int other_fd = -1);

  // Runs a transfer to its end.
  TransferResult run(Endpoint& endpoint, Direction direction, std::vector<Range> ranges,
                     bool flush);

  Context context;
  Worker worker;
};

}  // namespace nixl_connect::paths::ucx::testing
