// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "host/team.h"

namespace nixl_connect::bench {

Team::Team(unsigned size) : gate_(static_cast<std::ptrdiff_t>(size)) {
  for (unsigned member = 1; member < size; ++member) {
    others_.emplace_back([this, member] {
      for (gate_.arrive_and_wait(); work_ != nullptr; gate_.arrive_and_wait()) {
        (*work_)(member);
        gate_.arrive_and_wait();
      }
    });
  }
}

Team::~Team() {
  work_ = nullptr;
  gate_.arrive_and_wait();
  for (std::thread& other : others_) other.join();
}

void Team::run(const std::function<void(unsigned)>& work) {
  work_ = &work;
  gate_.arrive_and_wait();
  work(0);
  gate_.arrive_and_wait();
}

}  // namespace nixl_connect::bench
