// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/end_flag.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "paths/cuda/handles.h"

namespace nixl_connect::paths::cuda {

class EndFlag::Words {
 public:
  // Never destroyed: streams may still look at the words.
  static Words& instance() {
    static auto& words = *new Words;
    return words;
  }

  std::size_t taken() const noexcept { return taken_.load(); }

  EndWait take(const Driver& driver, CuDevice device) {
    const std::lock_guard lock(mutex_);
    auto& gpus = gpus_[&driver];
    auto context = gpus.contexts.find(device);
    if (context == gpus.contexts.end())
      context = gpus.contexts.emplace(device, PrimaryContext(driver, device)).first;
    if (gpus.free.empty()) add_page(driver, context->second.get(), gpus.free);
    std::atomic<std::uint32_t>* const word = gpus.free.back();
    gpus.free.pop_back();
    ++taken_;
    return {&driver, context->second.get(), device, word, word->load() + 1};
  }

  void give_back(const EndWait& taken) {
    const std::lock_guard lock(mutex_);
    --taken_;
    gpus_[taken.driver].free.push_back(taken.word);
  }

 private:
  using Word = std::atomic<std::uint32_t>;
  // Many, since to pin further ones may wait for streams that wait themselves.
  struct alignas(4096) Page {
    std::array<Word, 4096> words{};
  };
  struct Gpus {
    std::map<CuDevice, PrimaryContext> contexts;
    std::vector<Word*> free;
  };

  static void add_page(const Driver& driver, CuContext context,
                       std::vector<Word*>& free) {
    auto page = std::make_unique<Page>();
    const CurrentContext current(driver, context);
    [[maybe_unused]] auto* pinned =
        new RegisteredMemory(register_memory(driver, page.get(), sizeof(Page)));
    for (Word& word : page.release()->words) free.push_back(&word);
  }

  std::atomic<std::size_t> taken_{0};
  std::mutex mutex_;
  // Guarded by mutex_. What a driver reaches, the other one does not.
  std::map<const Driver*, Gpus> gpus_;
};

EndFlag::EndFlag(const Driver& driver, CuDevice device)
    : wait_(Words::instance().take(driver, device)) {}

bool EndFlag::are_any_there() noexcept { return Words::instance().taken() > 0; }

void EndWait::put_on(CuStream stream) const {
  const CurrentContext current(*driver, context);
  CuDevicePointer on_gpu = 0;
  driver->check(driver->functions.mem_host_get_device_pointer(&on_gpu, word, 0),
                "finding pinned memory on the GPU");
  const CuResult result = driver->functions.stream_wait_value32(
      stream, on_gpu, end, kCuStreamWaitGreaterOrEqual);
  if (result == kCuInvalidHandle || result == kCuInvalidContext)
    throw Error(ErrorKind::kInvalidArgument,
                "the stream is none of GPU " + std::to_string(device) +
                    ", which has the memory: " + driver->describe(result));
  driver->check(result, "making a CUDA stream wait");
}

void EndFlag::raise() noexcept {
  const EndWait ended = std::exchange(wait_, {});
  if (ended.word == nullptr || !ended.driver->is_of_this_process()) return;
  ended.word->store(ended.end, std::memory_order_release);
  Words::instance().give_back(ended);
}

}  // namespace nixl_connect::paths::cuda
