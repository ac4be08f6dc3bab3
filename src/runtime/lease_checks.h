// SPDX-License-Identifier: Apache-2.0
//
// Gets of peers' lease words over UCX: whether the data of a read, which came before,
// was still lent. Used by whoever has the turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "core/commands.h"
#include "runtime/landing_words.h"
#include "wire/extension.h"

namespace nixl_connect::paths::ucx {
class Endpoint;
class Transfer;
struct TransferResult;
}  // namespace nixl_connect::paths::ucx

namespace nixl_connect::runtime {

class LeaseChecks {
 public:
  // Of the check of that operation. With a failure nothing is known of the lease.
  using Ended = std::function<void(core::OperationId, bool is_valid,
                                   std::optional<core::Failure>)>;

  LeaseChecks(const paths::ucx::Context& context, Ended ended);
  ~LeaseChecks();
  LeaseChecks(const LeaseChecks&) = delete;
  LeaseChecks& operator=(const LeaseChecks&) = delete;

  // Ends by one call of `ended`, inside a later progress of the worker or at once, also
  // if the operation is over by then. Throws what Endpoint::remote_key() throws.
  void start(core::OperationId operation, paths::ucx::Endpoint& to,
             const wire::LeaseRecord& lease);

  bool is_empty() const noexcept { return under_way_.empty(); }

 private:
  struct Check {
    std::unique_ptr<paths::ucx::Transfer> transfer;
    LandingWords::Word landing;
    std::uint64_t token = 0;
  };

  void arrived(core::OperationId operation, const paths::ucx::TransferResult& end);

  LandingWords words_;
  const Ended ended_;
  std::unordered_map<core::OperationId, Check> under_way_;
};

}  // namespace nixl_connect::runtime
