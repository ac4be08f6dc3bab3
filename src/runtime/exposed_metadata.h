// SPDX-License-Identifier: Apache-2.0
//
// The NIXL metadata text of one exposing operation, made at the first call for each of
// its two forms. Thread-safe.
#pragma once

#include <mutex>
#include <string>

#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect::runtime {

class ExposedMetadata {
 public:
  explicit ExposedMetadata(wire::AgentMetadata agent) : agent_(std::move(agent)) {}

  const std::string& text(wire::BlobText form) {
    const std::lock_guard lock(mutex_);
    std::string& text = form == wire::BlobText::kHex ? hex_ : base64_;
    if (text.empty()) {
      if (blob_.empty()) blob_ = wire::encode(agent_);
      text = wire::encode_blob_text(blob_, form);
    }
    return text;
  }

 private:
  const wire::AgentMetadata agent_;
  std::mutex mutex_;
  // Guarded by mutex_; constant once not empty.
  base::Bytes blob_;
  std::string base64_;
  std::string hex_;
};

}  // namespace nixl_connect::runtime
