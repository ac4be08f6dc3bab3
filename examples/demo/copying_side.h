// SPDX-License-Identifier: Apache-2.0
//
// The process that reads the exposed memory and writes it back. Runs on one thread.
//
// It gets one line of JSON on its standard input, the metadata of three operations:
//   {"greeting": metadata, "read": metadata, "write": metadata}
// and answers with lines on its standard output, for each of the three in this order
// any number of the first form and one of the second:
//   {"direction": "read", "bytes": so far}
//   {"direction": "read", "bytes": all, "seconds": number, "path": text}
// or, if it fails, {"error": text}.
#pragma once

namespace demo {

// The exit status of the process.
int run_copying_side();

}  // namespace demo
