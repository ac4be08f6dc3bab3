// SPDX-License-Identifier: Apache-2.0
//
// How long it takes until the exposing side is told, and the floor under that: an
// eventfd. In both the other thread has slept for a moment, as it would. The thread
// that begins has slept as well, or it has been busy, so that no core has to come to
// speed. The processes answer `measure` with `operations` by latencies_us.
#pragma once

#include <string>

namespace nixl_connect::bench {

enum class Before { kRest, kWork };

// "rest", "work". Throws std::invalid_argument for another one.
Before before_of(const std::string& name);

// Both serve until the parent closes the pipe, and return the exit status.

// From the begin of a read of 4 KiB until wait() has returned in the exposing process,
// which is this program started as `exposing`.
int run_telling(Before before);

// From one process to the other, which is this program started as `echo`, and back.
int run_eventfd_trips(Before before);

// The other process of the trips: answers on the second eventfd what comes on the
// first.
int run_echo(int questions, int answers);

}  // namespace nixl_connect::bench
