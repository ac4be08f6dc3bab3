// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "fresh/raw.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/shared_memory.h"
#include "fresh/rates.h"
#include "fresh/targets.h"
#include "paths/host/copy.h"
#include "paths/host/fresh_memory.h"
#include "paths/host/mapped_copy.h"

namespace nixl_connect::bench {
namespace {

struct Pages {
  const char* name;
  bool are_advised = false;    // to be huge
  bool are_populated = false;  // piece by piece, by the thread that copies it
  bool are_touched = false;    // before, at no cost

  // Two threads are not to make the same huge page.
  std::size_t piece_bytes() const {
    return are_advised || are_populated ? paths::host::kHugePageBytes
                                        : paths::host::Copy::kPieceBytes;
  }
};

constexpr std::array kEveryPages{
    Pages{"none"}, Pages{"advised", true}, Pages{"populated", false, true},
    Pages{"both", true, true}, Pages{"touched", false, false, true}};

enum class Way { kSystemCall, kMemcpy, kStream };
constexpr std::array kWays{"process_vm_readv", "memcpy", "streaming"};

// A process that holds the source at the same address, and the source itself.
class Source {
 public:
  explicit Source(std::size_t size) : memory_("nixl_connect_bench", size) {
    std::memset(memory_.data(), 1, size);
    process_ = ::fork();
    if (process_ != 0) return;
    std::memset(memory_.data(), 1, size);  // so that the pages are in its map, too
    while (true) ::pause();
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  void copy(Way way, std::byte* to, std::size_t offset, std::size_t size) const {
    std::byte* const from = memory_.data() + offset;
    if (way == Way::kMemcpy) {
      std::memcpy(to, from, size);
    } else if (way == Way::kStream) {
      paths::host::stream(to, from, size);
    } else {
      const iovec local{to, size};
      const iovec remote{from, size};
      if (::process_vm_readv(process_, &local, 1, &remote, 1, 0) !=
          static_cast<ssize_t>(size))
        throw std::runtime_error("process_vm_readv failed");
    }
  }

 private:
  const base::SharedMemory memory_;
  pid_t process_ = -1;
};

Rate fill(const Source& source, Way way, Target& target, Pages pages,
          unsigned threads) {
  const std::size_t size = target.size();
  const std::size_t piece = pages.piece_bytes();
  std::atomic<std::size_t> next{0};
  const RateWatch watch;
  if (pages.are_advised) target.advise();
  const auto work = [&] {
    for (std::size_t at = next.fetch_add(piece); at < size;
         at = next.fetch_add(piece)) {
      const std::size_t bytes = std::min(piece, size - at);
      if (pages.are_populated) target.populate(at, bytes);
      source.copy(way, target.data() + at, at, bytes);
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return watch.rate(size);
}

// The first of two, so that both get their pages out of what the one before gave back:
// to a virtual machine, pages that are new to it cost far more.
Rate fill_twice(const Source& source, Way way, Kind kind, std::size_t size, Pages pages,
                unsigned threads) {
  Rate rate;
  for (int i = 0; i < 2; ++i) {
    Target target(kind, size);
    if (pages.are_touched) std::memset(target.data(), 1, size);
    rate = fill(source, way, target, pages, threads);
  }
  return rate;
}

void print_line(const Source& source, Kind kind, Way way, std::size_t size,
                unsigned threads, unsigned rounds) {
  std::cout << std::left << std::setw(10) << name_of(kind) << std::setw(18)
            << kWays[static_cast<std::size_t>(way)] << threads << std::right;
  for (const Pages& pages : kEveryPages) {
    Rates rates;
    for (unsigned round = 0; round < rounds; ++round)
      rates.add(fill_twice(source, way, kind, size, pages, threads));
    rates.print(std::cout);
  }
  std::cout << std::endl;
}

}  // namespace

void measure_raw(std::size_t size, unsigned rounds) {
  const Source source(size);
  std::cout << (size >> 20) << " MiB, GB/s, in brackets of processor time\n"
            << "target    copied by         threads";
  for (const Pages& pages : kEveryPages) std::cout << "  " << pages.name;
  std::cout << "\n";
  for (const Kind kind : {Kind::kAnonymous, Kind::kShared})
    for (const Way way : {Way::kSystemCall, Way::kMemcpy, Way::kStream})
      for (const unsigned threads : {1U, 2U})
        print_line(source, kind, way, size, threads, rounds);
}

}  // namespace nixl_connect::bench
