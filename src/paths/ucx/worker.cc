// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/worker.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "paths/ucx/endpoint.h"

namespace nixl_connect::paths::ucx {
namespace {

constexpr std::chrono::seconds kLongestClose{1};
constexpr std::size_t kMaxMessageBytes = 256 << 10;

[[noreturn]] void fail(const Functions& functions, const char* what,
                       ucs_status_t status) {
  throw Error(ErrorKind::kNoResources,
              std::string(what) + ": " + functions.status_string(status));
}

// `event_fd` negative: one of its own.
ucp_worker_h make_worker(const Context& context, int event_fd) {
  const Functions& functions = context.library().functions;
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  if (event_fd >= 0) {
    params.field_mask |= UCP_WORKER_PARAM_FIELD_EVENT_FD;
    params.event_fd = event_fd;
  }
  ucp_worker_h worker = nullptr;
  const ucs_status_t status = functions.worker_create(context.raw(), &params, &worker);
  if (status != UCS_OK) fail(functions, "UCX cannot make a worker", status);
  return worker;
}

base::Bytes query_address(const Functions& functions, ucp_worker_h worker) {
  ucp_worker_attr_t attributes{};
  attributes.field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS;
  const ucs_status_t status = functions.worker_query(worker, &attributes);
  if (status != UCS_OK) fail(functions, "UCX gives no worker address", status);
  const auto* first = reinterpret_cast<const std::byte*>(attributes.address);
  base::Bytes address(first, first + attributes.address_length);
  functions.worker_release_address(worker, attributes.address);
  return address;
}

}  // namespace

Worker::Worker(const Context& context, const Worker* heard_by)
    : context_(context),
      functions_(context.library().functions),
      worker_(make_worker(context, heard_by == nullptr ? -1 : heard_by->event_fd()),
              functions_.worker_destroy),
      address_(query_address(functions_, worker_.get())) {
  if (heard_by != nullptr) {
    event_fd_ = heard_by->event_fd();
    return;
  }
  const ucs_status_t status = functions_.worker_get_efd(worker_.get(), &event_fd_);
  if (status != UCS_OK) fail(functions_, "UCX gives no event descriptor", status);
}

Worker::~Worker() {
  if (context_.library().is_of_this_process() && close_everything()) return;
  if (context_.library().is_of_this_process())
    base::log_error(
        "UCX did not end every request within a second; its worker is left "
        "alive");
  // Leaked on purpose, with all that UCX may still refer to.
  static_cast<void>(worker_.release());
  static_cast<void>(new auto(context_.share()));
  static_cast<void>(new auto(std::move(open_)));
  static_cast<void>(new auto(std::move(closing_)));
}

// False if something is still under way.
bool Worker::close_everything() {
  for (auto& [id, route] : routes_) route.handler = nullptr;
  while (!open_.empty()) close(*open_.back());
  const auto end = std::chrono::steady_clock::now() + kLongestClose;
  // An armed worker has nothing more to do. Requests may all have ended before that:
  // UCX aborts the process if CMA has an endpoint's flush still queued.
  while (progress() || !closing_.empty() || !arm()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

ucs_status_t Worker::receive(void* route, const void* /*header*/,
                             std::size_t /*header_size*/, void* data, std::size_t size,
                             const ucp_am_recv_param_t* param) noexcept {
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0) {
    base::log_warning("a peer's message was refused: it asks for rendezvous");
    return UCS_ERR_UNSUPPORTED;
  }
  if (size > kMaxMessageBytes) {
    base::log_warning("a peer's message of " + std::to_string(size) +
                      " bytes was refused");
    return UCS_OK;
  }
  Route& to = *static_cast<Route*>(route);
  const auto* first = static_cast<const std::byte*>(data);
  to.worker.deliver([&to, payload = base::Bytes(first, first + size)] {
    if (to.handler) to.handler(payload);
  });
  return UCS_OK;
}

void Worker::on_message(unsigned id, MessageHandler handler) {
  const auto [at, is_new] = routes_.try_emplace(id, Route{*this, nullptr});
  at->second.handler = std::move(handler);
  if (!is_new) return;
  ucp_am_handler_param_t params{};
  params.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  params.id = id;
  params.flags = UCP_AM_FLAG_WHOLE_MSG;
  params.cb = receive;
  params.arg = &at->second;
  const ucs_status_t status =
      functions_.worker_set_am_recv_handler(worker_.get(), &params);
  if (status != UCS_OK) fail(functions_, "UCX takes no message handler", status);
}

Endpoint& Worker::connect(base::BytesView address,
                          std::function<void(const std::string& cause)> on_failed) {
  refusals_.check(address, Refusals::Clock::now());
  try {
    open_.push_back(std::make_unique<Endpoint>(*this, address, std::move(on_failed)));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kDisconnected)
      refusals_.add(address, error.what(), Refusals::Clock::now());
    throw;
  }
  refusals_.forget(address);
  return *open_.back();
}

void Worker::close(Endpoint& endpoint) {
  const auto at = std::find_if(open_.begin(), open_.end(), [&](const auto& candidate) {
    return candidate.get() == &endpoint;
  });
  if (at == open_.end()) return;
  closing_.push_back(std::move(*at));
  open_.erase(at);
  endpoint.close();
}

bool Worker::run_deliveries() {
  if (due_.empty()) return false;
  running_.swap(due_);
  for (const auto& delivery : running_) delivery();
  running_.clear();
  return true;
}

bool Worker::progress() {
  bool is_active = functions_.worker_progress(worker_.get()) != 0;
  if (run_deliveries()) is_active = true;
  if (!closing_.empty())
    std::erase_if(closing_, [](const auto& endpoint) { return endpoint->is_gone(); });
  return is_active;
}

bool Worker::arm() {
  return due_.empty() && functions_.worker_arm(worker_.get()) == UCS_OK;
}

}  // namespace nixl_connect::paths::ucx
