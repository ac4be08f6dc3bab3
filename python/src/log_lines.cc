// SPDX-License-Identifier: Apache-2.0
#include "log_lines.h"

#include <nanobind/nanobind.h>

#include <utility>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

// What Python holds. So does the sink, from open() to close() or the end of the
// process.
struct SharedLines {
  const std::shared_ptr<LogLines> lines;
};

void open(const SharedLines& self) {
  set_log_sink([lines = self.lines](LogLevel level, std::string_view text) {
    lines->add(level, text);
  });
}

// Paths are not always UTF-8.
nb::object text_of(const std::string& text) {
  PyObject* const made = PyUnicode_DecodeUTF8(
      text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (made == nullptr) throw nb::python_error();
  return nb::steal(made);
}

// The lines as (level, seconds since 1970, text), and how many were lost behind them.
nb::tuple take(const SharedLines& self) {
  const LogLines::Taken taken = self.lines->take();
  nb::list lines;
  for (const LogLine& line : taken.lines)
    lines.append(nb::make_tuple(
        static_cast<int>(line.level),
        std::chrono::duration<double>(line.time.time_since_epoch()).count(),
        text_of(line.text)));
  return nb::make_tuple(lines, taken.lost);
}

}  // namespace

void LogLines::add(LogLevel level, std::string_view text) {
  LogLine line{level, std::chrono::system_clock::now(), std::string(text)};
  const std::lock_guard lock(mutex_);
  if (waiting_.lines.size() == capacity_) {
    ++waiting_.lost;
    return;
  }
  waiting_.lines.push_back(std::move(line));
  if (waiting_.lines.size() == 1) queue_->push(token_);
}

LogLines::Taken LogLines::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

void bind_log(nb::module_& module) {
  module.def(
      "set_log_level", [](int level) { set_log_level(static_cast<LogLevel>(level)); },
      "level"_a);
  nb::class_<SharedLines>(module, "LogLines")
      .def(
          "__init__",
          [](SharedLines* self, const SharedQueue& queue, std::uint64_t token,
             std::size_t capacity) {
            new (self)
                SharedLines{std::make_shared<LogLines>(queue.queue, token, capacity)};
          },
          "queue"_a, "token"_a, "capacity"_a)
      .def("open", &open)
      .def("close", [](const SharedLines&) { set_log_sink({}); })
      .def("take", &take);
}

}  // namespace nixl_connect::python
