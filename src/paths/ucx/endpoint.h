// SPDX-License-Identifier: Apache-2.0
//
// A connection to the worker of one peer. Owned by its Worker; used by one thread
// at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "paths/ucx/path_texts.h"
#include "paths/ucx/worker.h"

namespace nixl_connect::paths::ucx {

// A peer's key, unpacked for one endpoint and destroyed with it.
class RemoteKey {
 public:
  RemoteKey(ucp_rkey_h key, MemoryKind kind, const Functions& functions)
      : key_(key, functions.rkey_destroy), kind_(kind) {}
  ucp_rkey_h raw() const noexcept { return key_.get(); }
  MemoryKind kind() const noexcept { return kind_; }

 private:
  std::unique_ptr<ucp_rkey, void (*)(ucp_rkey_h)> key_;
  MemoryKind kind_;
};

class Endpoint {
 public:
  using FailureHandler = std::function<void(const std::string& cause)>;

  // Worker::connect() is the way to get one.
  Endpoint(Worker& worker, base::BytesView address, FailureHandler on_failed);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // Unpacks a key, or finds it among those unpacked before. The bytes come from a peer:
  // throws Error(kInvalidArgument) if UCX refuses them.
  const RemoteKey& remote_key(base::BytesView packed);

  // Sends an eager active message without a header. A failure shows as the endpoint's;
  // on an endpoint that has failed, nothing is sent.
  void send(unsigned id, base::Bytes payload);

  // Calls `flushed` inside Worker::progress() once everything sent before is on its way
  // and can no longer be lost by close(), or once the endpoint has failed.
  void flush(std::function<void()> flushed);

  bool is_failed() const noexcept { return !failure_.empty(); }

  // Lanes in use, for example "tcp/lo cma/memory"; empty before the first transfer.
  std::string lanes() const;

  // The rest is for the other files of this folder.

  // Keeps a closed endpoint in memory. Whatever UCX may call back about holds one.
  class Use {
   public:
    explicit Use(Endpoint& endpoint) noexcept : endpoint_(endpoint) {
      ++endpoint_.uses_;
    }
    Use(const Use& other) noexcept : Use(other.endpoint_) {}
    Use& operator=(const Use&) = delete;
    ~Use() { --endpoint_.uses_; }

    Endpoint& operator*() const noexcept { return endpoint_; }
    Endpoint* operator->() const noexcept { return &endpoint_; }

   private:
    Endpoint& endpoint_;
  };

  Worker& worker() const noexcept { return worker_; }
  ucp_ep_h raw() const noexcept { return endpoint_; }
  PathTexts& path_texts() noexcept { return path_texts_; }

  bool may_post() const noexcept { return !is_closed_ && !is_failed(); }
  // Why may_post() is false.
  std::string refusal() const {
    return is_failed() ? failure_ : "the connection was closed";
  }

  // Called by Worker::close(), which lets go of the endpoint when it is gone.
  void close();
  bool is_gone() const noexcept { return is_closed_ && !is_closing_ && uses_ == 0; }

 private:
  struct Message;
  struct Flush;

  static void message_ended(void* request, ucs_status_t status, void* message) noexcept;
  static void flush_ended(void* request, ucs_status_t status, void* flush) noexcept;
  static void failed(void* self, ucp_ep_h endpoint, ucs_status_t status) noexcept;
  static void close_ended(void* request, ucs_status_t status, void* self) noexcept;
  void fail(ucs_status_t status);

  Worker& worker_;
  const Functions& functions_;
  ucp_ep_h endpoint_ = nullptr;
  FailureHandler on_failed_;  // null once called or closed
  std::string failure_;       // UCX's words; empty: not failed
  bool is_closed_ = false;
  bool is_closing_ = false;
  unsigned uses_ = 0;
  std::map<std::string, RemoteKey, std::less<>> keys_;  // by their packed bytes
  PathTexts path_texts_;
};

}  // namespace nixl_connect::paths::ucx
