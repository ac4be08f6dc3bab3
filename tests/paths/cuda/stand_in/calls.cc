// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stand_in/calls.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/streams.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

struct Failure {
  CuResult result = kCuSuccess;
  unsigned spared = 0;
};

struct Calls {
  std::mutex mutex;
  std::condition_variable called;
  std::map<std::string, unsigned, std::less<>> counts;
  std::map<std::string, Failure, std::less<>> failures;
  std::string held;  // the function whose calls do not go on
};

Calls& all_calls() {
  static auto& calls = *new Calls;
  return calls;
}

// Those that work whatever has become of the context.
bool needs_no_context(std::string_view symbol) {
  return symbol.starts_with("cuGetError") || symbol.starts_with("cuCtxP") ||
         symbol == "cuCtxGetCurrent" || symbol.starts_with("cuDevice") ||
         symbol.starts_with("cuDriver") || symbol.starts_with("cuThread") ||
         symbol == "cuInit";
}

// Unlike the driver, which leaves it to the end of the process: the next test is not to
// meet what is left of this one.
bool gives_back(std::string_view symbol) {
  return symbol == "cuMemHostUnregister" || symbol == "cuMemFree" ||
         symbol == "cuStreamDestroy" || symbol == "cuEventDestroy" ||
         symbol == "cuModuleUnload" || symbol == "cuIpcCloseMemHandle";
}

// Some of those that are "potentially unsafe" during a capture.
bool spoils_captures(std::string_view symbol) {
  return symbol == "cuEventQuery" || symbol == "cuStreamQuery" ||
         symbol == "cuStreamSynchronize" || symbol == "cuMemAlloc" ||
         symbol == "cuMemFree" || symbol == "cuMemHostRegister";
}

// Some of those for which the driver may wait for what streams have.
bool may_synchronise(std::string_view symbol) {
  return symbol == "cuModuleLoadData" || symbol == "cuMemAlloc" ||
         symbol == "cuMemHostRegister" || symbol == "cuIpcOpenMemHandle" ||
         symbol == "cuMemMap";
}

std::atomic<bool> do_calls_wait{false};

enum class Capture { kNone, kGoesOn, kIsSpoilt };

std::atomic<Capture> capture{Capture::kNone};
thread_local int capture_mode = 0;

}  // namespace

void set_calls_wait_for_streams(bool do_wait) { do_calls_wait = do_wait; }

void begin_capture() { capture = Capture::kGoesOn; }
bool end_capture() { return capture.exchange(Capture::kNone) == Capture::kGoesOn; }

CuResult thread_exchange_capture_mode(int* mode) {
  if (*mode < 0 || *mode > kCuCaptureRelaxed) return kCuInvalidValue;
  std::swap(*mode, capture_mode);
  return kCuSuccess;
}

void load_lazily() {
  if (do_calls_wait) wait_for_waiting_streams();
}

CuResult begin_call(const char* symbol) {
  Calls& calls = all_calls();
  std::unique_lock lock(calls.mutex);
  ++calls.counts[symbol];
  calls.called.notify_all();
  if (do_calls_wait && may_synchronise(symbol)) {
    lock.unlock();
    wait_for_waiting_streams();
    lock.lock();
  }
  calls.called.wait(lock, [&] { return calls.held != symbol; });
  if (const auto failure = calls.failures.find(symbol);
      failure != calls.failures.end()) {
    if (failure->second.spared-- == 0) {
      const CuResult result = failure->second.result;
      calls.failures.erase(failure);
      return result;
    }
  }
  if (capture != Capture::kNone && capture_mode != kCuCaptureRelaxed &&
      spoils_captures(symbol)) {
    capture = Capture::kIsSpoilt;
    return kCuCaptureUnsupported;
  }
  const CuContext context = current_context();
  const bool is_exempt =
      context == nullptr || needs_no_context(symbol) || gives_back(symbol);
  return is_exempt ? kCuSuccess : context->sticky.load();
}

unsigned calls(std::string_view function) {
  Calls& calls = all_calls();
  const std::lock_guard lock(calls.mutex);
  const auto count = calls.counts.find(function);
  return count == calls.counts.end() ? 0 : count->second;
}

void wait_for_calls(std::string_view function, unsigned count) {
  Calls& calls = all_calls();
  std::unique_lock lock(calls.mutex);
  calls.called.wait(lock, [&] {
    const auto found = calls.counts.find(function);
    return found != calls.counts.end() && found->second >= count;
  });
}

void fail(std::string_view function, CuResult result, unsigned spared) {
  Calls& calls = all_calls();
  const std::lock_guard lock(calls.mutex);
  calls.failures.insert_or_assign(std::string(function), Failure{result, spared});
}

void hold_calls(std::string_view function) {
  Calls& calls = all_calls();
  const std::lock_guard lock(calls.mutex);
  calls.held = function;
  calls.called.notify_all();
}

void release_calls() { hold_calls(""); }

void reset() {
  release_calls();
  // What streams still have would otherwise be done in the next test.
  for (CuDevice device = 0; device < kDevices; ++device)
    poison(device, kCuLaunchFailed);
  release_streams();
  set_calls_wait_for_streams(false);
  wait_for_streams();
  set_peers(true);
  set_event_handles(true);
  end_capture();
  for (CuDevice device = 0; device < kDevices; ++device) {
    poison(device, kCuSuccess);
    context_of(device)->peers = 0;
  }
  Calls& calls = all_calls();
  const std::lock_guard lock(calls.mutex);
  calls.counts.clear();
  calls.failures.clear();
}

}  // namespace nixl_connect::paths::cuda::stand_in
