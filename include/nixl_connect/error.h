// SPDX-License-Identifier: Apache-2.0
//
// The one exception type of the library. Values; usable from any thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace nixl_connect {

// What the caller can do about a failure.
enum class ErrorKind {
  kInvalidArgument,  // Correct what was passed. A call that throws it changed nothing.
  kUnsupported,      // Cannot work here: another library, peer or memory is needed.
  kNoResources,      // May work later, or with fewer or smaller requests.
  kDisconnected,     // The peer is gone or unreachable: ask it for new metadata.
  kTimedOut,         // The deadline passed; the memory is already quiesced.
  kCancelled,        // One of the two sides gave the operation up.
  kInternal,         // A defect in this library or below it: please report it.
};

// "invalid argument", "disconnected", ...
std::string_view to_string(ErrorKind kind) noexcept;

// Thrown by calls that fail at once, and by waits on an operation that failed later.
// The text names what was attempted, on what and with which peer, and carries the
// cause's own words.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message)
      : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace nixl_connect
