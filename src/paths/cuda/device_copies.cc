// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/device_copies.h"

#include <algorithm>
#include <utility>

#include "base/lease_over.h"
#include "paths/cuda/foreign_ranges.h"
#include "paths/cuda/page_shares.h"
#include "paths/cuda/pinned_ranges.h"

namespace nixl_connect::paths::cuda {

using Cause = CopyFailure::Cause;
using HostSide = CopyWork::HostSide;

namespace {

CopyFailure lease_over() {
  return {Cause::kLeaseOver, ErrorKind::kCancelled, base::lease_over_text()};
}

// While the copy has it.
local::ExposureHold hold(const std::shared_ptr<const local::Exposure>& exposure) {
  if (exposure->try_hold()) return local::ExposureHold(exposure);
  const CopyFailure failure = lease_over();
  throw CopyRefused(failure.cause, failure.kind, failure.message);
}

}  // namespace

DeviceCopies::DeviceCopies(const Driver& driver, const DeviceFacts& facts,
                           PinnedMaps& pinned_maps, const void* kernel_image)
    : driver_(driver),
      facts_(facts),
      name_(text_of(facts)),
      pinned_maps_(pinned_maps),
      kernel_image_(kernel_image),
      context_(driver, facts.device),
      imports_(Imports::of_process(driver, facts.device)),
      foreign_points_(std::make_unique<ForeignPoints>(driver)) {}

DeviceCopies::~DeviceCopies() {
  const Functions& functions = driver_.functions;
  CuContext context = context_.get();
  const bool is_current = functions.context_push(context) == kCuSuccess;
  streams_ = {};
  kernel_ = nullptr;
  imports_ = nullptr;
  waiting_.clear();
  foreign_points_ = nullptr;
  if (is_current) functions.context_pop(&context);
}

void DeviceCopies::start(CopyTag tag, const std::shared_ptr<DeviceCopy>& copy) {
  auto started = std::make_unique<StartedCopy>();
  started->tag = tag;
  started->copy = copy;
  if (poison_) {
    copy->fail(*poison_);
    return end(std::move(started));
  }
  if (copy->was_stopped()) return end(std::move(started));
  try {
    const CurrentContext current(driver_, context_.get());
    warm_up();
    CopyWork work = copy->take_work();
    CopyStream& stream = stream_of(work);
    AwaitedPoints points = awaited_by(work);
    prepare(*started, std::move(work));
    if (points.have_come()) {
      stream.add(std::move(started));
      submit_all(stream, stream.next());  // while the context is current
    } else {
      waiting_.push_back({std::move(started), &stream, std::move(points)});
    }
  } catch (...) {
    copy->fail(failure());
    return end(std::move(started));
  }
  // Last: the GPU is to have the copy first.
  copy->tell_prepared();
}

// All that copies of this GPU need and that is not of one copy: later on, streams of
// users may wait for copies, and the driver may make these calls wait for them.
void DeviceCopies::warm_up() {
  for (auto& stream : streams_)
    if (stream == nullptr) stream = std::make_unique<CopyStream>(driver_);
  kernel();
}

bool DeviceCopies::has_all_for(const CopyWork& work) const {
  const auto is_reached = [&](CuDevice peer) {
    return peer == facts_.device || peers_.contains(peer);
  };
  const auto is_open = [&](const CopyWork::ForeignPart& part) {
    return part.opened != nullptr || imports_->find(part.memory) != nullptr;
  };
  const auto is_pinned = [&](const HostMap& map) { return pinned_maps_.has(map); };
  return is_warm() && std::all_of(work.peers.begin(), work.peers.end(), is_reached) &&
         std::all_of(work.foreign.begin(), work.foreign.end(), is_open) &&
         std::all_of(work.host_maps.begin(), work.host_maps.end(), is_pinned);
}

AwaitedPoints DeviceCopies::awaited_by(CopyWork& work) {
  ForeignPoints::Opened foreign;
  if (work.after_foreign) {
    try {
      foreign = foreign_points_->open(*work.after_foreign);
    } catch (const DriverError& error) {
      if (is_sticky(error.result())) throw;
      throw CopyRefused(Cause::kNotOpened, error.kind(), error.what());
    }
  }
  return {driver_, std::move(work.after), std::move(foreign)};
}

// Lets copies begin whose points have come. To ask takes the driver's locks, so not all
// the time.
bool DeviceCopies::admit() {
  if (waiting_.empty()) return false;
  constexpr std::chrono::microseconds kBetween{20};
  const auto now = std::chrono::steady_clock::now();
  if (now - last_admission_ < kBetween) return false;
  last_admission_ = now;
  bool has_changed = false;
  for (Waiting& each : std::exchange(waiting_, {})) {
    const std::shared_ptr<DeviceCopy> copy = each.copy->copy;
    try {
      if (poison_) copy->fail(*poison_);
      const bool is_over = each.copy->is_over();
      const CurrentContext current(driver_, context_.get());
      if (!is_over && !each.points.have_come()) {
        waiting_.push_back(std::move(each));
        continue;
      }
    } catch (...) {
      copy->fail(failure());
    }
    has_changed = true;
    if (each.copy->is_over())
      end(std::move(each.copy));
    else
      each.stream->add(std::move(each.copy));
  }
  return has_changed;
}

void DeviceCopies::prepare(StartedCopy& started, CopyWork work) {
  for (const CuDevice peer : work.peers) reach(peer);
  started.held = open_foreign(*imports_, work.foreign);
  if (!work.has_ranges()) return started.copy->set_opened(std::move(started.held));
  if (work.exposure) started.exposure = hold(work.exposure);
  if (work.paged && !work.only_prepares && try_numbers(started, work)) return;
  KeptPages ranges = located(work, started.held);
  // Without batches, the copy ends as soon as it may begin.
  if (work.only_prepares)
    return started.copy->set_prepared({std::move(ranges), std::move(started.held)});
  for (const Imports::Mapping& each : started.held)
    work.walls.push_back(each->here(each->foreign_start()));
  for (const HostMap& map : work.host_maps) work.walls.push_back(start_of(map));
  started.host_side = work.host_side;
  std::sort(work.walls.begin(), work.walls.end());
  ranges = merged(std::move(ranges), work.walls);
  started.pinned = pin_ranges(pinned_maps_, facts_, work.host_maps, work.host_side,
                              ranges, *started.copy);
  const bool has_host_side = work.host_side != HostSide::kNone;
  const std::uint64_t least_engine_bytes =
      has_host_side ? kLeastHostEngineBytes : work.least_engine_bytes;
  const bool uses_kernel = work.may_use_kernels &&
                           are_for_kernel(ranges, least_engine_bytes) &&
                           kernel() != nullptr;
  if (uses_kernel)
    started.kernel =
        choose_kernel(ranges, {work.route, work.max_blocks, facts_.multiprocessors,
                               kernel()->has_bulk(), least_engine_bytes});
  started.batches = {std::move(ranges), uses_kernel ? started.kernel.max_blocks : 0,
                     least_engine_bytes, has_host_side ? kHostSlowness : 1};
}

// Fewer pages than that are written out as fast, and may turn out to be one.
constexpr std::size_t kLeastNumbers = 128;

// False if its pages have to be written out.
bool DeviceCopies::try_numbers(StartedCopy& started, const CopyWork& work) {
  if (!work.may_use_kernels || work.paged->count() < kLeastNumbers ||
      work.paged->page_bytes() >= work.least_engine_bytes || kernel() == nullptr)
    return false;
  auto pages = located(*work.paged, work.foreign_side, started.held);
  if (!pages || !are_for_numbers(*pages)) return false;
  started.kernel = choose_kernel(
      sum_up(*pages, pages->count()), pages->count(),
      {work.route, work.max_blocks, facts_.multiprocessors, kernel()->has_bulk()});
  started.batches = {*std::move(pages), started.kernel.max_blocks};
  return true;
}

void DeviceCopies::reach(CuDevice peer) {
  if (peer == facts_.device || peers_.contains(peer)) return;
  const std::string attempt =
      "letting " + name_ + " reach the memory of GPU " + std::to_string(peer);
  if (!can_reach(driver_, facts_.device, peer))
    throw CopyRefused(Cause::kUnreachable, ErrorKind::kUnsupported,
                      attempt + ": there is no way between the two");
  PrimaryContext context(driver_, peer);
  const CuResult result =
      driver_.functions.context_enable_peer_access(context.get(), 0);
  // By the CUDA runtime of this process, or another Connector.
  if (result != kCuPeerAccessAlreadyEnabled) driver_.check(result, attempt);
  peers_.emplace(peer, std::move(context));
}

PageKernel* DeviceCopies::kernel() {
  if (kernel_ != nullptr || kernel_image_ == nullptr) return kernel_.get();
  kernel_ = load_kernel(driver_, facts_, kernel_image_, KernelLists::kNow);
  if (kernel_ == nullptr) kernel_image_ = nullptr;
  return kernel_.get();
}

CopyStream& DeviceCopies::stream_of(const CopyWork& work) {
  constexpr auto kLastForeign = static_cast<std::size_t>(CopyWork::Foreign::kTargets);
  return *streams_.at(work.host_side == HostSide::kNone
                          ? static_cast<std::size_t>(work.foreign_side)
                          : kLastForeign + static_cast<std::size_t>(work.host_side));
}

bool DeviceCopies::advance() {
  bool has_changed = admit();
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    if (stream->look()) has_changed = true;
    if (fill(*stream)) has_changed = true;
    for (auto& copy : stream->take_ended()) end(std::move(copy));
  }
  return has_changed || !ended_.empty();
}

