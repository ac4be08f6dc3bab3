// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets over their seed corpus and over mutations of each seed, the same in
// every run. Finds in a second, with any compiler, what broke since the last fuzzing.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/fuzz_targets.h"

namespace nixl_connect::fuzz {
namespace {

constexpr int kMutations = 3000;  // of each seed

using Bytes = std::vector<std::byte>;

struct Target {
  const char* name;
  void (*run)(Input);
};

class Corpus : public testing::TestWithParam<Target> {};

std::vector<Bytes> seeds_of(const std::string& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(NIXL_CONNECT_CORPUS) + "/" + target))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Input bytes = std::as_bytes(std::span(text));
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}

// Flips, overwrites, removes, repeats or cuts a few places.
Bytes mutated(Bytes bytes, std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return random() % (limit + 1); };
  for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
    const auto place = static_cast<std::ptrdiff_t>(below(bytes.size()));
    const auto here = bytes.begin() + place;
    const auto left = static_cast<std::size_t>(bytes.end() - here);
    const auto there =
        here + static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(left, 16)));
    switch (below(4)) {
      case 0:
        if (left > 0) *here ^= std::byte{1} << below(7);
        break;
      case 1:
        std::fill(here, there, static_cast<std::byte>(below(1) * 0xff));
        break;
      case 2:
        bytes.erase(here, there);
        break;
      case 3: {
        const Bytes piece(here, there);
        bytes.insert(here, piece.begin(), piece.end());
        break;
      }
      default:
        if (below(15) == 0) bytes.erase(here, bytes.end());
    }
  }
  return bytes;
}

TEST_P(Corpus, KeepsTheTargetsProperties) {
  const std::vector<Bytes> seeds = seeds_of(GetParam().name);
  ASSERT_FALSE(seeds.empty());
  std::mt19937_64 random(1);
  for (const Bytes& seed : seeds) {
    GetParam().run(seed);
    for (int i = 0; i < kMutations; ++i) GetParam().run(mutated(seed, random));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Corpus,
                         testing::Values(Target{"fuzz_envelope", fuzz_envelope},
                                         Target{"fuzz_blob_text", fuzz_blob_text},
                                         Target{"fuzz_blob", fuzz_blob},
                                         Target{"fuzz_extension", fuzz_extension},
                                         Target{"fuzz_notification", fuzz_notification},
                                         Target{"fuzz_control", fuzz_control}),
                         [](const auto& target) {
                           return std::string(target.param.name);
                         });

}  // namespace
}  // namespace nixl_connect::fuzz
