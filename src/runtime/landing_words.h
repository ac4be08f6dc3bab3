// SPDX-License-Identifier: Apache-2.0
//
// Registered words of our own in which a peer's lease word lands when we get it. Used
// by whoever has the turn.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "paths/ucx/context.h"

namespace nixl_connect::runtime {

class LandingWords {
 public:
  explicit LandingWords(const paths::ucx::Context& context) : context_(context) {}

  struct Word {
    std::uint64_t* value = nullptr;
    const paths::ucx::Registration* registration = nullptr;
  };

  // A word that reads 0 until something lands in it. Grows as needed; throws what
  // paths::ucx::Registration throws.
  Word take() {
    if (free_.empty()) grow();
    const Word word = free_.back();
    free_.pop_back();
    *word.value = 0;
    return word;
  }
  void give_back(Word word) { free_.push_back(word); }

 private:
  struct Chunk {
    explicit Chunk(const paths::ucx::Context& context)
        : registration(context, reinterpret_cast<std::uintptr_t>(words.data()),
                       sizeof words) {}
    std::array<std::uint64_t, 512> words{};
    const paths::ucx::Registration registration;
  };

  void grow() {
    Chunk& chunk = *chunks_.emplace_back(std::make_unique<Chunk>(context_));
    for (std::uint64_t& word : chunk.words)
      free_.push_back({&word, &chunk.registration});
  }

  const paths::ucx::Context& context_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<Word> free_;
};

}  // namespace nixl_connect::runtime
