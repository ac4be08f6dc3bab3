// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "fresh/whole.h"

#include <cstring>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "fresh/rates.h"
#include "fresh/targets.h"
#include "nixl_connect/connector.h"
#include "peer_process.h"
#include "support/exposing_peer.h"

namespace nixl_connect::bench {
namespace {

struct Path {
  const char* peer;  // argument of the exposing process
  std::vector<std::string> forbid;
};

class Reader {
 public:
  Reader(const Path& path, bool advises, std::size_t size)
      : exposing_({tools::own_program(), path.peer}),
        size_(size),
        connector_(options_of(path, advises)) {
    exposing_.ask({{"do", "open"}});
  }

  // One read into a target of its own.
  Rate read(Kind kind, bool is_touched) {
    const auto exposed =
        exposing_.ask({{"do", "expose"}, {"kind", "READ"}, {"size", size_}});
    const auto remote =
        RdmaMetadata::from_json(exposed.at("metadata").get<std::string>());
    Target target(kind, size_);
    if (is_touched) std::memset(target.data(), 1, size_);
    const RateWatch watch;
    auto operation = connector_.begin_read(remote, {target.data(), size_});
    operation.wait();
    const Rate rate = watch.rate(size_);
    path_ = operation.path();
    exposing_.ask({{"do", "wait"}});
    return rate;
  }

  const std::string& path() const { return path_; }

 private:
  static ConnectorOptions options_of(const Path& path, bool advises) {
    ConnectorOptions options = ConnectorOptions::from_environment();
    options.forbid = path.forbid;
    options.advise_huge_pages = advises;
    return options;
  }

  tools::PeerProcess exposing_;
  const std::size_t size_;
  Connector connector_;
  std::string path_;
};

void print_line(const Path& path, Kind kind, std::size_t size, unsigned rounds) {
  Reader without(path, false, size);
  Reader with(path, true, size);
  Rates unadvised;
  Rates advised;
  Rates touched;
  for (unsigned round = 0; round < rounds; ++round) {
    for (Rates* rates : {&unadvised, &advised, &touched}) {
      Reader& reader = rates == &unadvised ? without : with;
      const bool is_touched = rates == &touched;
      reader.read(kind, is_touched);  // as in raw.cc, for the pages that it gives back
      rates->add(reader.read(kind, is_touched));
    }
  }
  std::cout << std::left << std::setw(10)
            << with.path().substr(0, with.path().find(':')) << std::setw(10)
            << name_of(kind) << std::right;
  for (const Rates* rates : {&unadvised, &advised, &touched}) rates->print(std::cout);
  std::cout << std::endl;
}

// Processor time of one call.
template <typename Look>
double us_of(Look&& look) {
  constexpr int kCalls = 100'000;
  const double before = cpu_seconds();
  for (int i = 0; i < kCalls; ++i) look();
  return (cpu_seconds() - before) * 1e6 / kCalls;
}

}  // namespace

void measure_whole(std::size_t size, unsigned rounds) {
  std::cout << "reads of " << (size >> 20)
            << " MiB, GB/s, in brackets of processor time\n"
            << "path      target    not advised  advised  touched\n";
  for (const Kind kind : {Kind::kAnonymous, Kind::kShared}) {
    print_line({"exposing", {"host.map"}}, kind, size, rounds);
    print_line({"mapped", {}}, kind, size, rounds);
    print_line({"exposing", {"host"}}, kind, size, rounds);
  }
}

void measure_looks() {
  for (const std::size_t mib : {4, 64, 1024}) {
    Target target(Kind::kAnonymous, mib << 20);
    const std::array whole{Descriptor(target.data(), target.size())};
    const std::array ranges{paths::host::Range{whole[0].ptr(), 0, target.size()}};
    std::memset(target.data(), 1, target.size());
    std::cout << "looking at a touched target of " << mib << " MiB: " << std::fixed
              << std::setprecision(2) << us_of([&] {
                   paths::host::prepare(whole);
                   (void)paths::host::is_fresh(ranges);
                 })
              << " us" << std::endl;
  }
}

}  // namespace nixl_connect::bench
