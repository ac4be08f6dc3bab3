// SPDX-License-Identifier: Apache-2.0
//
// The body of Connector: checks what users ask for, makes memory reachable and hands
// the rest to the driver. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "core/requests.h"
#include "nixl_connect/connector.h"
#include "paths/cuda/stream_points.h"
#include "runtime/progress_thread.h"
#include "runtime/remote_agent.h"
#include "runtime/remote_ranges.h"

namespace nixl_connect::runtime {

struct Resources;
class Driver;
class OperationMemory;
class RegistrationHold;

class Engine {
 public:
  explicit Engine(const ConnectorOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::shared_ptr<OperationState> expose(OperationKind kind,
                                         std::span<const Descriptor> descriptors,
                                         const OperationOptions& options);
  std::shared_ptr<OperationState> begin(OperationKind kind, const RdmaMetadata& remote,
                                        std::span<const Descriptor> descriptors,
                                        const OperationOptions& options);
  std::shared_ptr<OperationState> begin(OperationKind kind, const RemotePages& remote,
                                        const Pages& local,
                                        const OperationOptions& options);
  Plan explain(const RdmaMetadata& remote, std::span<const Descriptor> descriptors,
               const OperationOptions& options);
  Plan explain(const RemotePages& remote, const Pages& local,
               const OperationOptions& options);
  std::shared_ptr<OperationState> begin_view(const RdmaMetadata& remote,
                                             const OperationOptions& options);
  void close();

  const std::string& name() const noexcept { return name_; }
  const std::string& hostname() const noexcept { return hostname_; }
  std::string transport() const;

 private:
  std::shared_ptr<OperationState> expose(OperationKind kind,
                                         std::span<const Descriptor> descriptors,
                                         const OperationOptions& options,
                                         RegistrationHold hold,
                                         const wire::LeaseRecord& lease);
  // Both sides of an operation: descriptors, or pages of them.
  struct Sides {
    const RdmaMetadata& remote;
    std::span<const Descriptor> local;
    const RemotePages* remote_pages = nullptr;
    const Pages* local_pages = nullptr;
  };

  std::shared_ptr<OperationState> begin(OperationKind kind, const Sides& sides,
                                        const OperationOptions& options);
  Plan explain(const Sides& sides, const OperationMemory& memory,
               const OperationOptions& options);
  static RemoteRanges ranges_of(const Sides& sides, const RemoteAgent& agent);
  core::Time deadline(const OperationOptions& options) const;
  void await_point(const paths::cuda::StreamPointPtr& point) const;
  RegistrationHold acquire(std::span<const Descriptor> descriptors);

  const std::string name_;
  const std::string hostname_;
  const std::shared_ptr<Resources> resources_;
  const std::shared_ptr<Driver> driver_;
  RemoteAgents remote_agents_;
  std::atomic<core::OperationId> last_operation_{0};
  std::atomic<bool> is_gpu_worker_told_{false};  // to the driver

  std::mutex close_mutex_;
  ProgressThread thread_;  // guarded by close_mutex_
};

}  // namespace nixl_connect::runtime
