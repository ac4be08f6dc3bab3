// SPDX-License-Identifier: Apache-2.0
#include "completion_queue.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "bindings.h"
#include "nixl_connect/error.h"
#include "waiting.h"
#include "without_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

int open_eventfd() {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0)
    throw Error(ErrorKind::kNoResources, std::string("no file descriptor for an event "
                                                     "loop's completions: ") +
                                             std::strerror(errno));
  return fd;
}

// Sleeps until something is there to take. False: `timeout` seconds have passed.
bool wait(const SharedQueue& self, std::optional<double> timeout) {
  const auto queue = self.queue;
  return wait_in_slices(timeout, [&queue](std::chrono::nanoseconds slice) {
    pollfd poll{queue->file_descriptor(), POLLIN, 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(slice);
    return ::poll(&poll, 1, static_cast<int>(milliseconds.count())) > 0;
  });
}

// The same for the package's own thread, in one go: signals are not its business, and
// it is told to end before the process does.
void sleep(const SharedQueue& self) {
  const auto queue = self.queue;
  const WithoutGil release;
  pollfd poll{queue->file_descriptor(), POLLIN, 0};
  while (::poll(&poll, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

CompletionQueue::CompletionQueue() : fd_(open_eventfd()) {}

CompletionQueue::~CompletionQueue() { close(); }

void CompletionQueue::close() noexcept {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void CompletionQueue::push(std::uint64_t token) {
  const std::lock_guard lock(mutex_);
  if (fd_ < 0) return;
  tokens_.push_back(token);
  // Cannot fail: the counter is 0 or 1.
  if (tokens_.size() == 1) (void)::eventfd_write(fd_, 1);
}

std::vector<std::uint64_t> CompletionQueue::drain() {
  std::vector<std::uint64_t> taken;
  const std::lock_guard lock(mutex_);
  if (tokens_.empty()) return taken;
  eventfd_t count = 0;
  (void)::eventfd_read(fd_, &count);
  taken.swap(tokens_);
  return taken;
}

void bind_completion_queue(nb::module_& module) {
  nb::class_<SharedQueue>(module, "CompletionQueue")
      .def(nb::init<>())
      .def("fileno",
           [](const SharedQueue& self) { return self.queue->file_descriptor(); })
      .def(
          "push",
          [](const SharedQueue& self, std::uint64_t token) { self.queue->push(token); },
          "token"_a)
      .def("drain", [](const SharedQueue& self) { return self.queue->drain(); })
      .def("wait", &wait, "timeout"_a.none())
      .def("sleep", &sleep);
}

}  // namespace nixl_connect::python
