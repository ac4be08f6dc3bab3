// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's streams: each is a thread that does, one after the other, what it was
// given.
#pragma once

#include <functional>
#include <memory>

#include "paths/cuda/abi.h"

namespace nixl_connect::paths::cuda::stand_in {

// On the stream's device. What it returns, if not kCuSuccess, poisons the context.
using Work = std::function<CuResult(CuDevice device)>;

// Of no stream: of the default one of the current context, which has two names, or of
// its default one for this thread.
CuResult enqueue(CuStream stream, Work work);

// None if there is no such stream.
CuContext context_of(CuStream stream);

// Returns when none has any work.
void wait_for_streams();

// What a stream waits for, until the last copy of this goes.
std::shared_ptr<const void> begin_stream_wait();
// Returns when no stream waits.
void wait_for_waiting_streams();

}  // namespace nixl_connect::paths::cuda::stand_in
