// SPDX-License-Identifier: Apache-2.0
//
// See the header. The bytes are made and looked at in host memory, part by part.
#include "gpu/pool.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_map>
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
    : gpu_(gpu),
      size_(size),
      memory_(allocate(gpu.driver, (size + kBlock - 1) / kBlock * kBlock)) {
  clear();
}

void Pool::number() {
  for (std::size_t at = 0; at < size_; at += kPart) {
    Words words(std::min(kPart, size_ - at) / kWord);
    std::iota(words.begin(), words.end(), at / kWord + 1);
    gpu_.driver.check(
        gpu_.functions.memcpy_htod_async(start() + at, words.data(),
                                         words.size() * kWord, gpu_.stream),
        "filling GPU memory");
    gpu_.finish();
  }
}

void Pool::clear() {
  gpu_.driver.check(gpu_.functions.memset_async(start(), 0, size_, gpu_.stream),
                    "clearing GPU memory");
  gpu_.finish();
}

void Pool::check(const Work& work) const {
  const auto origin = origins(work);
  const std::size_t page_words = work.page_bytes / kWord;
  Words page(page_words);
  for (std::size_t index = 0; (index + 1) * work.page_bytes <= size_; ++index) {
    gpu_.driver.check(
        gpu_.functions.memcpy_dtoh_async(page.data(), start() + index * work.page_bytes,
                                         work.page_bytes, gpu_.stream),
        "reading GPU memory");
    gpu_.finish();
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
