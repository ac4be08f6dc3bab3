// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/transfer.h"

#include <algorithm>
#include <utility>

namespace nixl_connect::paths::ucx {
namespace {

// Under way at a time: enough to fill any path, little enough to end soon.
constexpr std::size_t kMaxRequests = 128;
constexpr std::uint64_t kMaxPieces = 4;  // of the largest

MemoryKinds kinds_of(const Range& range) noexcept {
  const bool is_local_of_host =
      range.registration == nullptr || range.registration->kind() == MemoryKind::kHost;
  return {is_local_of_host ? MemoryKind::kHost : MemoryKind::kGpu, range.key->kind()};
}

std::uint64_t piece_limit(const Endpoint& endpoint,
                          const std::vector<Range>& ranges) noexcept {
  const bool are_of_gpus =
      endpoint.worker().context().has_cuda_ipc() &&
      std::all_of(ranges.begin(), ranges.end(), [](const Range& range) {
        const MemoryKinds kinds = kinds_of(range);
        return kinds.local == MemoryKind::kGpu && kinds.remote == MemoryKind::kGpu;
      });
  return are_of_gpus ? Pieces::kLargestOfGpus : Pieces::kLargest;
}

Pieces pieces_of(const Endpoint& endpoint, std::vector<Range> ranges) {
  const std::uint64_t limit = piece_limit(endpoint, ranges);
  return Pieces(std::move(ranges), limit);
}

}  // namespace

// The state of a transfer, which UCX calls back about: it stays until its end even if
// the Transfer goes before.
class Transfer::Run {
 public:
  Run(Endpoint& endpoint, Direction direction, std::vector<Range> ranges, bool flush,
      std::function<void(TransferResult)> ended);

  void start();
  void stop();
  void mirror(std::atomic<std::uint64_t>& counter) noexcept { mirror_ = &counter; }
  std::uint64_t bytes_done() const noexcept { return bytes_done_; }

  // Destroys a run: now, or at its end if that is still to come.
  static void abandon(std::unique_ptr<Run> run);

 private:
  // A request under way.
  struct Slot {
    Run* run;
    Slot* next_free;
    std::uint64_t size;
    bool is_flush;
    bool is_probe;
  };

  static void request_ended(void* request, ucs_status_t status, void* slot) noexcept;

  bool is_all_posted() const noexcept {
    return pieces_.is_empty() || is_stopped_ || failure_ || !endpoint_.may_post();
  }
  bool is_flush_due() const noexcept {
    return wants_flush_ && has_posted_ && !has_posted_flush_ && endpoint_.may_post();
  }
  bool has_room() const noexcept {
    return requests_ < kMaxRequests && bytes_under_way_ < kMaxPieces * pieces_.limit();
  }

  void go_on();
  void post_pieces();
  void post_piece(const Range& piece);
  void post_flush();
  Slot& take_slot(const Range* piece);
  ucp_request_param_t parameters(Slot& slot) const noexcept;
  void posted(ucs_status_ptr_t request, Slot& slot) noexcept;
  void free_slot(Slot& slot, ucs_status_t status);

  void end();
  void report();
  TransferResult result();

  Endpoint& endpoint_;
  std::optional<Endpoint::Use> use_;  // until the end
  const Functions& functions_;
  const Direction direction_;
  const bool wants_flush_;
  std::function<void(TransferResult)> ended_;

  const MemoryKinds kinds_;  // of its first range
  Pieces pieces_;
  std::unique_ptr<Slot[]> slots_;
  std::size_t slots_used_ = 0;  // of slots_, at least once
  Slot* free_slots_ = nullptr;
  std::size_t requests_ = 0;  // under way
  std::uint64_t bytes_under_way_ = 0;
  std::uint64_t bytes_done_ = 0;
  std::atomic<std::uint64_t>* mirror_ = nullptr;  // of bytes_done_
  std::optional<std::string> failure_;            // the first one

