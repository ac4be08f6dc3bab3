// SPDX-License-Identifier: Apache-2.0
//
// The public classes: each member is one call into the runtime.
#include "nixl_connect/connector.h"

#include "base/exported_memory.h"
#include "nixl_connect/error.h"
#include "runtime/engine.h"
#include "runtime/operation_state.h"

namespace nixl_connect {

std::string_view version() noexcept { return NIXL_CONNECT_VERSION; }

Connector::Connector(const ConnectorOptions& options)
    : engine_(std::make_unique<runtime::Engine>(options)) {}

Connector::~Connector() = default;

Allocation Connector::allocate(std::size_t size, bool huge_pages) {
  if (size == 0) throw Error(ErrorKind::kInvalidArgument, "allocate: the size is 0");
  const auto memory = base::ExportedMemory::make(size, huge_pages);
  return {{memory->data(), size}, memory};
}

ReadableOperation Connector::create_readable(const Descriptor& source,
                                             const OperationOptions& options) {
  return create_readable(std::span(&source, 1), options);
}

ReadableOperation Connector::create_readable(std::span<const Descriptor> sources,
                                             const OperationOptions& options) {
  return ReadableOperation(engine_->expose(OperationKind::kRead, sources, options));
}

WritableOperation Connector::create_writable(const Descriptor& target,
                                             const OperationOptions& options) {
  return create_writable(std::span(&target, 1), options);
}

WritableOperation Connector::create_writable(std::span<const Descriptor> targets,
                                             const OperationOptions& options) {
  return WritableOperation(engine_->expose(OperationKind::kWrite, targets, options));
}

ReadOperation Connector::begin_read(const RdmaMetadata& remote,
                                    const Descriptor& target,
                                    const OperationOptions& options) {
  return begin_read(remote, std::span(&target, 1), options);
}

ReadOperation Connector::begin_read(const RdmaMetadata& remote,
                                    std::span<const Descriptor> targets,
                                    const OperationOptions& options) {
  return ReadOperation(engine_->begin(OperationKind::kRead, remote, targets, options));
}

WriteOperation Connector::begin_write(const Descriptor& source,
                                      const RdmaMetadata& remote,
                                      const OperationOptions& options) {
  return begin_write(std::span(&source, 1), remote, options);
}

WriteOperation Connector::begin_write(std::span<const Descriptor> sources,
                                      const RdmaMetadata& remote,
                                      const OperationOptions& options) {
  return WriteOperation(
      engine_->begin(OperationKind::kWrite, remote, sources, options));
}

ReadOperation Connector::begin_read(const RemotePages& remote, const Pages& targets,
                                    const OperationOptions& options) {
  return ReadOperation(engine_->begin(OperationKind::kRead, remote, targets, options));
}

WriteOperation Connector::begin_write(const Pages& sources, const RemotePages& remote,
                                      const OperationOptions& options) {
  return WriteOperation(
      engine_->begin(OperationKind::kWrite, remote, sources, options));
}

Plan Connector::explain(const RemotePages& remote, const Pages& local,
                        const OperationOptions& options) {
  return engine_->explain(remote, local, options);
}

Plan Connector::explain(const RdmaMetadata& remote, std::span<const Descriptor> local,
                        const OperationOptions& options) {
  return engine_->explain(remote, local, options);
}

ViewOperation Connector::begin_view(const RdmaMetadata& remote,
                                    const OperationOptions& options) {
  return ViewOperation(engine_->begin_view(remote, options));
}

void Connector::close() { engine_->close(); }
const std::string& Connector::name() const noexcept { return engine_->name(); }
const std::string& Connector::hostname() const noexcept { return engine_->hostname(); }
std::string Connector::transport() const { return engine_->transport(); }

}  // namespace nixl_connect
