// SPDX-License-Identifier: Apache-2.0
//
// The NIXL metadata text of one exposing operation, made at the first call for each of
// its two forms. Thread-safe.
#pragma once

#include <mutex>
#include <string>

#include "runtime/readiness.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {

class ExposedMetadata {
 public:
  ExposedMetadata(wire::AgentMetadata agent, Readiness readiness)
      : readiness_(std::move(readiness)), agent_(std::move(agent)) {}

  // May wait for the memory, as Readiness::tell() does.
  const std::string& text(wire::BlobText form) {
    const std::lock_guard lock(mutex_);
    std::string& text = form == wire::BlobText::kHex ? hex_ : base64_;
    if (text.empty()) {
      if (blob_.empty()) {
        readiness_.tell(agent_);
        blob_ = wire::encode(agent_);
      }
      text = wire::encode_blob_text(blob_, form);
    }
    return text;
  }

 private:
  const Readiness readiness_;  // as long as peers may look at the event

  std::mutex mutex_;
  // Guarded by mutex_; the texts are constant once not empty.
  wire::AgentMetadata agent_;
  base::Bytes blob_;
  std::string base64_;
  std::string hex_;
};

}  // namespace nixl_connect::runtime