  bool is_started_ = false;
  bool is_stopped_ = false;
  bool is_posting_ = false;  // inside go_on()
  bool has_posted_ = false;
  bool has_posted_flush_ = false;
  bool is_flushed_ = false;
  bool is_ending_ = false;
  bool is_abandoned_ = false;
};

Transfer::Run::Run(Endpoint& endpoint, Direction direction, std::vector<Range> ranges,
                   bool flush, std::function<void(TransferResult)> ended)
    : endpoint_(endpoint),
      use_(endpoint),
      functions_(endpoint.worker().functions()),
      direction_(direction),
      wants_flush_(flush),
      ended_(std::move(ended)),
      kinds_(ranges.empty() ? MemoryKinds{} : kinds_of(ranges.front())),
      pieces_(pieces_of(endpoint, std::move(ranges))),
      slots_(std::make_unique_for_overwrite<Slot[]>(
          std::min(pieces_.count(), kMaxRequests) + 1)) {}

void Transfer::Run::start() {
  is_started_ = true;
  go_on();
}

void Transfer::Run::stop() {
  is_stopped_ = true;
  if (is_started_) go_on();
}

void Transfer::Run::abandon(std::unique_ptr<Run> run) {
  if (!run->is_started_ || !run->use_) return;
  run->is_abandoned_ = true;
  run->mirror_ = nullptr;
  run->stop();
  static_cast<void>(run.release());  // report() destroys it
}

// Posts what may be posted, and ends the transfer when nothing is left to wait for.
void Transfer::Run::go_on() {
  if (is_posting_ || is_ending_) return;
  is_posting_ = true;
  post_pieces();
  if (is_all_posted() && is_flush_due()) post_flush();
  is_posting_ = false;
  if (requests_ > 0) return;
  if (is_all_posted())
    end();
  else
    endpoint_.worker().deliver([this] { go_on(); });
}

// At most one window at a time, even if UCX does everything at once: others have a
// right to the thread.
void Transfer::Run::post_pieces() {
  std::size_t posted = 0;
  std::uint64_t bytes = 0;
  const std::uint64_t most = kMaxPieces * pieces_.limit();
  while (!is_all_posted() && has_room() && posted < kMaxRequests && bytes < most) {
    const Range piece = pieces_.take();
    post_piece(piece);
    ++posted;
    bytes += piece.size;
  }
}

void Transfer::Run::post_piece(const Range& piece) {
  Slot& slot = take_slot(&piece);
  ucp_request_param_t params = parameters(slot);
  if (piece.registration != nullptr) {
    params.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMH;
    params.memh = piece.registration->raw();
  } else {
    params.op_attr_mask |= UCP_OP_ATTR_FIELD_MEMORY_TYPE;
    params.memory_type = UCS_MEMORY_TYPE_HOST;
  }
  if (pieces_.count() > 1) params.op_attr_mask |= UCP_OP_ATTR_FLAG_MULTI_SEND;
  if (slot.is_probe) params.op_attr_mask |= UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  auto* local = reinterpret_cast<void*>(piece.local);
  has_posted_ = true;
  posted(direction_ == Direction::kGet
             ? functions_.get_nbx(endpoint_.raw(), local, piece.size, piece.remote,
                                  piece.key->raw(), &params)
             : functions_.put_nbx(endpoint_.raw(), local, piece.size, piece.remote,
                                  piece.key->raw(), &params),
         slot);
}

void Transfer::Run::post_flush() {
  has_posted_flush_ = true;
  Slot& slot = take_slot(nullptr);
  const ucp_request_param_t params = parameters(slot);
  posted(functions_.ep_flush_nbx(endpoint_.raw(), &params), slot);
}

// Null: of the flush.
Transfer::Run::Slot& Transfer::Run::take_slot(const Range* piece) {
  Slot* slot = free_slots_ != nullptr
                   ? std::exchange(free_slots_, free_slots_->next_free)
                   : &slots_[slots_used_++];
  const std::uint64_t size = piece == nullptr ? 0 : piece->size;
  const bool is_probe =
      piece != nullptr && endpoint_.path_texts().of(direction_, kinds_, size).empty();
  *slot = {this, nullptr, size, piece == nullptr, is_probe};
  ++requests_;
  bytes_under_way_ += size;
  return *slot;
}

ucp_request_param_t Transfer::Run::parameters(Slot& slot) const noexcept {
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.cb.send = request_ended;
  params.user_data = &slot;
  return params;
}

void Transfer::Run::posted(ucs_status_ptr_t request, Slot& slot) noexcept {
  // A pointer: request_ended() comes, or, for a probe, has been.
  if (!UCS_PTR_IS_PTR(request)) free_slot(slot, UCS_PTR_STATUS(request));
}

void Transfer::Run::request_ended(void* request, ucs_status_t status,
                                  void* slot) noexcept {
  auto& ended = *static_cast<Slot*>(slot);
  Run& run = *ended.run;
  if (ended.is_probe && status == UCS_OK)
    run.endpoint_.path_texts().note(run.direction_, run.kinds_, ended.size,
                                    run.functions_, request);
  run.functions_.request_free(request);
  run.free_slot(ended, status);
  run.go_on();
}

void Transfer::Run::free_slot(Slot& slot, ucs_status_t status) {
  --requests_;
  bytes_under_way_ -= slot.size;
  if (status == UCS_OK) {
    bytes_done_ += slot.size;
    if (mirror_ != nullptr) mirror_->store(bytes_done_, std::memory_order_relaxed);
    is_flushed_ |= slot.is_flush;
  } else if (!failure_) {
    failure_ = functions_.status_string(status);
  }
  slot.next_free = std::exchange(free_slots_, &slot);
}

void Transfer::Run::end() {
  is_ending_ = true;
  endpoint_.worker().deliver([this] { report(); });
}

void Transfer::Run::report() {
  if (is_abandoned_) {
    delete this;
    return;
  }
  const auto ended = std::move(ended_);
  TransferResult how = result();
  use_.reset();
  ended(std::move(how));  // may destroy this
}

TransferResult Transfer::Run::result() {
  const bool lacks_flush = wants_flush_ && has_posted_ && !is_flushed_;
  if (!failure_ && is_stopped_ && !pieces_.is_empty()) failure_ = "stopped";
  if (!failure_ && (lacks_flush || !pieces_.is_empty())) failure_ = endpoint_.refusal();
  // Without a flush, puts that have left are known to have arrived only by their end.
  const bool is_certain = direction_ == Direction::kGet || is_flushed_ || !failure_;
  return {std::move(failure_), is_certain ? bytes_done_ : 0,
          endpoint_.path_texts().of(direction_, kinds_, pieces_.largest())};
}

Transfer::Transfer(Endpoint& endpoint, Direction direction, std::vector<Range> ranges,
                   bool flush, std::function<void(TransferResult)> ended)
    : run_(std::make_unique<Run>(endpoint, direction, std::move(ranges), flush,
                                 std::move(ended))) {}

Transfer::~Transfer() { Run::abandon(std::move(run_)); }

void Transfer::mirror(std::atomic<std::uint64_t>& counter) noexcept {
  run_->mirror(counter);
}

void Transfer::start() { run_->start(); }
void Transfer::stop() { run_->stop(); }
std::uint64_t Transfer::bytes_done() const noexcept { return run_->bytes_done(); }

}  // namespace nixl_connect::paths::ucx
