// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <future>
#include <utility>

#include "base/log.h"
#include "base/process_identity.h"
#include "base/random.h"
#include "paths/host/fresh_memory.h"
#include "paths/local/exposures.h"
#include "runtime/checks.h"
#include "runtime/driver.h"
#include "runtime/exports.h"
#include "runtime/gpu_exports.h"
#include "runtime/gpu_paths.h"
#include "runtime/operation_state.h"
#include "runtime/overlap.h"
#include "runtime/resources.h"
#include "runtime/stream_order.h"
#include "wire/utf8.h"

namespace nixl_connect::runtime {
namespace {

std::string chosen_name(const ConnectorOptions& options) {
  if (!options.worker_id) return base::random_hex(32);
  if (options.worker_id->empty())
    throw Error(ErrorKind::kInvalidArgument,
                "worker_id is empty; leave it out for a generated one");
  if (!wire::is_utf8(*options.worker_id))
    throw Error(ErrorKind::kInvalidArgument, "worker_id is not valid UTF-8");
  if (options.worker_id->find(wire::kForbiddenText) != std::string::npos)
    throw Error(ErrorKind::kInvalidArgument, "worker_id contains " +
                                                 std::string(wire::kForbiddenText) +
                                                 ", at which NIXL cuts what it reads");
  return *options.worker_id;
}

// Peers refuse a restarted process under a name they know, so a fixed name gets
// company.
std::string agent_base_name(const ConnectorOptions& options, const std::string& name) {
  return options.worker_id ? name + "-" + base::random_hex(8) : name;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> buffer{};
  return ::gethostname(buffer.data(), buffer.size() - 1) == 0 ? buffer.data()
                                                              : "localhost";
}

void describe_gpu_memory(Gpus& gpus, const RegistrationHold& hold,
                         wire::Extension& extension) {
  GpuExports exported = gpu_exports_of(gpus, hold);
  extension.gpu_exports = std::move(exported.exports);
  extension.why_not_exported =
      wire::bounded_utf8(exported.why_not, wire::kMaxWhyNotBytes);
  extension.process = base::process_identity();
}

// The token proves it.
bool is_of_this_process(const RemoteAgent& agent) {
  return agent.extension() && paths::local::find(agent.extension()->lease.token);
}

const ConnectorOptions& checked(const ConnectorOptions& options) {
  if (options.drain_timeout < std::chrono::milliseconds(0) ||
      options.drain_timeout > std::chrono::hours(1))
    throw Error(ErrorKind::kInvalidArgument,
                "drain_timeout must be from 0 to one hour");
  if (options.spin < std::chrono::microseconds(0) ||
      options.spin > std::chrono::seconds(1))
    throw Error(ErrorKind::kInvalidArgument, "spin must be from 0 to one second");
  if (options.copy_threads &&
      (*options.copy_threads < 1 || *options.copy_threads > 1024))
    throw Error(ErrorKind::kInvalidArgument, "copy_threads must be from 1 to 1024");
  set_log_level(options.log_level);
  return options;
}

}  // namespace

Engine::Engine(const ConnectorOptions& options)
    : name_(chosen_name(checked(options))),
      hostname_(host_name()),
      resources_(std::make_shared<Resources>(options, agent_base_name(options, name_))),
      driver_(std::make_shared<Driver>(*resources_)),
      thread_(resources_, driver_) {}

Engine::~Engine() { close(); }

core::Time Engine::deadline(const OperationOptions& options) const {
  const auto& timeout = options.timeout ? options.timeout : resources_->options.timeout;
  if (!timeout) return core::kNever;
  const core::Time current = now();
  return *timeout > core::kNever - current ? core::kNever : current + *timeout;
}

std::shared_ptr<OperationState> Engine::expose(OperationKind kind,
                                               std::span<const Descriptor> descriptors,
                                               const OperationOptions& options) {
  check_descriptors(descriptors, kind == OperationKind::kWrite ? Access::kWritesLocal
                                                               : Access::kReadsLocal);
  if (options.readers == 0)
    throw Error(ErrorKind::kInvalidArgument, "readers is 0; it must be at least 1");
  check_stream(descriptors, options);
  if (options.stays_open && kind != OperationKind::kRead)
    throw Error(ErrorKind::kInvalidArgument,
                "only memory that is exposed for reading can stay open");
  driver_->mailbox().check_usable();
  RegistrationHold hold = acquire(descriptors);
  const wire::LeaseRecord lease = resources_->leases.grant();
  try {
    return expose(kind, descriptors, options, std::move(hold), lease);
  } catch (...) {
    resources_->leases.end(lease.id);
    throw;
  }
}

std::shared_ptr<OperationState> Engine::expose(OperationKind kind,
                                               std::span<const Descriptor> descriptors,
                                               const OperationOptions& options,
                                               RegistrationHold hold,
                                               const wire::LeaseRecord& lease) {
  core::Exposure exposure;
  exposure.operation = ++last_operation_;
  exposure.kind = kind;
  exposure.notification_key = base::random_uuid4();
  exposure.lease = lease.id;
  exposure.token = lease.token;
  exposure.readers = options.readers;
  exposure.deadline = deadline(options);
  exposure.stays_open = options.stays_open;

  wire::AgentMetadata agent = resources_->registrations.describe(descriptors, hold);
  const bool is_of_gpu_worker = agent.connection.has_value();
  if (!is_of_gpu_worker) agent.connection = resources_->worker_address;
  agent.extension = extension_of(*resources_, lease, descriptors);
  if (descriptors[0].device().kind() == DeviceKind::kCuda) {
    describe_gpu_memory(resources_->gpus, hold, *agent.extension);
    agent.extension->gives_keys = resources_->gpu_ucx.worker() != nullptr;
    agent.extension->serves =
        !resources_->is_host_forbidden &&
        !resources_->path_rules.forbidden.has(core::Path::kCudaStaged);
  }
  if (is_of_gpu_worker) agent.extension->connection = resources_->worker_address;
  agent.extension->allows_early_writes = kind == OperationKind::kWrite;
  auto state = std::make_shared<OperationState>(
      OperationState::Identity{
          exposure.operation, kind, exposure.notification_key, {}, options.stays_open},
      descriptors, driver_);
  Readiness readiness = readiness_of(resources_->gpus, descriptors, options,
                                     resources_->options.wait_for_streams);
  auto after = readiness.point;
  state->set_exposed(std::move(agent), std::move(readiness));
  auto waits = stream_waits_for(resources_->gpus, descriptors);
  if (waits) waits->allow();
  state->set_stream_waits(std::move(waits));
  paths::local::expose(lease.token, state->memory().descriptors(),
                       [driver = std::weak_ptr(driver_)] {
                         if (const auto alive = driver.lock()) alive->wake();
                       });
  driver_->mailbox().post(
      ExposeRequest{state, std::move(hold), exposure, std::move(after)});
  // Nothing happens to it before a peer's message, which looks into the mail, or its
  // deadline.
  if (exposure.deadline != core::kNever) driver_->ring();
  return state;
}

std::shared_ptr<OperationState> Engine::begin(OperationKind kind,
                                              const RdmaMetadata& remote,
                                              std::span<const Descriptor> descriptors,
                                              const OperationOptions& options) {
  check_transfer(remote, kind, descriptors);
  return begin(kind, Sides{remote, descriptors}, options);
}

std::shared_ptr<OperationState> Engine::begin(OperationKind kind,
                                              const RemotePages& remote,
                                              const Pages& local,
                                              const OperationOptions& options) {
  check_transfer(remote, kind, local);
  return begin(kind, Sides{remote.memory(), local.memory(), &remote, &local}, options);
}

RemoteRanges Engine::ranges_of(const Sides& sides, const RemoteAgent& agent) {
  RemoteRanges ranges = resolve(sides.remote, agent);
  const bool is_own = is_of_this_process(agent);
  if (sides.remote_pages == nullptr) {
    if (is_own) check_apart(sides.local, ranges);
    return ranges;
  }
  // Pages are apart if what they are in is.
  const bool may_overlap = is_own && find_overlap(sides.local, ranges).has_value();
  ranges.take_pages(base::paged(*sides.remote_pages));
  if (may_overlap) check_apart(sides.local_pages->descriptors(), ranges);
  return ranges;
}

std::shared_ptr<OperationState> Engine::begin(OperationKind kind, const Sides& sides,
                                              const OperationOptions& options) {
  const std::span<const Descriptor> descriptors = sides.local;
  check_stream(descriptors, options);
  core::PathRules rules = core::rules_of(options, resources_->path_rules);
  driver_->mailbox().check_usable();
  const bool is_of_gpu = descriptors[0].device().kind() == DeviceKind::kCuda;
  // Pages are of memory that is used for long.
  if (kind == OperationKind::kRead && !is_of_gpu && sides.local_pages == nullptr &&
      resources_->options.advise_huge_pages)
    paths::host::prepare(descriptors);
  auto agent = remote_agents_.load(sides.remote.nixl_metadata);
  auto ranges = ranges_of(sides, *agent);
  // For a peer of ours, only if UCX is to carry the bytes after all. Memory of the host
  // is not registered for that of GPUs.
  RegistrationHold hold;
  if (!agent->extension() && (is_of_gpu || !has_gpu_memory(ranges)))
    hold = acquire(descriptors);
  std::vector<std::uint64_t> walls;
  if (agent->extension() && is_of_gpu) walls = resources_->gpus.check(descriptors);
  auto point = point_of(resources_->gpus, descriptors, options);
  if (!agent->extension()) await_point(std::exchange(point, nullptr));
  OperationState::Identity identity{++last_operation_, kind,
                                    sides.remote.notification_key, agent->name()};
  auto state =
      sides.local_pages == nullptr
          ? std::make_shared<OperationState>(std::move(identity), descriptors, driver_)
          : std::make_shared<OperationState>(std::move(identity), *sides.local_pages,
                                             driver_);
  state->set_stream_waits(stream_waits_for(resources_->gpus, descriptors));
  driver_->begin(BeginRequest{state, std::move(hold), std::move(agent),
                              std::move(ranges), std::move(rules), deadline(options),
                              core::Path::kUcx, std::move(point), std::move(walls)});
  return state;
}

// UCX knows no streams.
void Engine::await_point(const paths::cuda::StreamPointPtr& point) const {
  if (!point || point->has_come()) return;
  if (driver_->is_progress_thread())
    throw Error(ErrorKind::kInvalidArgument,
                "a transfer from or to a NIXL agent waits for the stream, which inside "
                "a completion callback may be waiting for this thread; begin it on "
                "another thread");
  point->await();
}

RegistrationHold Engine::acquire(std::span<const Descriptor> descriptors) {
  RegistrationHold hold = resources_->registrations.acquire(descriptors);
  // It is to be progressed from now on.
  if (resources_->gpu_ucx.worker() != nullptr && !is_gpu_worker_told_.exchange(true))
    driver_->ring();
  return hold;
}

Plan Engine::explain(const RdmaMetadata& remote,
                     std::span<const Descriptor> descriptors,
                     const OperationOptions& options) {
  check_transfer(remote, remote.operation_kind, descriptors);
  return explain({remote, descriptors}, OperationMemory(descriptors), options);
}

Plan Engine::explain(const RemotePages& remote, const Pages& local,
                     const OperationOptions& options) {
  check_transfer(remote, remote.memory().operation_kind, local);
  return explain({remote.memory(), local.memory(), &remote, &local},
                 OperationMemory(local), options);
}

Plan Engine::explain(const Sides& sides, const OperationMemory& memory,
                     const OperationOptions& options) {
  core::PathRules rules = core::rules_of(options, resources_->path_rules);
  driver_->mailbox().check_usable();
  if (driver_->is_progress_thread())
    throw Error(ErrorKind::kInvalidArgument,
                "explaining inside a completion callback would wait for itself; use "
                "another thread");
  auto agent = remote_agents_.load(sides.remote.nixl_metadata);
  auto ranges = ranges_of(sides, *agent);
  std::promise<Plan> promise;
  std::future<Plan> plan = promise.get_future();
  driver_->mailbox().post(ExplainRequest{sides.remote.operation_kind, &memory,
                                         std::move(agent), std::move(ranges),
                                         std::move(rules), std::move(promise)});
  driver_->ring();
  return plan.get();
}

std::shared_ptr<OperationState> Engine::begin_view(const RdmaMetadata& remote,
                                                   const OperationOptions& options) {
  check_metadata(remote, OperationKind::kRead);
  if (options.stream)
    throw Error(ErrorKind::kInvalidArgument,
                "a view is of memory of the host, which no stream orders; leave the "
                "stream out");
  driver_->mailbox().check_usable();
  auto agent = remote_agents_.load(remote.nixl_metadata);
  auto ranges = resolve(remote, *agent);
  std::uint64_t size = 0;
  for (const RemoteRange& range : ranges) size += range.size;
  OperationState::Identity identity{++last_operation_, OperationKind::kRead,
                                    remote.notification_key, agent->name()};
  identity.is_view = identity.stays_open = true;
  auto state = std::make_shared<OperationState>(
      std::move(identity), std::span<const Descriptor>(), driver_, size);
  driver_->begin(BeginRequest{
      state, {}, std::move(agent), std::move(ranges), {}, deadline(options)});
  return state;
}

void Engine::close() {
  if (driver_->mailbox().is_forked_child()) return;
  if (driver_->mailbox().post_close()) driver_->ring();
  // A completion callback cannot wait for its own thread, which ends when it returns.
  if (driver_->is_progress_thread()) return;
  const std::lock_guard lock(close_mutex_);
  thread_.join();
}

std::string Engine::transport() const {
  const paths::ucx::Library& library = resources_->context.library();
  std::string text = "ucx " + library.version + " from " + library.directory;
  if (const auto why = resources_->gpu_ucx.why_not())
    text += "; without memory of GPUs, so that NIXL agents cannot reach it: " + *why;
  return text;
}

}  // namespace nixl_connect::runtime
