// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/copy_stream.h"

#include <utility>

namespace nixl_connect::paths::cuda {

CopyStream::CopyStream(const Driver& driver)
    : driver_(driver), stream_(make_stream(driver)), word_(driver) {}

StartedCopy* CopyStream::next() {
  constexpr unsigned kForTheOldest = 4;
  // One full batch may wait behind another, so that the GPU need not wait for us.
  if (weight_under_way_ > kBatchWeight) return nullptr;
  StartedCopy* oldest = nullptr;
  StartedCopy* smallest = nullptr;
  for (const auto& copy : copies_) {
    if (!copy->wants_more()) continue;
    if (oldest == nullptr) oldest = copy.get();
    if (smallest == nullptr ||
        copy->batches.bytes_left() < smallest->batches.bytes_left())
      smallest = copy.get();
  }
  if (oldest == nullptr) return nullptr;
  return ++picks_ % kForTheOldest == 0 ? oldest : smallest;
}

CuResult CopyStream::submitted(StartedCopy& copy, std::uint64_t bytes,
                               std::uint64_t weight) {
  const bool was_idle = under_way_.empty();
  under_way_.push_back({&copy, ++last_number_, bytes, weight, copy.batches.is_empty()});
  weight_under_way_ += weight;
  ++copy.under_way;
  const CuResult result = word_.write(stream_.get(), last_number_);
  if (was_idle) oldest_since_ = Clock::now();  // behind what the GPU waits for
  return result;
}

bool CopyStream::look() {
  const bool was_any_done = is_any_done();
  while (is_any_done()) oldest_is_done();
  return was_any_done;
}

CuResult CopyStream::look_closely() {
  const CuResult result = driver_.functions.stream_query(stream_.get());
  while (result == kCuSuccess && !under_way_.empty()) oldest_is_done();
  return result;
}

void CopyStream::oldest_is_done() {
  const Batch& batch = under_way_.front();
  const auto now = Clock::now();
  pace_.learn(batch.weight, now - oldest_since_);
  oldest_since_ = now;
  batch.copy->copy->add_moved(batch.bytes);
  --batch.copy->under_way;
  weight_under_way_ -= batch.weight;
  under_way_.pop_front();
}

CopyStream::Clock::time_point CopyStream::next_end() const noexcept {
  if (under_way_.empty()) return Clock::time_point::max();
  return oldest_since_ + pace_.time_for(under_way_.front().weight);
}

bool CopyStream::take_near_end() {
  if (under_way_.empty()) return false;
  const Batch& oldest = under_way_.front();
  if (!oldest.is_last || oldest.number == last_near_) return false;
  if (Clock::now() < next_end() - kWakingTakes) return false;
  last_near_ = oldest.number;
  return true;
}

std::vector<std::unique_ptr<StartedCopy>> CopyStream::take_ended() {
  std::vector<std::unique_ptr<StartedCopy>> ended;
  for (auto& copy : copies_)
    if (copy->under_way == 0 && !copy->wants_more()) ended.push_back(std::move(copy));
  if (!ended.empty()) std::erase(copies_, nullptr);
  return ended;
}

std::vector<std::unique_ptr<StartedCopy>> CopyStream::give_up() {
  under_way_.clear();
  weight_under_way_ = 0;
  return std::exchange(copies_, {});
}

}  // namespace nixl_connect::paths::cuda