bool DeviceCopies::is_any_done() const noexcept {
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& stream) {
    return stream != nullptr && stream->is_any_done();
  });
}

bool DeviceCopies::look_closely() {
  bool has_changed = false;
  try {
    const CurrentContext current(driver_, context_.get());
    for (const auto& stream : streams_) {
      if (stream == nullptr || stream->is_idle()) continue;
      const CuResult result = stream->look_closely();
      if (result == kCuNotReady) continue;
      has_changed = true;
      driver_.check(result, "copying by " + name_);
    }
  } catch (...) {
    CopyFailure found = failure();
    found.cause = Cause::kPoisoned;
    if (!poison_) poison(found);
  }
  return has_changed;
}

bool DeviceCopies::fill(CopyStream& stream) {
  StartedCopy* const started = stream.next();
  if (started == nullptr) return false;
  const std::shared_ptr<DeviceCopy> copy = started->copy;
  try {
    const CurrentContext current(driver_, context_.get());
    submit_all(stream, started);
  } catch (...) {
    copy->fail(failure());
  }
  return true;
}

void DeviceCopies::submit_all(CopyStream& stream, StartedCopy* first) {
  for (StartedCopy* next = first; next != nullptr; next = stream.next())
    submit(stream, *next);
}

// If a part of it fails, the GPU may still have the rest, so that the copy has not
// ended before the stream has come by.
void DeviceCopies::submit(CopyStream& stream, StartedCopy& started) {
  const std::shared_ptr<DeviceCopy> copy = started.copy;
  try {
    const CopyBatch& batch = started.batches.next();
    std::uint64_t bytes = 0;
    try {
      hand_over(stream.get(), started, batch);
      bytes = batch.bytes;
    } catch (...) {
      copy->fail(failure());
    }
    if (poison_) return;  // and `started` is gone
    const CuResult result = stream.submitted(started, bytes, batch.weight);
    if (is_sticky(result)) driver_.fail(result, "copying by " + name_);
  } catch (...) {
    copy->fail(failure());
  }
}

