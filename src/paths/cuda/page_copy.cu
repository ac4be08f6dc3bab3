// SPDX-License-Identifier: Apache-2.0
//
// The page kernel: copies many ranges of any size and alignment in one launch, between
// any memory that this GPU reaches. Each warp works for itself. Where source and target
// are equally far from a multiple of 16 and the GPU can (sm_90 and later), its chunks
// go by bulk copies through a ring of stages in shared memory; all else is moved
// through registers, 16 bytes a store. Nothing outside the ranges is read or written.
#include "paths/cuda/page_copy_arguments.h"

namespace nixl_connect::paths::cuda {
namespace {

constexpr unsigned kAllLanes = 0xFFFFFFFF;

using u32 = std::uint32_t;
using u64 = std::uint64_t;

__device__ u32 lane_index() { return threadIdx.x % kWarpThreads; }

// The pages of a share, of which each lane holds one of the next 32.
template <typename List>
class PageReader {
 public:
  __device__ PageReader(const List& list, u32 first, u32 end)
      : list_(list), base_(first), end_(end) {
    load();
  }

  // By all lanes, with indices that never fall.
  __device__ Page at(u32 index) {
    if (index - base_ >= kWarpThreads) {
      base_ = index;
      load();
    }
    const u32 lane = index - base_;
    return {__shfl_sync(kAllLanes, own_.source, lane),
            __shfl_sync(kAllLanes, own_.target, lane),
            __shfl_sync(kAllLanes, own_.size, lane)};
  }

 private:
  __device__ void load() {
    const u32 index = base_ + lane_index();
    if (index < end_) own_ = page_at(list_, index);
  }

  const List& list_;
  u32 base_;
  const u32 end_;
  Page own_;
};

__device__ void copy_bytes(u64 target, u64 source, u32 size) {
  for (u32 i = lane_index(); i < size; i += kWarpThreads)
    reinterpret_cast<char*>(target)[i] = reinterpret_cast<const char*>(source)[i];
}

// Both on multiples of 16; `count` times 16 bytes.
__device__ void copy_aligned(u64 target, u64 source, u32 count) {
  constexpr u32 kAtOnce = 8;
  auto* const to = reinterpret_cast<uint4*>(target);
  const auto* const from = reinterpret_cast<const uint4*>(source);
  u32 i = lane_index();
  for (; i + (kAtOnce - 1) * kWarpThreads < count; i += kAtOnce * kWarpThreads) {
    uint4 values[kAtOnce];
#pragma unroll
    for (u32 k = 0; k < kAtOnce; ++k) values[k] = __ldcs(from + i + k * kWarpThreads);
#pragma unroll
    for (u32 k = 0; k < kAtOnce; ++k) __stcs(to + i + k * kWarpThreads, values[k]);
  }
  for (; i < count; i += kWarpThreads) __stcs(to + i, __ldcs(from + i));
}

// The 16 bytes that begin kWords words and `bits` bits into two aligned values.
template <int kWords>
__device__ uint4 shifted(const uint4& low, const uint4& high, u32 bits) {
  const u32 words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
  return {__funnelshift_r(words[kWords], words[kWords + 1], bits),
          __funnelshift_r(words[kWords + 1], words[kWords + 2], bits),
          __funnelshift_r(words[kWords + 2], words[kWords + 3], bits),
          __funnelshift_r(words[kWords + 3], words[(kWords + 4) % 8], bits)};
}

// The target on a multiple of 16, the source 4 * kWords and up to 3 bytes past one.
template <int kWords>
__device__ void copy_shifted(u64 target, u64 source, u32 count) {
  constexpr u32 kAtOnce = 4;
  auto* const to = reinterpret_cast<uint4*>(target);
  const auto* const from = reinterpret_cast<const uint4*>(source & ~u64{15});
  const u32 bits = static_cast<u32>(source & 3) * 8;
  u32 i = lane_index();
  for (; i + (kAtOnce - 1) * kWarpThreads < count; i += kAtOnce * kWarpThreads) {
    uint4 low[kAtOnce], high[kAtOnce];
#pragma unroll
    for (u32 k = 0; k < kAtOnce; ++k) {
      low[k] = from[i + k * kWarpThreads];
      high[k] = from[i + k * kWarpThreads + 1];
    }
#pragma unroll
    for (u32 k = 0; k < kAtOnce; ++k)
      __stcs(to + i + k * kWarpThreads, shifted<kWords>(low[k], high[k], bits));
  }
  for (; i < count; i += kWarpThreads)
    __stcs(to + i, shifted<kWords>(from[i], from[i + 1], bits));
}

__device__ void copy_vectors(u64 target, u64 source, u32 count) {
  if (source % 16 == 0) return copy_aligned(target, source, count);
  switch ((source % 16) / 4) {
    case 0:
      return copy_shifted<0>(target, source, count);
    case 1:
      return copy_shifted<1>(target, source, count);
    case 2:
      return copy_shifted<2>(target, source, count);
    default:
      return copy_shifted<3>(target, source, count);
  }
}

// The parts before and behind whole 16 bytes of the target. Of a source that lies
// otherwise, whole values are read: the parts are so large that these are inside.
struct Parts {
  u32 head;
  u32 vectors;
};

__device__ Parts parts_of(u64 target, u64 source, u32 size) {
  u32 head = static_cast<u32>(-target & 15);
  const bool is_shifted = ((source ^ target) & 15) != 0;
  if (is_shifted && ((source + head) & ~u64{15}) < source) head += 16;
  if (head > size) return {size, 0};
  u32 vectors = (size - head) / 16;
  const u64 last_read = ((source + head) & ~u64{15}) + u64{16} * vectors + 16;
  if (is_shifted && vectors > 0 && last_read > source + size) --vectors;
  return {head, vectors};
}

__device__ void copy_plainly(u64 target, u64 source, u32 size) {
  const Parts parts = parts_of(target, source, size);
  const u32 done = parts.head + 16 * parts.vectors;
  copy_bytes(target, source, parts.head);
  copy_vectors(target + parts.head, source + parts.head, parts.vectors);
  copy_bytes(target + done, source + done, size - done);
}

// Ways to copy a chunk.
struct Plain {
  __device__ void copy(u64 target, u64 source, u32 size) {
    copy_plainly(target, source, size);
  }
  __device__ void finish() {}
};

#if __CUDA_ARCH__ >= 900
// Up to kDepth chunks of a warp are on their way into shared memory, and a few of those
// before on their way out. The first lane does it all.
class Bulk {
 public:
  struct Stages {
    u64 barriers[kBulkStages];
    u64 targets[kBulkStages];
    u32 sizes[kBulkStages];
  };

