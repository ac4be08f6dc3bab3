// SPDX-License-Identifier: Apache-2.0
//
// What a simulated run did: its trace if wanted, the rules it broke, and how often it
// came to the corners that the simulation is for. No threads.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace nixl_connect::core::simulation {

struct Coverage {
  std::uint64_t reads_complete = 0;
  std::uint64_t writes_complete = 0;
  std::uint64_t readables_complete = 0;
  std::uint64_t writables_complete = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t disconnected = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t given_up_by_peer = 0;
  std::uint64_t stale_reads_refused = 0;  // all bytes here, but the lease was over
  std::uint64_t reads_past_finish = 0;    // pieces that read memory used anew
  std::uint64_t peers_dropped = 0;
  std::uint64_t lost_before_left = 0;  // peers that may go on touching memory
  std::uint64_t begun_on_lost_peer = 0;
  std::uint64_t early_notifications = 0;
  std::uint64_t peers_killed = 0;
  std::uint64_t stayed_open = 0;    // COMPLETE, and still exposed
  std::uint64_t writes_joined = 0;  // begun under the Grant of another
  std::uint64_t writes_early = 0;   // begun without any
  std::uint64_t writes_found = 0;   // these, when their lease had ended
  std::uint64_t views_joined = 0;   // the same
  std::uint64_t views_complete = 0;
  std::uint64_t views_recalled = 0;    // while they were open
  std::uint64_t views_waited_for = 0;  // past the drain timeout
  std::uint64_t views_of_dropped = 0;  // open when their node dropped the peer

  Coverage& operator+=(const Coverage& other);
};

class Journal {
 public:
  explicit Journal(bool is_traced) : is_traced_(is_traced) {}

  bool is_traced() const { return is_traced_; }

  template <typename... Parts>
  void trace(const Parts&... parts) {
    if (is_traced_) lines_.push_back(text(parts...));
  }

  template <typename... Parts>
  void violation(const Parts&... parts) {
    violations_.push_back(text(parts...));
    if (is_traced_) lines_.push_back("VIOLATION: " + violations_.back());
  }

  const std::vector<std::string>& lines() const { return lines_; }
  const std::vector<std::string>& violations() const { return violations_; }

  Coverage coverage;

 private:
  template <typename... Parts>
  static std::string text(const Parts&... parts) {
    std::ostringstream stream;
    (stream << ... << parts);
    return stream.str();
  }

  const bool is_traced_;
  std::vector<std::string> lines_;
  std::vector<std::string> violations_;
};

}  // namespace nixl_connect::core::simulation