void DeviceCopies::hand_over(CuStream stream, const StartedCopy& started,
                             const CopyBatch& batch) {
  using Way = PageCopyOptions::Way;
  const KernelChoice& choice = started.kernel;
  const PageCopyOptions options{.max_blocks = choice.max_blocks,
                                .way = choice.is_plain ? Way::kPlain : Way::kAuto};
  if (const PagedPair* const pages = started.batches.pages())
    return kernel_->copy(stream, *pages, batch.first_page, batch.page_count, options);
  if (batch.is_for_kernel) return kernel_->copy(stream, batch.ranges, options);
  for (const Page& range : batch.ranges)
    driver_.check(copy_range(stream, range, started.host_side), "copying by " + name_);
}

CuResult DeviceCopies::copy_range(CuStream stream, const Page& range,
                                  HostSide host_side) const {
  const Functions& functions = driver_.functions;
  switch (host_side) {
    case HostSide::kSources:
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      return functions.memcpy_htod_async(range.target,
                                         reinterpret_cast<const void*>(range.source),
                                         range.size, stream);
    case HostSide::kTargets:
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      return functions.memcpy_dtoh_async(reinterpret_cast<void*>(range.target),
                                         range.source, range.size, stream);
    case HostSide::kNone:
      break;
  }
  // With peer access it finds the way between two GPUs by the addresses.
  return functions.memcpy_dtod_async(range.target, range.source, range.size, stream);
}

CopyFailure DeviceCopies::failure() {
  CopyFailure failure = copy_failure("copying by " + name_);
  if (failure.cause == Cause::kPoisoned) poison(failure);
  return failure;
}

void DeviceCopies::poison(const CopyFailure& failure) {
  poison_ = failure;
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    for (auto& copy : stream->give_up()) {
      copy->copy->fail(failure);
      end(std::move(copy));
    }
  }
}

// What it held is closed here.
void DeviceCopies::end(std::unique_ptr<StartedCopy> copy) {
  if (!copy->batches.is_empty() && copy->exposure.is_over() &&
      !copy->copy->was_stopped())
    copy->copy->fail(lease_over());
  ended_.push_back(copy->tag);
}

void DeviceCopies::take_ended(std::vector<CopyTag>& tags) {
  tags.insert(tags.end(), ended_.begin(), ended_.end());
  ended_.clear();
}

std::chrono::steady_clock::time_point DeviceCopies::next_end() const noexcept {
  auto next = std::chrono::steady_clock::time_point::max();
  for (const auto& stream : streams_)
    if (stream != nullptr) next = std::min(next, stream->next_end());
  return next;
}

bool DeviceCopies::take_near_end() {
  bool is_any = false;
  for (const auto& stream : streams_)
    if (stream != nullptr && stream->take_near_end()) is_any = true;
  return is_any;
}

bool DeviceCopies::has_copies() const noexcept {
  return is_any_waiting() ||
         std::any_of(streams_.begin(), streams_.end(), [](const auto& stream) {
           return stream != nullptr && stream->has_copies();
         });
}

bool DeviceCopies::is_anything_under_way() const noexcept {
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& stream) {
    return stream != nullptr && !stream->is_idle();
  });
}

void DeviceCopies::drop(const Instance& owner) {
  imports_->drop(owner);
  CuContext context = context_.get();
  const bool is_current = driver_.functions.context_push(context) == kCuSuccess;
  foreign_points_->drop(owner);
  if (is_current) driver_.functions.context_pop(&context);
}

}  // namespace nixl_connect::paths::cuda
