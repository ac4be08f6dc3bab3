// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "host/raw_peers.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/shared_memory.h"
#include "nixl_connect/descriptor.h"
#include "peer_process.h"
#include "support/contents.h"
#include "support/measure.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using base::SharedMemory;
using tools::Json;

constexpr const char* kName = "host_bench";

std::shared_ptr<std::byte> make_shared_memory(std::size_t size, int& fd) {
  const auto memory = std::make_shared<SharedMemory>(kName, size);
  std::memset(memory->data(), 1, size);
  fd = memory->fd();
  return {memory, memory->data()};
}

class Exposing {
 public:
  Json answer(const Json& command) {
    const std::string what = command.at("do");
    if (what == "expose") return expose(command);
    if (what == "check") check_offsets({&memory_.value(), 1});
    if (what == "release") memory_.reset();
    return Json::object();
  }

 private:
  Json expose(const Json& command) {
    const std::size_t size = command.at("size");
    int fd = -1;
    const auto memory = command.value("mapped", false) ? make_shared_memory(size, fd)
                                                       : make_memory(size);
    memory_ = Descriptor(memory.get(), size, {}, memory);
    const std::string kind = command.at("kind");
    if (kind == "READ" && command.value("check", false)) {
      fill_with_offsets({&memory_.value(), 1});
    }
    return {{"metadata",
             Json{{"pid", ::getpid()}, {"address", memory_->ptr()}, {"fd", fd}}}};
  }

  std::optional<Descriptor> memory_;
};

// The exposing side's memory, if it can be mapped.
std::optional<SharedMemory> map_of(const Json& metadata) {
  const int fd = metadata.at("fd");
  if (fd < 0) return std::nullopt;
  auto map = SharedMemory::of_process(metadata.at("pid"), fd, kName,
                                      SharedMemory::Access::kReadWrite);
  if (!map)
    throw std::runtime_error("the memory of the other process cannot be mapped");
  return map;
}

class Measuring {
 public:
  Measuring(const Json& command, RawCopy& copy)
      : copy_(copy),
        size_(command.at("size")),
        is_read_(command.at("kind") == "READ"),
        is_fresh_(command.value("fresh", false)),
        advises_huge_pages_(command.value("advises_huge_pages", false)),
        local_(make_memory(size_)),
        map_(map_of(command.at("metadata"))),
        remote_{command.at("metadata").at("pid"), command.at("metadata").at("address"),
                map_ ? map_->data() : nullptr} {}

  std::vector<double> measure(unsigned operations) {
    std::vector<double> latencies_us;
    for (unsigned i = 0; i < operations; ++i) {
      if (is_fresh_) local_ = make_fresh_memory(size_, advises_huge_pages_);
      const Stopwatch watch;
      copy_.move({is_read_ ? OperationKind::kRead : OperationKind::kWrite, local_.get(),
                  remote_, size_});
      latencies_us.push_back(watch.us());
    }
    return latencies_us;
  }

  void check() {
    const Descriptor local(local_.get(), size_);
    if (is_read_) {
      clear({&local, 1});
    } else {
      fill_with_offsets({&local, 1});
    }
    measure(1);
    const Descriptor moved(local_.get(), size_);
    if (is_read_) check_offsets({&moved, 1});
  }

 private:
  RawCopy& copy_;
  const std::size_t size_;
  const bool is_read_;
  const bool is_fresh_;
  const bool advises_huge_pages_;
  std::shared_ptr<std::byte> local_;
  const std::optional<SharedMemory> map_;
  const Remote remote_;
};

Json measure(RawCopy& copy, const Json& command) {
  Measuring measuring(command, copy);
  if (command.value("check", false)) measuring.check();
  const unsigned operations = command.at("operations");
  measuring.measure(std::max(1U, operations / 10));  // To warm up.
  return {{"latencies_us", measuring.measure(operations)}};
}

}  // namespace

int run_raw_exposing() {
  tools::ParentProcess parent;
  Exposing exposing;
  parent.serve([&](const Json& command) { return exposing.answer(command); });
  return 0;
}

int run_raw_measuring(Means means, unsigned threads, std::size_t piece) {
  tools::ParentProcess parent;
  RawCopy copy(means, threads, piece);
  parent.serve([&](const Json& command) {
    return command.at("do") == "open" ? Json::object() : measure(copy, command);
  });
  return 0;
}

}  // namespace nixl_connect::bench
