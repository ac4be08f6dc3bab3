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
        context(paths::ucx::open_library(options.ucx_directory), ucx_options(false)),
        gpus(options.cuda_driver),
        gpu_ucx(context.library(), ucx_options(true), gpus, worker),
        registrations(context, gpus, gpu_ucx, std::move(agent_base_name)),
        leases(context, instance) {}

  paths::ucx::ContextOptions ucx_options(bool gpus_too) const {
    return {options.net_devices, options.network,
            options.allow_ptrace || yama_scope != 1, gpus_too};
  }

  const ConnectorOptions options;
  const std::optional<int> yama_scope = base::yama_scope();
  const core::PathRules path_rules = core::rules_of(options);
  const core::Costs costs = costs_of(options.costs_file);
  const bool is_host_forbidden = core::is_host_forbidden(options);
  const wire::InstanceId instance = random_instance();
  const paths::ucx::Context context;
  Gpus gpus;
  GpuUcx gpu_ucx;
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
