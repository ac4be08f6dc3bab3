// SPDX-License-Identifier: Apache-2.0
//
// One entry point per decoder of hostile input. Each decodes; what it accepts it
// encodes and decodes again, and the two values must be equal. Anything but
// nixl_connect::Error out of the decoder, and any difference, ends the process.
#pragma once

#include <cstddef>
#include <span>

namespace nixl_connect::fuzz {

using Input = std::span<const std::byte>;

void fuzz_envelope(Input input);      // RdmaMetadata::from_json
void fuzz_blob_text(Input input);     // wire::decode_blob_text
void fuzz_blob(Input input);          // wire::decode
void fuzz_extension(Input input);     // wire::decode_extension, as is and with a CRC
void fuzz_notification(Input input);  // wire::decode_notification
void fuzz_control(Input input);       // wire::decode_control

}  // namespace nixl_connect::fuzz
