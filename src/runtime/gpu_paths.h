// SPDX-License-Identifier: Apache-2.0
//
// The paths between memories of GPUs, and between that of a GPU and of the host: what
// speaks for and against them, and copies by them. Used by whoever has the turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/plan.h"
#include "paths/cuda/page_shares.h"
#include "runtime/host_sides.h"
#include "wire/gpu_exports.h"

namespace nixl_connect::paths::cuda {
class DeviceCopy;
struct CopyWork;
}  // namespace nixl_connect::paths::cuda

namespace nixl_connect::runtime {

class GpuFiles;
class GpuUcx;
class Gpus;
class RemoteRanges;
struct Movement;
struct Peer;

// Whether any of the peer's memory is of a GPU.
bool has_gpu_memory(const RemoteRanges& remote);

// The same of both sides.
bool has_gpu_memory(const Movement& movement);

class GpuPaths {
 public:
  // The two are for NIXL agents and for peers of ours; `least_engine_bytes` as
  // Costs::engine_bytes has it.
  GpuPaths(Gpus& gpus, GpuUcx& gpu_ucx, GpuUcx& gpu_ucx_of_ours, const GpuFiles& files,
           std::uint64_t least_engine_bytes)
      : gpus_(gpus),
        gpu_ucx_(gpu_ucx),
        gpu_ucx_of_ours_(gpu_ucx_of_ours),
        files_(files),
        least_engine_bytes_(least_engine_bytes) {}

  // Adds what is known of the memory's kinds, and if there is any of GPUs, of these.
  void add_facts(const Movement& movement, const Peer& peer, core::Facts& facts) const;

  // Adds to these whether UCX can carry it, as far as that is known: between Connectors
  // it is not opened for that, as it would mostly be for nothing.
  void add_facts_of_ucx(const Movement& movement, core::Facts& facts) const;

  // Opens it, as ucx is to be taken. False if that fails, which the facts say then.
  bool open_ucx(const Movement& movement, core::Facts& facts) const;

  // On one side at least all memory is of GPUs. Null if the peer's cannot be opened,
  // files, which are to be open already, among it; if it is in this process, and
  // exposed no more; or if the host's cannot be mapped. Of the rules those that say
  // what a copy may take of its GPU.
  std::shared_ptr<paths::cuda::DeviceCopy> copy(const Movement& movement, Peer& peer,
                                                const core::PathRules& rules,
                                                std::atomic<std::uint64_t>& progress);

  // Between memory of Connector::allocate() and the local memory, which is a GPU's, as
  // the ranges say; for the rest as the movement does. Null if the host's cannot be
  // mapped.
  std::shared_ptr<paths::cuda::DeviceCopy> copy_of_slot(const Movement& movement,
                                                        const core::PathRules& rules,
                                                        paths::cuda::KeptPages ranges);

  // What comes as files of the memory of a peer in another process, and which GPU is to
  // open it. Chunks that hold some of the ranges, each once.
  struct Files {
    int device = 0;
    std::vector<const wire::GpuChunk*> chunks;
  };
  Files files_behind(const Movement& movement) const;

  // That of the local memory, or else that of the peer's, if this process sees it.
  int copying_gpu(const Movement& movement, bool is_own) const;

  // Where allocations of GPUs begin in this process, as far as the operation can tell.
  static std::vector<std::uint64_t> walls_of(const Movement& movement, bool is_own);

  // For copies that are not made here: whether memory of a GPU is to be waited for or,
  // if it is another process's, opened. This does both, and copies nothing. Null if the
  // peer's cannot be opened.
  static bool is_to_be_prepared(const Movement& movement, bool is_own);
  std::shared_ptr<paths::cuda::DeviceCopy> preparation(
      const Movement& movement, const Peer& peer,
      std::atomic<std::uint64_t>& progress) const;

 private:
  bool are_all_open(const Movement& movement) const;
  bool add_foreign(const Movement& movement, paths::cuda::CopyWork& work) const;
  bool add_host_side(const Movement& movement, Peer& peer, paths::cuda::CopyWork& work);

  Gpus& gpus_;
  GpuUcx& gpu_ucx_;
  GpuUcx& gpu_ucx_of_ours_;
  const GpuFiles& files_;
  const std::uint64_t least_engine_bytes_;
  HostSides host_sides_;
  std::atomic<std::uint64_t> no_progress_{0};
};

}  // namespace nixl_connect::runtime
