// SPDX-License-Identifier: Apache-2.0
#include "closing.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "without_gil.h"

namespace nixl_connect::python {
namespace {

std::atomic<int> count{0};

}  // namespace

void close_elsewhere(std::shared_ptr<Connector> connector) {
  ++count;
  const auto close = [raw = new std::shared_ptr<Connector>(std::move(connector))] {
    delete raw;
    --count;
    count.notify_all();
  };
  try {
    std::thread(close).detach();
  } catch (const std::system_error&) {  // no more threads
    const WithoutGil release;
    close();
  }
}

void finish_closing() {
  const WithoutGil release;
  for (int left = count; left != 0; left = count) count.wait(left);
}

void forget_closing() noexcept { count = 0; }

}  // namespace nixl_connect::python
