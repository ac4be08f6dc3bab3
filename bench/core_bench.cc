// SPDX-License-Identifier: Apache-2.0
//
// Google Benchmark of the core: what an operation's whole life costs there, with none
// or many others alive.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/engine.h"

namespace nixl_connect::core {
namespace {

constexpr PeerId kPeer = 1;
constexpr std::uint64_t kBytes = 4096;
constexpr Time kDeadline = std::chrono::hours(1);

Transfer read_of(OperationId operation) {
  Transfer transfer;
  transfer.operation = operation;
  transfer.peer = kPeer;
  transfer.lease = LeaseKey{operation, 2};
  transfer.deadline = kDeadline;
  return transfer;
}

// A read of a peer of ours: begin, the bytes arrive, the lease is found valid.
void BM_ReadFromBeginToFinish(benchmark::State& state) {
  Engine engine;
  std::vector<Command> commands;
  OperationId operation = 0;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    engine.begin(read_of(++operation), Time(0));
  }
  engine.take_commands(commands);
  for (auto _ : state) {
    engine.begin(read_of(++operation), Time(0));
    engine.take_commands(commands);
    engine.transfer_ended(operation, std::nullopt, kBytes, "ucx", Time(1));
    engine.take_commands(commands);
    engine.lease_checked(operation, true, std::nullopt, Time(2));
    engine.take_commands(commands);
    benchmark::DoNotOptimize(commands.data());
  }
}
BENCHMARK(BM_ReadFromBeginToFinish)->Arg(0)->Arg(4096);

// An exposed memory that one peer reads: expose, attach, done.
void BM_ExposureFromCreateToFinish(benchmark::State& state) {
  Engine engine;
  std::vector<Command> commands;
  std::uint64_t number = 0;
  const auto expose = [&] {
    Exposure exposure;
    exposure.operation = exposure.lease = ++number;
    exposure.notification_key = std::to_string(number);
    exposure.token = 2;
    exposure.deadline = kDeadline;
    engine.expose(exposure, Time(0));
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) expose();
  engine.take_commands(commands);
  for (auto _ : state) {
    expose();
    engine.message_arrived(
        kPeer, wire::Attach{number, number, 2, wire::AccessKind::kRead}, Time(1));
    engine.take_commands(commands);
    wire::Done done;
    done.operation = done.lease = number;
    done.bytes = kBytes;
    engine.message_arrived(kPeer, done, Time(2));
    engine.take_commands(commands);
    benchmark::DoNotOptimize(commands.data());
  }
}
BENCHMARK(BM_ExposureFromCreateToFinish)->Arg(0)->Arg(4096);

}  // namespace
}  // namespace nixl_connect::core
