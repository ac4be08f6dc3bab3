// SPDX-License-Identifier: Apache-2.0
//
// UCX alone, measured by its own ucx_perftest: `ucp_get` for reads and `ucp_put_bw` for
// writes, with error handling on as this library has it. A put counts as complete once
// its source may be reused; our writes also wait until the bytes have arrived.
#pragma once

#include <string>
#include <vector>

#include "transfer/column.h"

namespace nixl_connect::bench {

class UcxColumn : public Column {
 public:
  // `program`: path of ucx_perftest. UCX's libraries are taken from the folder lib
  // beside its own, if there is one.
  explicit UcxColumn(const std::string& program);

  Sample measure(const Work& work) override;

 private:
  struct Result {
    double percentile_us;
    double gbps;
  };
  Result run(const Work& work, unsigned window, int percentile_rank) const;

  std::vector<std::string> command_;
};

}  // namespace nixl_connect::bench