  __device__ Bulk(Stages& stages, char* ring, u32 chunk_shift)
      : stages_(stages), ring_(shared_address(ring)), chunk_shift_(chunk_shift) {
    if (lane_index() == 0) {
      for (u64& barrier : stages.barriers)
        asm volatile(
            "mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)));
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
      asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncwarp();
  }

  __device__ void copy(u64 target, u64 source, u32 size) {
    if (((source ^ target) & 15) != 0 || size < kLeast)
      return copy_plainly(target, source, size);
    const Parts parts = parts_of(target, source, size);
    const u32 done = parts.head + 16 * parts.vectors;
    if (issued_ - stored_ == kDepth) store();
    if (lane_index() == 0)
      load(target + parts.head, source + parts.head, 16 * parts.vectors);
    ++issued_;
    copy_bytes(target, source, parts.head);
    copy_bytes(target + done, source + done, size - done);
  }

  __device__ void finish() {
    while (stored_ != issued_) store();
    if (lane_index() == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }

 private:
  static constexpr u32 kDepth = 6;
  static constexpr u32 kLeast = 256;

  __device__ static u32 shared_address(const void* pointer) {
    return static_cast<u32>(__cvta_generic_to_shared(pointer));
  }

  __device__ void load(u64 target, u64 source, u32 size) {
    const u32 stage = issued_ % kBulkStages;
    const u32 barrier = shared_address(&stages_.barriers[stage]);
    stages_.targets[stage] = target;
    stages_.sizes[stage] = size;
    // The store before out of this stage has been read: all but the newest two were.
    static_assert(kBulkStages - kDepth == 2);
    asm volatile("cp.async.bulk.wait_group.read 2;" ::: "memory");
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
        "r"(size)
        : "memory");
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], "
        "%2, [%3];" ::"r"(ring_ + (stage << chunk_shift_)),
        "l"(source), "r"(size), "r"(barrier)
        : "memory");
  }

