// SPDX-License-Identifier: Apache-2.0
#include "runtime/lease_checks.h"

#include <utility>
#include <vector>

#include "paths/ucx/endpoint.h"
#include "paths/ucx/transfer.h"

namespace nixl_connect::runtime {

using paths::ucx::Direction;
using paths::ucx::Transfer;
using paths::ucx::TransferResult;

LeaseChecks::LeaseChecks(const paths::ucx::Context& context, Ended ended)
    : words_(context), ended_(std::move(ended)) {}

LeaseChecks::~LeaseChecks() = default;

void LeaseChecks::start(core::OperationId operation, paths::ucx::Endpoint& to,
                        const wire::LeaseRecord& lease) {
  const paths::ucx::RemoteKey& key = to.remote_key(lease.word_rkey);
  Check check{nullptr, words_.take(), lease.token};
  const paths::ucx::Range range{reinterpret_cast<std::uintptr_t>(check.landing.value),
                                lease.word_address, sizeof(std::uint64_t),
                                check.landing.registration, &key};
  check.transfer = std::make_unique<Transfer>(
      to, Direction::kGet, std::vector{range}, false,
      [this, operation](const TransferResult& end) { arrived(operation, end); });
  check.transfer->start();
  under_way_.emplace(operation, std::move(check));
}

void LeaseChecks::arrived(core::OperationId operation, const TransferResult& end) {
  const auto node = under_way_.extract(operation);
  const Check& check = node.mapped();
  const bool is_valid = !end.failure && *check.landing.value == check.token;
  words_.give_back(check.landing);
  std::optional<core::Failure> failure;
  if (end.failure)
    failure = {
        ErrorKind::kDisconnected,
        "the data arrived, but not the word that says it was valid: " + *end.failure};
  ended_(operation, is_valid, std::move(failure));
}

}  // namespace nixl_connect::runtime
