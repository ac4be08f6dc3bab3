// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/stand_in/events.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>
#include <utility>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/streams.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

struct Words {
  std::atomic<std::uint32_t> recorded{0};
  std::atomic<std::uint32_t> passed{0};
};

std::atomic<std::size_t> live_events{0};

Words& words_of(const Physical& physical) {
  return *reinterpret_cast<Words*>(physical.data);
}

void pass(Words& words, std::uint32_t record) {
  words.passed = record;
  ::syscall(SYS_futex, &words.passed, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// Returns when a stream has come by that record, or the context is of no use any more,
// for which it looks now and then.
CuResult wait(Words& words, std::uint32_t record, CuContext context) {
  constexpr timespec kNow{0, 5'000'000};
  while (context->sticky == kCuSuccess) {
    const std::uint32_t passed = words.passed;
    if (static_cast<std::int32_t>(passed - record) >= 0) return kCuSuccess;
    ::syscall(SYS_futex, &words.passed, FUTEX_WAIT, passed, &kNow, nullptr, 0);
  }
  return context->sticky;
}

}  // namespace

std::size_t events() { return live_events; }

CuEvent make_event(std::shared_ptr<Physical> words, unsigned flags) {
  ++live_events;
  return new CuEventObject{std::move(words), flags, current_context()};
}

CuResult event_create(CuEvent* event, unsigned flags) {
  if (current_context() == nullptr) return kCuInvalidContext;
  const bool is_for_all = (flags & kCuEventInterprocess) != 0;
  if (is_for_all && (flags & kCuEventDisableTiming) == 0) return kCuInvalidValue;
  auto words = make_physical("event", 0, sizeof(Words));
  if (words == nullptr) return kCuOutOfMemory;
  *event = make_event(std::move(words), flags);
  return kCuSuccess;
}

CuResult event_destroy(CuEvent event) {
  --live_events;
  delete event;
  return kCuSuccess;
}

CuResult event_record(CuEvent event, CuStream stream) {
  if (context_of(stream) != event->context) return kCuInvalidHandle;
  const std::uint32_t record = ++words_of(*event->words).recorded;
  return enqueue(stream, [words = event->words, record](CuDevice) {
    pass(words_of(*words), record);
    return kCuSuccess;
  });
}

CuResult event_query(CuEvent event) {
  const Words& words = words_of(*event->words);
  return words.passed == words.recorded ? kCuSuccess : kCuNotReady;
}

CuResult stream_wait_event(CuStream stream, CuEvent event, unsigned /*flags*/) {
  const std::uint32_t record = words_of(*event->words).recorded;
  return enqueue(stream, [words = event->words, record](CuDevice device) {
    return wait(words_of(*words), record, context_of(device));
  });
}

}  // namespace nixl_connect::paths::cuda::stand_in
