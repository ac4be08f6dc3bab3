// SPDX-License-Identifier: Apache-2.0
//
// Worker addresses that UCX has refused to connect to, mostly of dead processes. Each
// try costs a socket, which UCX 1.22 keeps until its worker ends, so callers who go on
// trying get the last answer, for longer each time. Part of a Worker.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/bytes.h"

namespace nixl_connect::paths::ucx {

class Refusals {
 public:
  using Clock = std::chrono::steady_clock;

  // Throws Error(kDisconnected) with the words of the last refusal if it is too early
  // for another try.
  void check(base::BytesView address, Clock::time_point now) const;

  void add(base::BytesView address, std::string words, Clock::time_point now);
  void forget(base::BytesView address);

 private:
  struct Refusal {
    std::string words;
    Clock::duration pause;
    Clock::time_point end;
  };

  std::map<std::string, Refusal, std::less<>> by_address_;
};

}  // namespace nixl_connect::paths::ucx
