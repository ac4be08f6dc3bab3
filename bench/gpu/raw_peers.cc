// SPDX-License-Identifier: Apache-2.0
//
// See peers.h: what the GPUs can do, by the driver alone.
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "gpu/peers.h"
#include "gpu/pool.h"
#include "gpu/series.h"
#include "paths/cuda/completion_word.h"
#include "paths/cuda/page_kernel.h"
#include "paths/cuda/page_kernel_image.h"
#include "peer_process.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using namespace paths::cuda;
using tools::Json;

// An IPC handle as numbers, for JSON.
using HandleBytes = std::vector<unsigned>;

class Exposing {
 public:
  Json answer(const Json& command) {
    const std::string what = command.at("do");
    if (what == "expose") return expose(command);
    if (what == "check") pool_->check(work_);
    return Json::object();
  }

 private:
  Json expose(const Json& command) {
    if (!gpu_) gpu_.emplace(command.at("gpu").get<int>());
    work_ = work_of(command);
    // One that peers have mapped stays.
    pool_ =
        &pools_.try_emplace(work_.pool_bytes, *gpu_, work_.pool_bytes).first->second;
    work_.is_read ? pool_->number() : pool_->clear();
    CuIpcHandle handle;
    gpu_->driver.check(gpu_->functions.ipc_get_mem_handle(&handle, pool_->start()),
                       "exporting GPU memory");
    HandleBytes bytes;
    for (const std::byte each : handle.bytes)
      bytes.push_back(std::to_integer<unsigned>(each));
    return {{"metadata", bytes}};
  }

  std::optional<Gpu> gpu_;
  Work work_;
  std::map<std::size_t, Pool> pools_;
  Pool* pool_ = nullptr;
};

// Memory of another process, by its handle.
ImportedMemory import(const Gpu& gpu, const HandleBytes& bytes) {
  CuIpcHandle handle;
  for (std::size_t i = 0; i < handle.bytes.size(); ++i)
    handle.bytes.at(i) = static_cast<std::byte>(bytes.at(i));
  CuDevicePointer address = 0;
  gpu.driver.check(
      gpu.functions.ipc_open_mem_handle(&address, handle, kCuIpcLazyPeerAccess),
      "opening GPU memory of another process");
  return {gpu.driver, address};
}

// How the end of what the stream was given is seen, by looking at it all the time.
class End {
 public:
  explicit End(const Gpu& gpu)
      : gpu_(gpu),
        word_(gpu.driver),
        event_(make_event(gpu.driver, EventReach::kThisProcess)) {}

  std::uint32_t mark_by_word() {
    gpu_.driver.check(word_.write(gpu_.stream, ++last_), "marking the end of a copy");
    return last_;
  }
  void wait_for_word(std::uint32_t number) const {
    while (!word_.has(number)) {
    }
  }
  void mark_by_event() {
    gpu_.driver.check(gpu_.functions.event_record(event_.get(), gpu_.stream),
                      "marking the end of a copy");
  }
  void wait_for_event() const {
    CuResult result = kCuNotReady;
    while (result == kCuNotReady) result = gpu_.functions.event_query(event_.get());
    gpu_.driver.check(result, "waiting for a copy");
  }

 private:
  const Gpu& gpu_;
  CompletionWord word_;
  Event event_;
  std::uint32_t last_ = 0;
};

class Measuring {
 public:
  Json answer(const Json& command) {
    if (command.at("do") != "measure") return Json::object();
    if (!gpu_) {
      gpu_.emplace(command.at("gpu").get<int>());
      end_.emplace(*gpu_);
      if (has_page_kernel())
        kernel_.emplace(gpu_->driver, gpu_->facts, page_kernel_image());
    }
    const Work work = work_of(command);
    if (!pool_ || pool_->size() != work.pool_bytes)
      pool_.emplace(*gpu_, work.pool_bytes);
    return command.at("means") == "pinned" ? measure_pinned(command, work)
                                           : measure_pages(command, work);
  }

