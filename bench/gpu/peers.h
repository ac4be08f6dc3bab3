// SPDX-License-Identifier: Apache-2.0
//
// The processes of gpu_bench, which answer in lines of JSON (tools/peer_process.h):
//
//   expose   work, gpu                        metadata
//   check                                     throws unless what was written is right
//   release                                   ends what is exposed
//   measure  work, gpu, metadata, operations, check, window, and below
//                                             latencies_us, seconds
//
// `work` is that of work.h. `latencies_us` are of `operations` of them one at a time,
// or, if `window` is not 0, with so many under way, which took `seconds` together. Each
// function returns when the parent has closed the pipe, with the exit status.
#pragma once

namespace nixl_connect::bench {

// By the public API; the metadata is that of an operation that stays open. measure():
// `spins` on the status or waits, and answers `path` as well.
int run_gpu_exposing();
int run_gpu_measuring();

// By the driver alone; the metadata is an IPC handle. measure(): `means` is
//   engine-word   a copy for each page, whose end is seen in a word that the stream
//   writes engine-event  the same, asking for an event kernel        one launch of the
//   page kernel, of at most `blocks` blocks pinned        one copy between the GPU and
//   pinned memory of this process; nothing
//                 has to be exposed for it, and nothing can be checked
int run_raw_gpu_exposing();
int run_raw_gpu_measuring();

}  // namespace nixl_connect::bench
