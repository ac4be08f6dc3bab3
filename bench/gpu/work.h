// SPDX-License-Identifier: Apache-2.0
//
// What a transfer between two pools of memory moves, as gpu_bench.py says it (layout.py
// makes it). Values; no threads.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

namespace nixl_connect::bench {

// Page k of a pool is the `page_bytes` bytes at k * page_bytes.
struct Work {
  bool is_read = true;  // from there to here
  std::size_t page_bytes = 0;
  std::size_t pool_bytes = 0;      // of each pool
  std::vector<std::size_t> here;   // pages of the measuring side, in their order
  std::vector<std::size_t> there;  // those of the exposing side that belong to them

  const std::vector<std::size_t>& sources() const { return is_read ? there : here; }
  const std::vector<std::size_t>& targets() const { return is_read ? here : there; }
};

// Throws nlohmann::json::exception if something is missing.
inline Work work_of(const nlohmann::json& command) {
  const nlohmann::json& work = command.at("work");
  return {work.at("kind") == "READ", work.at("page_bytes"), work.at("pool_bytes"),
          work.at("here"), work.at("there")};
}

}  // namespace nixl_connect::bench
