// SPDX-License-Identifier: Apache-2.0
//
// The text around the blob: RdmaMetadata as JSON, and `nixl_metadata` as a zlib stream
// in base64 or hexadecimal (blob_text.cc). Pure functions; the decoders take hostile
// text. The JSON functions are RdmaMetadata::to_json and RdmaMetadata::from_json of
// nixl_connect/metadata.h, defined in envelope_writer.cc and envelope_reader.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace nixl_connect::wire {

constexpr std::size_t kMaxBlobBytes = 64 << 20;  // inflated
constexpr std::size_t kMaxJsonBytes = 64 << 20;
constexpr std::size_t kMaxDescriptors = 1 << 20;

enum class BlobText {
  kBase64,  // "b64:" + standard padded base64
  kHex,     // lower case, no prefix
};

// zlib window 15; level 6, of 64 KiB and more level 1.
std::string encode_blob_text(base::BytesView blob, BlobText form);

// Accepts both forms. Throws Error(kInvalidArgument) for text that is neither, a
// damaged stream, or one that inflates to more than kMaxBlobBytes.
base::Bytes decode_blob_text(std::string_view text);

}  // namespace nixl_connect::wire
