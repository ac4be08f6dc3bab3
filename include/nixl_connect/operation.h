// SPDX-License-Identifier: Apache-2.0
//
// The five operations. The exposing side holds a ReadableOperation or a
// WritableOperation, the initiating side a ReadOperation or a ViewOperation of the
// first, a WriteOperation of the second. All members may be called from any thread at
// any time.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/metadata.h"
#include "nixl_connect/plan.h"
#include "nixl_connect/status.h"

namespace nixl_connect {

namespace runtime {
class OperationState;
struct View;
}  // namespace runtime

// The thread that calls a callback.
enum class CallOn {
  kProgressThread,  // the Connector's own
  // Whichever sees the end: one of the library's, or one of yours inside any call to
  // the library, on_complete() too. That saves a thread's wake-up. The callback, and
  // the destructors of what it captured, must not call the library, block, or take a
  // lock that you hold while you call it: set a flag, or write to an eventfd.
  kAnyThread,
};

// Movable, not copyable. Destroying an operation that is not terminal cancels it and
// returns at once; the library keeps the descriptors' owners until the memory is quiet.
class Operation {
 public:
  Operation(Operation&&) noexcept = default;
  Operation& operator=(Operation&& other) noexcept;
  ~Operation();

  OperationStatus status() const noexcept;
  OperationKind kind() const noexcept;
  const std::vector<Descriptor>& descriptors() const noexcept;
  const std::string& notification_key() const noexcept;

  // Blocks until the operation is terminal. The calling thread may do the transfer's
  // work meanwhile; where there is none, it uses no CPU. Returns kComplete or
  // kCancelled, which is this side's own cancel(); throws the operation's Error if it
  // is kErrored: kDisconnected when the peer went away, kCancelled when it gave the
  // operation up, kTimedOut when the deadline passed. Throws Error(kInvalidArgument)
  // when called on the library's own thread, that is, from a completion callback of
  // another operation.
  OperationStatus wait();

  // The same for at most `duration`. False: not terminal yet, and still running.
  [[nodiscard]] bool wait_for(std::chrono::nanoseconds duration);

  // Calls `callback` once, when the operation is terminal; what it throws is logged and
  // dropped. On the progress thread it must not block, and runs under no lock and never
  // inside this call; soon if the operation is terminal already, but for a closed
  // Connector, which has no thread any more: then this throws Error(kInvalidArgument).
  // With kAnyThread (see there) a terminal operation's is called inside this call.
  void on_complete(std::function<void(OperationStatus)> callback,
                   CallOn thread = CallOn::kProgressThread);

  // Whether nothing can touch the memory any more. The same as terminal, but for a
  // readable that stays open (OperationOptions) and for a view. on_quiet() is to it
  // what on_complete() is to the status.
  bool is_quiet() const noexcept;
  void on_quiet(std::function<void(OperationStatus)> callback);

  // What the stream, of the GPU that has the memory, is given from now on waits on that
  // GPU until this operation has ended, however it ends: look at the status before you
  // pass on what was computed behind it. Does nothing once terminal. Returns at once,
  // but on the initiating side when the copy has got what it needs of CUDA, which takes
  // milliseconds of a first one, and a Grant of a write (docs/threading.md). Give the
  // operation a timeout, or end it, if nobody may come: until then the stream does
  // nothing else. Throws Error(kInvalidArgument) for memory that is not a GPU's,
  // for a readable that stays open, for another GPU's stream, and in a completion
  // callback where it would wait.
  void wait_on(CudaStream stream);

  // `co_await op` is wait() for coroutines: it does not suspend if the operation is
  // terminal, otherwise resumes on the progress thread.
  class Awaiter;
  Awaiter operator co_await() noexcept;

  // Asks for the end. The status turns kCancelled once the memory is quiet; a terminal
  // operation is left as it is, though one that stays open ends here. Returns at once.
  void cancel() noexcept;

