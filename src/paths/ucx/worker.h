// SPDX-License-Identifier: Apache-2.0
//
// A UCX worker and the endpoints it owns. All members are called by one thread at
// a time; every callback runs inside Worker::progress(), never inside the call that
// caused it nor inside UCX, and must not throw.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "paths/ucx/context.h"
#include "paths/ucx/refusals.h"

namespace nixl_connect::paths::ucx {

class Endpoint;

class Worker {
 public:
  using MessageHandler = std::function<void(base::BytesView payload)>;

  // Throws Error(kNoResources) with UCX's own words. The context outlives the worker.
  explicit Worker(const Context& context) : Worker(context, nullptr) {}

  // What happens to this one is to be heard on the event descriptor of the other one,
  // which outlives it.
  Worker(const Context& context, const Worker& heard_by) : Worker(context, &heard_by) {}

  // Closes every endpoint by force and progresses until no request is left, for at most
  // a second; transfers end in here. What does not end by then is left alive for good,
  // with a log line, since freeing what UCX may still use is worse.
  ~Worker();

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The worker's address, the same bytes for its whole life.
  const base::Bytes& address() const noexcept { return address_; }

  // Receives whole active messages of one id, of at most 256 KiB; rendezvous data is
  // refused. `payload` is
  // valid during the call.
  void on_message(unsigned id, MessageHandler handler);

  // Opens an endpoint in the background and returns at once: what is posted before it
  // is connected waits. `on_failed` is called at most once, and not after close().
  // Throws Error(kInvalidArgument) if UCX cannot read the address and
  // Error(kDisconnected) if it knows no transport that reaches it, or finds at once
  // that nobody is there, or has found so lately.
  Endpoint& connect(base::BytesView address,
                    std::function<void(const std::string& cause)> on_failed);

  // Closes by force, in the background. Transfers on it end when what they have under
  // way has ended, as failures unless everything was in place; the reference is dead
  // for the caller from here on.
  void close(Endpoint& endpoint);

  // Handles what is ready. True if anything happened. Not to be called by a callback.
  bool progress();

  // Readable when progress() is due, once arm() has returned true. arm() false: call
  // progress() again first.
  int event_fd() const noexcept { return event_fd_; }
  bool arm();

  // The rest is for the other files of this folder.

  const Context& context() const noexcept { return context_; }
  const Functions& functions() const noexcept { return functions_; }
  ucp_worker_h raw() const noexcept { return worker_.get(); }

  // Runs `delivery` inside the next progress().
  void deliver(std::function<void()> delivery) { due_.push_back(std::move(delivery)); }

 private:
  Worker(const Context& context, const Worker* heard_by);

  struct Route {
    Worker& worker;
    MessageHandler handler;  // null while the worker is being destroyed
  };

  static ucs_status_t receive(void* route, const void* header, std::size_t header_size,
                              void* data, std::size_t size,
                              const ucp_am_recv_param_t* param) noexcept;
  bool run_deliveries();
  bool close_everything();

  const Context& context_;
  const Functions& functions_;
  std::unique_ptr<ucp_worker, void (*)(ucp_worker_h)> worker_;
  base::Bytes address_;
  int event_fd_ = -1;

  std::map<unsigned, Route> routes_;
  Refusals refusals_;
  std::vector<std::unique_ptr<Endpoint>> open_;
  std::vector<std::unique_ptr<Endpoint>> closing_;
  std::vector<std::function<void()>> due_;
  std::vector<std::function<void()>> running_;  // empty outside run_deliveries()
};

}  // namespace nixl_connect::paths::ucx
