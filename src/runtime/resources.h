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
        context(paths::ucx::open_library(options.ucx_directory),
                {options.net_devices, options.network,
                 options.allow_ptrace || yama_scope != 1}),
        gpus(options.cuda_driver),
        registrations(context, gpus, std::move(agent_base_name)),
        leases(context, instance) {}

  const ConnectorOptions options;
  const std::optional<int> yama_scope = base::yama_scope();
  const core::PathRules path_rules = core::rules_of(options);
  const core::Costs costs = costs_of(options.costs_file);
  const bool is_host_forbidden = core::is_host_forbidden(options);
  const wire::InstanceId instance = random_instance();
  const paths::ucx::Context context;
  Gpus gpus;
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