 private:
  Json measure_pages(const Json& command, const Work& work) {
    const ImportedMemory& remote = memory_of(command.at("metadata"));
    std::vector<Page> pages;
    for (std::size_t i = 0; i < work.here.size(); ++i) {
      const CuDevicePointer here = pool_->start() + work.here[i] * work.page_bytes;
      const CuDevicePointer there = remote.get() + work.there[i] * work.page_bytes;
      pages.push_back(
          {work.is_read ? there : here, work.is_read ? here : there, work.page_bytes});
    }
    const std::string means = command.at("means");
    const auto copy = [&] {
      return means == "kernel" ? launch(pages, command.at("blocks")) : copy_each(pages);
    };
    const bool checks = command.value("check", false);
    if (checks) work.is_read ? pool_->clear() : pool_->number();
    measure(command, 3, copy);  // To warm up.
    if (checks && work.is_read) pool_->check(work);
    return measure(command, 0, copy);
  }

  // What is behind a handle stays open, as the library keeps it.
  const ImportedMemory& memory_of(const Json& metadata) {
    const auto bytes = metadata.get<HandleBytes>();
    auto found = imports_.find(bytes);
    if (found == imports_.end())
      found = imports_.emplace(bytes, import(*gpu_, bytes)).first;
    return found->second;
  }

  Json measure_pinned(const Json& command, const Work& work) {
    const auto memory = make_memory(work.pool_bytes);
    const RegisteredMemory pinned =
        register_memory(gpu_->driver, memory.get(), work.pool_bytes);
    const auto copy = [&] {
      gpu_->driver.check(
          work.is_read
              ? gpu_->functions.memcpy_htod_async(pool_->start(), memory.get(),
                                                  work.pool_bytes, gpu_->stream)
              : gpu_->functions.memcpy_dtoh_async(memory.get(), pool_->start(),
                                                  work.pool_bytes, gpu_->stream),
          "copying pinned memory");
    };
    measure(command, 1, copy);
    return measure(command, 0, copy);
  }

  void copy_each(const std::vector<Page>& pages) const {
    for (const Page& page : pages)
      gpu_->driver.check(gpu_->functions.memcpy_dtod_async(page.target, page.source,
                                                           page.size, gpu_->stream),
                         "copying");
  }

  void launch(const std::vector<Page>& pages, std::uint32_t blocks) {
    if (!kernel_) throw std::runtime_error(std::string(why_no_page_kernel()));
    kernel_->copy(gpu_->stream, pages, {.max_blocks = blocks});
  }

  // `operations` in place of those of the command, and no window, unless 0.
  template <typename Copy>
  Json measure(const Json& command, unsigned operations, const Copy& copy) {
    const bool by_event = command.at("means") == "engine-event";
    const auto begin = [&] {
      copy();
      if (!by_event) return end_->mark_by_word();
      end_->mark_by_event();
      return 0U;
    };
    const auto end = [&](std::uint32_t number) {
      by_event ? end_->wait_for_event() : end_->wait_for_word(number);
    };
    if (operations == 0) return measure_series(command, begin, end);
    return measure_series({{"operations", operations}}, begin, end);
  }

  std::optional<Gpu> gpu_;
  std::optional<End> end_;
  std::optional<PageKernel> kernel_;
  std::optional<Pool> pool_;
  std::map<HandleBytes, ImportedMemory> imports_;
};

}  // namespace

int run_raw_gpu_exposing() {
  tools::ParentProcess parent;
  Exposing exposing;
  parent.serve([&](const Json& command) { return exposing.answer(command); });
  return 0;
}

int run_raw_gpu_measuring() {
  tools::ParentProcess parent;
  Measuring measuring;
  parent.serve([&](const Json& command) { return measuring.answer(command); });
  return 0;
}

}  // namespace nixl_connect::bench