  // The oldest that was loaded.
  __device__ void store() {
    if (lane_index() == 0) {
      const u32 stage = stored_ % kBulkStages;
      wait(shared_address(&stages_.barriers[stage]), stored_ / kBulkStages % 2);
      asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(
                       stages_.targets[stage]),
                   "r"(ring_ + (stage << chunk_shift_)), "r"(stages_.sizes[stage])
                   : "memory");
      asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    }
    ++stored_;
  }

  __device__ static void wait(u32 barrier, u32 parity) {
    u32 is_done = 0;
    while (is_done == 0)
      asm volatile(
          "{\n"
          ".reg .pred done;\n"
          "mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\n"
          "selp.u32 %0, 1, 0, done;\n"
          "}"
          : "=r"(is_done)
          : "r"(barrier), "r"(parity)
          : "memory");
  }

  Stages& stages_;
  const u32 ring_;
  const u32 chunk_shift_;
  u32 issued_ = 0;
  u32 stored_ = 0;
};
#endif

template <typename List, typename Way>
__device__ void copy_share(const List& list, u32 worker, Way way) {
  const ShareStart start = share_at(list, worker);
  const ShareStart end = share_at(list, worker + 1);
  PageReader<List> pages(list, start.page, end.page + (end.chunk > 0 ? 1 : 0));
  u64 chunk = start.chunk;
  for (u32 index = start.page; index < end.page + (end.chunk > 0 ? 1 : 0); ++index) {
    const Page page = pages.at(index);
    const u64 all = chunks_of(page, list.chunk_shift);
    const u64 last = index == end.page && end.chunk < all ? end.chunk : all;
    for (; chunk < last; ++chunk) {
      const Chunk part = chunk_of(page, chunk, list.chunk_shift);
      way.copy(page.target + part.offset, page.source + part.offset, part.size);
    }
    chunk = 0;
  }
  way.finish();
}

__device__ u32 worker_index() {
  return (blockIdx.x * blockDim.x + threadIdx.x) / kWarpThreads;
}

template <typename List>
__device__ void copy_plain(const List& list) {
  if (worker_index() < list.workers) copy_share(list, worker_index(), Plain{});
}

template <typename List>
__device__ void copy_bulk(const List& list) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(128) char rings[];
  __shared__ Bulk::Stages stages[kBulkWarps];
  const u32 warp = threadIdx.x / kWarpThreads;
  if (worker_index() >= list.workers) return;
  copy_share(list, worker_index(),
             Bulk(stages[warp], rings + (warp * kBulkStages << list.chunk_shift),
                  list.chunk_shift));
#else
  copy_plain(list);
#endif
}

__device__ PageList list_of(const ShortPageList& list) {
  const auto* const pages = reinterpret_cast<const Page*>(list.words);
  return {pages, reinterpret_cast<const ShareStart*>(pages + list.page_count),
          list.chunk_shift, list.workers};
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kPlainWarps* kWarpThreads, 1)
    nixl_connect_copy_plain(const __grid_constant__ PageList list) {
  copy_plain(list);
}

extern "C" __global__ void __launch_bounds__(kPlainWarps* kWarpThreads, 1)
    nixl_connect_copy_plain_short(const __grid_constant__ ShortPageList list) {
  copy_plain(list_of(list));
}

extern "C" __global__ void __launch_bounds__(kBulkWarps* kWarpThreads, 1)
    nixl_connect_copy_bulk(const __grid_constant__ PageList list) {
  copy_bulk(list);
}

extern "C" __global__ void __launch_bounds__(kBulkWarps* kWarpThreads, 1)
    nixl_connect_copy_bulk_short(const __grid_constant__ ShortPageList list) {
  copy_bulk(list_of(list));
}

extern "C" __global__ void __launch_bounds__(kPlainWarps* kWarpThreads, 1)
    nixl_connect_copy_plain_numbered(const __grid_constant__ NumberedList list) {
  copy_plain(list);
}

extern "C" __global__ void __launch_bounds__(kBulkWarps* kWarpThreads, 1)
    nixl_connect_copy_bulk_numbered(const __grid_constant__ NumberedList list) {
  copy_bulk(list);
}

}  // namespace nixl_connect::paths::cuda
