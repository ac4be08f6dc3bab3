// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/session.h"

#include <poll.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

namespace nixl_connect::paths::ucx::testing {
namespace {

constexpr int kPatienceMs = 10'000;

}  // namespace

const Library& library_under_test() {
  const char* directory = std::getenv("NIXL_CONNECT_UCX_DIRECTORY");
  return open_library(directory == nullptr ? "" : directory);
}

void Session::step(int other_fd) {
  if (worker.progress() || !worker.arm()) return;
  std::array<pollfd, 2> fds{pollfd{worker.event_fd(), POLLIN, 0},
                            pollfd{other_fd, POLLIN, 0}};
  ::poll(fds.data(), fds.size(), kPatienceMs);
}

void Session::run_until(const std::function<bool()>& is_done, int other_fd) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!is_done()) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("what the test waits for does not happen");
    step(other_fd);
  }
}

TransferResult Session::run(Endpoint& endpoint, Direction direction,
                            std::vector<Range> ranges, bool flush) {
  std::optional<TransferResult> result;
  Transfer transfer(endpoint, direction, std::move(ranges), flush,
                    [&](TransferResult how) { result = std::move(how); });
  transfer.start();
  run_until([&] { return result.has_value(); });
  return *std::move(result);
}

}  // namespace nixl_connect::paths::ucx::testing
