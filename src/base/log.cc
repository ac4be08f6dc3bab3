// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "base/fork.h"

namespace nixl_connect {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

// Holds the level, and writes to standard error. A logger of its own, never registered:
// the application's spdlog stays as it is. Alive until the process ends, since the
// threads of a forgotten Connector may still log.
spdlog::logger& logger() {
  static spdlog::logger& instance = [&]() -> spdlog::logger& {
    auto* made = new spdlog::logger("nixl_connect",
                                    std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(to_spdlog(ConnectorOptions{}.log_level));
    return *made;
  }();
  return instance;
}

// The sink of one process. In a forked child it is never touched: its lock may be held
// there for ever.
struct SinkOfProcess {
  const std::uint64_t fork_generation = base::fork_generation();
  std::shared_mutex mutex;
  // Guarded by mutex, shared by calls.
  LogSink sink;

  bool is_ours() const noexcept { return fork_generation == base::fork_generation(); }
};

// Null before the first sink. Like the logger, alive until the process ends.
std::atomic<SinkOfProcess*> current{nullptr};

SinkOfProcess& sink_of_this_process() {
  SinkOfProcess* found = current;
  if (found != nullptr && found->is_ours()) return *found;
  auto made = std::make_unique<SinkOfProcess>();
  if (current.compare_exchange_strong(found, made.get())) return *made.release();
  return *found;  // another thread was faster
}

// False if there is no sink to take it.
bool give_to_sink(LogLevel level, std::string_view message) noexcept try {
  SinkOfProcess* const of_process = current;
  if (of_process == nullptr || !of_process->is_ours()) return false;
  const std::shared_lock lock(of_process->mutex);
  if (!of_process->sink) return false;
  of_process->sink(level, message);
  return true;
} catch (...) {
  return false;
}

void write(LogLevel level, std::string_view message) {
  const auto wanted = to_spdlog(level);
  if (!logger().should_log(wanted)) return;
  if (!give_to_sink(level, message)) logger().log(wanted, message);
}

}  // namespace

void set_log_sink(LogSink sink) {
  SinkOfProcess& of_process = sink_of_this_process();
  const std::lock_guard lock(of_process.mutex);
  of_process.sink.swap(sink);
}

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

namespace base {

void log_debug(std::string_view message) { write(LogLevel::kDebug, message); }
void log_info(std::string_view message) { write(LogLevel::kInfo, message); }
void log_warning(std::string_view message) { write(LogLevel::kWarning, message); }
void log_error(std::string_view message) { write(LogLevel::kError, message); }

bool is_debugging() { return logger().should_log(to_spdlog(LogLevel::kDebug)); }

}  // namespace base
}  // namespace nixl_connect
