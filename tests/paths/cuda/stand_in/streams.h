// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's streams: each is a thread that does, one after the other, what it was
// given.
#pragma once

#include <functional>

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

}  // namespace nixl_connect::paths::cuda::stand_in
