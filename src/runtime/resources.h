// SPDX-License-Identifier: Apache-2.0
//
// What a Connector owns and all threads that work for it share.
// Destroyed in reverse order when the thread has ended.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/ptrace_permission.h"
#include "base/random.h"
#include "core/commands.h"
#include "core/path_rules.h"
#include "nixl_connect/options.h"
#include "paths/ucx/context.h"
#include "paths/ucx/worker.h"
#include "runtime/costs_file.h"
#include "runtime/gpu_ucx.h"
#include "runtime/gpus.h"
#include "runtime/lease_words.h"
#include "runtime/registrations.h"
#include "wire/extension.h"

namespace nixl_connect::runtime {

inline wire::InstanceId random_instance() {
  wire::InstanceId instance;
  base::fill_random(instance);
  return instance;
}

struct Resources {
  Resources(const ConnectorOptions& chosen, std::string agent_base_name)
      : options(chosen),
        context(paths::ucx::open_library(options.ucx_directory), ucx_options()),
        gpus(options.cuda_driver),
        gpu_ucx(context.library(), ucx_options_of_gpus(true), gpus, worker),
        gpu_ucx_of_ours(context.library(), ucx_options_of_gpus(false), gpus, worker),
        registrations(context, gpus, gpu_ucx, std::move(agent_base_name)),
        leases(context, instance) {}

  paths::ucx::ContextOptions ucx_options() const {
    return {.net_devices = options.net_devices,
            .network = options.network,
            .cma = options.allow_ptrace || yama_scope != 1};
  }
  paths::ucx::ContextOptions ucx_options_of_gpus(bool with_cuda_ipc) const {
    paths::ucx::ContextOptions chosen = ucx_options();
    chosen.gpus = true;
    chosen.cuda_ipc = with_cuda_ipc;
    return chosen;
  }

  const ConnectorOptions options;
  const std::optional<int> yama_scope = base::yama_scope();
  const core::PathRules path_rules = core::rules_of(options);
  const core::Costs costs = costs_of(options.costs_file);
  const bool is_host_forbidden = core::is_host_forbidden(options);
  const wire::InstanceId instance = random_instance();
  const paths::ucx::Context context;
  Gpus gpus;
  GpuUcx gpu_ucx;          // for NIXL agents
  GpuUcx gpu_ucx_of_ours;  // between Connectors
  Registrations registrations;
  LeaseWords leases;
  // Used by whoever has the turn, and destroyed by the progress thread at its end: a
  // worker that nobody progresses would keep peers waiting.
  std::unique_ptr<paths::ucx::Worker> worker =
      std::make_unique<paths::ucx::Worker>(context);
  const base::Bytes worker_address = worker->address();
};

inline core::Time now() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace nixl_connect::runtime