  // All bytes once COMPLETE. Before that, on the initiating side, what has been read or
  // has left so far; on the exposing side, what peers of ours reported.
  std::uint64_t bytes_transferred() const noexcept;

  // The way the bytes went, for example "ucx: zero-copy cma/memory"; empty before any
  // moved, and on an exposing side that was not told.
  std::string path() const;

  // Which path it takes and why, with what stands against each other one. On the
  // initiating side it is settled when the operation begins, and again if the path
  // turns out to be closed. The exposing side knows the peer's path only, once it is
  // told. Of a view: path and bytes only.
  Plan explain() const;

  // Only the Connector can make the state.
  explicit Operation(std::shared_ptr<runtime::OperationState> state) noexcept;

 protected:
  std::shared_ptr<runtime::OperationState> state_;
};

class Operation::Awaiter {
 public:
  explicit Awaiter(Operation& operation) noexcept : operation_(operation) {}
  bool await_ready() const noexcept { return is_terminal(operation_.status()); }
  bool await_suspend(std::coroutine_handle<> waiter);
  OperationStatus await_resume() { return operation_.wait(); }

 private:
  Operation& operation_;
};

inline Operation::Awaiter Operation::operator co_await() noexcept {
  return Awaiter(*this);
}

// The exposing side: memory that a peer reads or writes.
class PassiveOperation : public Operation {
 public:
  using Operation::Operation;

  // What the peer needs. The same at each call; `hex_encode` chooses the older of the
  // two text forms. Waits for the stream of the operation's options if
  // ConnectorOptions::wait_for_streams says so, or the GPU's events have no handles;
  // not from a completion callback then, for whose end the stream may be waiting.
  RdmaMetadata metadata(bool hex_encode = false) const;
};

// Memory exposed for reading.
class ReadableOperation : public PassiveOperation {
 public:
  using PassiveOperation::PassiveOperation;
};

// Memory exposed for writing.
class WritableOperation : public PassiveOperation {
 public:
  using PassiveOperation::PassiveOperation;
};

// The initiating side: a transfer that began when the operation was made.
class ActiveOperation : public Operation {
 public:
  using Operation::Operation;

  // The peer's NIXL agent name.
  const std::string& remote() const noexcept;
};

// A peer's readable memory on its way into ours.
class ReadOperation : public ActiveOperation {
 public:
  using ActiveOperation::ActiveOperation;

  // The descriptors that were filled. Throws Error(kInvalidArgument) unless COMPLETE.
  const std::vector<Descriptor>& results() const;
};

// Our memory on its way into a peer's writable memory.
class WriteOperation : public ActiveOperation {
 public:
  using ActiveOperation::ActiveOperation;
};

// A peer's readable memory, looked at where it is. COMPLETE means open; from then on
// the exposing side waits for the end of the view before it takes its memory back, for
// as long as both live. Destroying the operation closes it, and so does cancel().
class ViewOperation : public ActiveOperation {
 public:
  using ActiveOperation::ActiveOperation;

  // How many descriptors it shows, those of the metadata, and the bytes of one, which
  // cannot be written to: no copy, but the peer's memory as it is at each look. They
  // stay readable as long as this operation, or what owner() gave, though after the end
  // with any content. Throw Error(kInvalidArgument) unless COMPLETE, bytes() also for
  // an `index` that is not less than count().
  std::size_t count() const;
  std::span<const std::byte> bytes(std::size_t index = 0) const;
  std::shared_ptr<const void> owner() const;

  // Ends the view: look at the bytes no more. Returns at once; is_quiet() and
  // on_quiet() tell when the peer has been told. Again, it does nothing.
  void close() noexcept { cancel(); }

  // The exposing side wants its memory back, for which it now waits, or is gone: close
  // soon. on_revoked() calls once, when this becomes so or the view has ended, and else
  // as on_complete() does.
  bool is_revoked() const noexcept;
  void on_revoked(std::function<void(OperationStatus)> callback);

 private:
  const runtime::View& opened() const;
};

}  // namespace nixl_connect
