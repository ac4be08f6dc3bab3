// SPDX-License-Identifier: Apache-2.0
//
// See the header. The bytes are made and looked at in host memory, part by part.
#include "gpu/pool.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nixl_connect/options.h"

namespace nixl_connect::bench {
namespace {

using namespace paths::cuda;

using Words = std::vector<std::uint64_t>;

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kPart = 8 << 20;
// Smaller allocations share a block of the driver's, to whose start a handle leads.
constexpr std::size_t kBlock = 2 << 20;

const Driver& driver_of_environment() {
  const auto [driver, why_not] =
      open_driver(ConnectorOptions::from_environment().cuda_driver);
  if (driver == nullptr) throw std::runtime_error(why_not);
  return *driver;
}

DeviceFacts device_of(const Driver& driver, int ordinal) {
  const auto devices = find_devices(driver);
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= devices.size())
    throw std::runtime_error("there is no GPU " + std::to_string(ordinal));
  return devices[static_cast<std::size_t>(ordinal)];
}

// The number of the page that each page which was written to has its bytes of.
std::unordered_map<std::size_t, std::size_t> origins(const Work& work) {
  std::unordered_map<std::size_t, std::size_t> found;
  for (std::size_t i = 0; i < work.targets().size(); ++i)
    found[work.targets()[i]] = work.sources()[i];
  return found;
}

}  // namespace

Gpu::Gpu(int ordinal)
    : driver(driver_of_environment()),
      functions(driver.functions),
      facts(device_of(driver, ordinal)),
      context_(driver, facts.device),
      current_(driver, context_.get()),
      stream_(make_stream(driver)),
      stream(stream_.get()) {}

void Gpu::finish() const {
  driver.check(functions.stream_synchronize(stream), "waiting for a stream");
}

Pool::Pool(const Gpu& gpu, std::size_t size)
    : size_(size),
      gpu_(&gpu),
      of_gpu_(allocate(gpu.driver, (size + kBlock - 1) / kBlock * kBlock)) {
  clear();
}

Pool::Pool(nixl_connect::Allocation memory)
    : size_(memory.size()), of_host_(std::move(memory)) {
  clear();
}

std::uintptr_t Pool::start() const {
  return of_host_ ? reinterpret_cast<std::uintptr_t>(of_host_->data()) : of_gpu_.get();
}

void Pool::finish(CuResult submitted, const char* what) const {
  gpu_->driver.check(submitted, what);
  gpu_->finish();
}

void Pool::put(std::size_t at, std::span<const std::uint64_t> words) {
  const std::size_t size = words.size_bytes();
  if (of_host_) {
    std::memcpy(of_host_->data() + at, words.data(), size);
    return;
  }
  finish(
      gpu_->functions.memcpy_htod_async(start() + at, words.data(), size, gpu_->stream),
      "filling GPU memory");
}

void Pool::get(std::size_t at, std::span<std::uint64_t> words) const {
  const std::size_t size = words.size_bytes();
  if (of_host_) {
    std::memcpy(words.data(), of_host_->data() + at, size);
    return;
  }
  finish(
      gpu_->functions.memcpy_dtoh_async(words.data(), start() + at, size, gpu_->stream),
      "reading GPU memory");
}

void Pool::number() {
  for (std::size_t at = 0; at < size_; at += kPart) {
    Words words(std::min(kPart, size_ - at) / kWord);
    std::iota(words.begin(), words.end(), at / kWord + 1);
    put(at, words);
  }
}

void Pool::clear() {
  if (of_host_) {
    std::memset(of_host_->data(), 0, size_);
    return;
  }
  finish(gpu_->functions.memset_async(start(), 0, size_, gpu_->stream),
         "clearing GPU memory");
}

void Pool::check(const Work& work) const {
  const auto origin = origins(work);
  const std::size_t page_words = work.page_bytes / kWord;
  Words page(page_words);
  for (std::size_t index = 0; (index + 1) * work.page_bytes <= size_; ++index) {
    get(index * work.page_bytes, page);
    const auto from = origin.find(index);
    for (std::size_t word = 0; word < page_words; ++word) {
      const std::uint64_t expected =
          from == origin.end() ? 0 : from->second * page_words + word + 1;
      if (page[word] != expected)
        throw std::runtime_error("wrong bytes in page " + std::to_string(index));
    }
  }
}

}  // namespace nixl_connect::bench
