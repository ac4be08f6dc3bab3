// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/refusals.h"

#include <algorithm>

#include "nixl_connect/error.h"

namespace nixl_connect::paths::ucx {
namespace {

constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::minutes kLongestPause{1};
constexpr std::size_t kMostRefusals = 256;

}  // namespace

void Refusals::check(base::BytesView address, Clock::time_point now) const {
  const auto found = by_address_.find(base::as_text(address));
  if (found == by_address_.end() || found->second.end <= now) return;
  const auto left = std::chrono::ceil<std::chrono::seconds>(found->second.end - now);
  throw Error(ErrorKind::kDisconnected, found->second.words +
                                            "; it is tried again in " +
                                            std::to_string(left.count()) + " s");
}

void Refusals::add(base::BytesView address, std::string words, Clock::time_point now) {
  const std::string_view key = base::as_text(address);
  auto found = by_address_.find(key);
  if (found == by_address_.end()) {
    if (by_address_.size() == kMostRefusals)
      by_address_.erase(std::min_element(
          by_address_.begin(), by_address_.end(),
          [](const auto& a, const auto& b) { return a.second.end < b.second.end; }));
    found = by_address_.try_emplace(std::string(key)).first;
    found->second.pause = kFirstPause;
  } else {
    found->second.pause =
        std::min<Clock::duration>(2 * found->second.pause, kLongestPause);
  }
  found->second.words = std::move(words);
  found->second.end = now + found->second.pause;
}

void Refusals::forget(base::BytesView address) {
  const auto found = by_address_.find(base::as_text(address));
  if (found != by_address_.end()) by_address_.erase(found);
}

}  // namespace nixl_connect::paths::ucx
