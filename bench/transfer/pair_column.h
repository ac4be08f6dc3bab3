// SPDX-License-Identifier: Apache-2.0
//
// A column measured by two programs of any language, which answer commands in lines of
// JSON (tools/peer_process.h):
//
//   program    command  takes                                       answers
//   exposing   open
//              expose   kind, size, readers                         metadata
//              release
//   measuring  open
//              measure  kind, size, operations, window, metadata    latencies_us, gbps
//
// `metadata` is any text; `latencies_us` has one number for each operation.
#pragma once

#include <string>
#include <vector>

#include "peer_process.h"
#include "transfer/column.h"

namespace nixl_connect::bench {

class PairColumn : public Column {
 public:
  // Each list is a program and its arguments.
  PairColumn(std::string name, const std::vector<std::string>& exposing,
             const std::vector<std::string>& measuring);

  Sample measure(const Work& work) override;

 private:
  tools::PeerProcess exposing_;
  tools::PeerProcess measuring_;
};

}  // namespace nixl_connect::bench
