// SPDX-License-Identifier: Apache-2.0
//
// Moves memory between processes. One side exposes memory and hands the operation's
// metadata to the other over any channel; the other reads or writes it:
//
//   exposing process                        initiating process
//   Connector connector;                    Connector connector;
//   auto readable =                         auto remote =
//     connector.create_readable(source);      RdmaMetadata::from_json(text);
//   send(readable.metadata().to_json());    auto read =
//   readable.wait();                          connector.begin_read(remote, target);
//                                           read.wait();
//
// A Connector has one thread of its own, which sleeps when nothing happens. Every
// member may be called from any thread. Neither a Connector nor its operations work in
// a child made by fork(): they refuse with Error(kUnsupported).
#pragma once

#include <memory>
#include <span>
#include <string>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "nixl_connect/operation.h"
#include "nixl_connect/options.h"
#include "nixl_connect/pages.h"
#include "nixl_connect/plan.h"

namespace nixl_connect {

namespace runtime {
class Engine;
}

// Semantic version of the library in use, "0.1.0".
std::string_view version() noexcept;

class Connector {
 public:
  // Opens UCX on the first use in the process and starts the progress thread. Throws
  // Error(kInvalidArgument) for a worker_id that is empty or not UTF-8 and for options
  // that UCX refuses, Error(kUnsupported) when no usable UCX (1.19 or later) is found,
  // which says where was looked and what to install, and Error(kNoResources).
  explicit Connector(
      const ConnectorOptions& options = ConnectorOptions::from_environment());

  // close().
  ~Connector();

  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // Memory of `size` bytes that peers of this host can map; any Connector of the
  // process can expose it. `huge_pages`: of huge pages, if the system has enough in
  // reserve (vm.nr_hugepages), which spares it the work of 512 small ones. Throws
  // Error(kInvalidArgument) for a size of 0, Error(kNoResources).
  static Allocation allocate(std::size_t size, bool huge_pages = false);

  // Makes `source` readable by whoever holds the operation's metadata. Returns with the
  // memory reachable. The descriptors of a list must be of one device kind and are read
  // as one operation. Throws Error(kInvalidArgument) for an empty list, a null pointer
  // to some bytes, mixed kinds or `readers` of 0, Error(kUnsupported) for memory of a
  // device that cannot be moved, Error(kNoResources) beyond 65,536 exposed operations;
  // nothing is registered then.
  ReadableOperation create_readable(const Descriptor& source,
                                    const OperationOptions& options = {});
  ReadableOperation create_readable(std::span<const Descriptor> sources,
                                    const OperationOptions& options = {});

  // Makes `target` writable, under the same rules; it must not be read-only.
  WritableOperation create_writable(const Descriptor& target,
                                    const OperationOptions& options = {});
  WritableOperation create_writable(std::span<const Descriptor> targets,
                                    const OperationOptions& options = {});

  // Starts to read the memory named by `remote` into `target`. Throws
  // Error(kInvalidArgument), with nothing started, if `remote` is not for reading,
  // lacks descriptors, NIXL metadata or a key, names memory outside what was exposed,
  // does not match the targets in number and sizes, or names memory of this process
  // that overlaps a target, and Error(kUnsupported) if it is of a device or a transport
  // that cannot be used. Whatever goes wrong later ends the operation. A small read may
  // be terminal when this returns.
  ReadOperation begin_read(const RdmaMetadata& remote, const Descriptor& target,
                           const OperationOptions& options = {});
  ReadOperation begin_read(const RdmaMetadata& remote,
                           std::span<const Descriptor> targets,
                           const OperationOptions& options = {});

  // Starts to write `source` into the memory named by `remote`. Note the order of the
  // arguments: source first, as everywhere in this API.
  WriteOperation begin_write(const Descriptor& source, const RdmaMetadata& remote,
                             const OperationOptions& options = {});
  WriteOperation begin_write(std::span<const Descriptor> sources,
                             const RdmaMetadata& remote,
                             const OperationOptions& options = {});

  // The same for pages of both sides, as many and of one size, of which each is moved
  // to that of the same place; pages.h says what they cost.
  ReadOperation begin_read(const RemotePages& remote, const Pages& targets,
                           const OperationOptions& options = {});
  WriteOperation begin_write(const Pages& sources, const RemotePages& remote,
                             const OperationOptions& options = {});

  // Starts to open a view of the memory named by `remote`, which is left where it is:
  // to open it takes the same time for any size. `timeout` is that of the opening.
  // Throws Error(kInvalidArgument) as begin_read() does. The peer must be on this host
  // and the memory from allocate(); otherwise the operation ends with kUnsupported, and
  // the exposing side has heard nothing of it, so that the memory can still be read.
  ViewOperation begin_view(const RdmaMetadata& remote,
                           const OperationOptions& options = {});

  // Which path the read or write that `remote` is for would take with that local
  // memory, and why, without moving a byte; the peer may learn of this Connector.
  // Throws as begin_read(), and Error(kDisconnected) if the peer is gone. Not from a
  // completion callback. Waits for the progress thread, for some microseconds.
  Plan explain(const RdmaMetadata& remote, std::span<const Descriptor> local,
               const OperationOptions& options = {});
  Plan explain(const RemotePages& remote, const Pages& local,
               const OperationOptions& options = {});

  // Cancels what is running, closes views, waits until its memory is quiet, hands out
  // the last messages and ends the thread. Operations stay usable as terminal ones.
  // Further calls throw Error(kInvalidArgument); closing again does nothing.
  void close();

  // The worker id.
  const std::string& name() const noexcept;

  // Name of this host.
  const std::string& hostname() const noexcept;

  // Version and folder of the UCX in use, for logs and bug reports; and why it does
  // without memory of GPUs, once some was exposed.
  std::string transport() const;

 private:
  std::unique_ptr<runtime::Engine> engine_;
};

}  // namespace nixl_connect
