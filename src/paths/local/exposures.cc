// SPDX-License-Identifier: Apache-2.0
#include "paths/local/exposures.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace nixl_connect::paths::local {
namespace {

struct Known {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::shared_ptr<Exposure>> by_token;
};

// Alive until the process ends, as a Connector may go very late.
Known& known() {
  static Known& instance = *new Known;
  return instance;
}

}  // namespace

std::shared_lock<std::shared_mutex> Exposure::hold() const {
  std::shared_lock lock(mutex_);
  if (is_over_.load()) lock.unlock();
  return lock;
}

bool Exposure::covers(std::size_t number, std::uint64_t address, std::uint64_t size,
                      const Device& device) const {
  const auto does_cover = [&](const Descriptor& each) {
    return each.device() == device && address >= each.ptr() &&
           address - each.ptr() <= each.size() &&
           size <= each.size() - (address - each.ptr());
  };
  if (number < descriptors_.size() && does_cover(descriptors_[number])) return true;
  // Metadata may name them in another order; not to be tried with many, for each of
  // many.
  constexpr std::size_t kMost = 64;
  return descriptors_.size() <= kMost &&
         std::any_of(descriptors_.begin(), descriptors_.end(), does_cover);
}

void Exposure::end() {
  // First, so that those who copy piece after piece leave off.
  is_over_.store(true);
  const std::unique_lock lock(mutex_);
}

void expose(std::uint64_t token, std::span<const Descriptor> descriptors,
            std::function<void()> released) {
  auto exposure = std::make_shared<Exposure>(descriptors, std::move(released));
  const std::lock_guard lock(known().mutex);
  known().by_token.emplace(token, std::move(exposure));
}

void end(std::uint64_t token) noexcept {
  std::shared_ptr<Exposure> exposure;
  {
    const std::lock_guard lock(known().mutex);
    const auto found = known().by_token.find(token);
    if (found == known().by_token.end()) return;
    exposure = std::move(found->second);
    known().by_token.erase(found);
  }
  exposure->end();
}

std::shared_ptr<const Exposure> find(std::uint64_t token) {
  const std::lock_guard lock(known().mutex);
  const auto found = known().by_token.find(token);
  return found == known().by_token.end() ? nullptr : found->second;
}

}  // namespace nixl_connect::paths::local
