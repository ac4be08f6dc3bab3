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

std::size_t extent_of(const Json& command) {
  return spread_of(command.value("count", 1), command.at("size"));
}

std::vector<std::size_t> offsets_of(const Json& command) {
  return offsets_of_pieces(command.value("count", 1), command.at("size"));
}

std::vector<Descriptor> pieces_in(const std::shared_ptr<std::byte>& memory,
                                  const Json& command) {
  std::vector<Descriptor> pieces;
  for (const std::size_t offset : offsets_of(command)) {
    pieces.emplace_back(memory.get() + offset, command.at("size"), Device(), memory);
  }
  return pieces;
}

class Exposing {
 public:
  Json answer(const Json& command) {
    const std::string what = command.at("do");
    if (what == "expose") return expose(command);
    if (what == "check") check_offsets(pieces_);
    if (what == "release") pieces_.clear();
    return Json::object();
  }

 private:
  Json expose(const Json& command) {
    const std::size_t size = extent_of(command);
    int fd = -1;
    const auto memory = command.value("mapped", false) ? make_shared_memory(size, fd)
                                                       : make_memory(size);
    pieces_ = pieces_in(memory, command);
    const std::string kind = command.at("kind");
    if (kind == "READ" && command.value("check", false)) fill_with_offsets(pieces_);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.get());
    return {{"metadata", Json{{"pid", ::getpid()}, {"address", address}, {"fd", fd}}}};
  }

  std::vector<Descriptor> pieces_;
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
  Measuring(const Json& command, RawCopy& copy, std::size_t piece)
      : copy_(copy),
        command_(command),
        is_read_(command.at("kind") == "READ"),
        is_fresh_(command.value("fresh", false)),
        local_(make_memory(extent_of(command))),
        map_(map_of(command.at("metadata"))),
        remote_{command.at("metadata").at("pid"), command.at("metadata").at("address"),
                map_ ? map_->data() : nullptr} {
    const std::size_t size = command.at("size");
    const auto offsets = offsets_of(command);
    if (offsets.size() == 1) {
      ranges_ = cut(size, piece, copy.threads());
    } else {
      for (const std::size_t offset : offsets) ranges_.push_back({offset, size});
      at_once_ = RawCopy::kMostAtOnce;
    }
  }

  std::vector<double> measure(unsigned operations) {
    std::vector<double> latencies_us;
    for (unsigned i = 0; i < operations; ++i) {
      if (is_fresh_) refresh();
      const Stopwatch watch;
      copy_.move({is_read_ ? OperationKind::kRead : OperationKind::kWrite, local_.get(),
                  remote_, ranges_, at_once_});
      latencies_us.push_back(watch.us());
    }
    return latencies_us;
  }

  void check() {
    const auto local = pieces_in(local_, command_);
    if (is_read_) {
      clear(local);
    } else {
      fill_with_offsets(local);
    }
    measure(1);
    if (is_read_) check_offsets(pieces_in(local_, command_));
  }

 private:
  void refresh() {
    local_ = make_fresh_memory(extent_of(command_),
                               command_.value("advises_huge_pages", false));
  }

  RawCopy& copy_;
  const Json& command_;
  const bool is_read_;
  const bool is_fresh_;
  std::shared_ptr<std::byte> local_;
  const std::optional<SharedMemory> map_;
  const Remote remote_;
  std::vector<RawRange> ranges_;
  std::size_t at_once_ = 1;
};

Json measure(RawCopy& copy, std::size_t piece, const Json& command) {
  Measuring measuring(command, copy, piece);
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
  RawCopy copy(means, threads);
  parent.serve([&](const Json& command) {
    return command.at("do") == "open" ? Json::object() : measure(copy, piece, command);
  });
  return 0;
}

}  // namespace nixl_connect::bench
