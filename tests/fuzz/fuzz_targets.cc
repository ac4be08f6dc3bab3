// SPDX-License-Identifier: Apache-2.0
#include "fuzz/fuzz_targets.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <tuple>

#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "wire/control.h"
#include "wire/envelope.h"
#include "wire/extension.h"
#include "wire/nixl_blob.h"
#include "wire/notification.h"

namespace nixl_connect::fuzz {
namespace {

[[noreturn]] void violated(const char* property) {
  std::fprintf(stderr, "violated: %s\n", property);
  std::abort();
}

// The decoder's value, or nothing if it threw an Error. Everything else that it throws
// leaves here, too, and ends the process.
template <typename Decoder>
auto accepted(Decoder&& decoder) -> std::optional<decltype(decoder())> {
  try {
    return decoder();
  } catch (const Error&) {
    return std::nullopt;
  }
}

template <typename Value, typename Encoder, typename Decoder>
void check_round_trip(const Value& value, Encoder&& encode, Decoder&& decode) {
  const auto again = accepted([&] { return decode(encode(value)); });
  if (!again) violated("what a decoder accepted can be encoded and decoded again");
  if (!(*again == value)) violated("a value survives encoding and decoding");
}

// What is accepted when the key is missing, and only then.
bool has_defaults(const RdmaMetadata& metadata) {
  return metadata.operation_kind == OperationKind::kUnspecified ||
         std::any_of(metadata.descriptors.begin(), metadata.descriptors.end(),
                     [](const auto& descriptor) { return descriptor.ptr == 0; });
}

void check_extension(Input data) {
  const auto extension = wire::decode_extension(data);
  if (!extension) return;
  if (wire::decode_extension(wire::encode(*extension)) != extension)
    violated("an extension survives encoding and decoding");
}

}  // namespace

void fuzz_envelope(Input input) {
  const auto value =
      accepted([&] { return RdmaMetadata::from_json(base::as_text(input)); });
  if (!value || has_defaults(*value)) return;
  check_round_trip(
      *value, [](const RdmaMetadata& metadata) { return metadata.to_json(); },
      [](const std::string& json) { return RdmaMetadata::from_json(json); });
}

void fuzz_blob_text(Input input) {
  const auto blob =
      accepted([&] { return wire::decode_blob_text(base::as_text(input)); });
  if (!blob) return;
  for (const auto form : {wire::BlobText::kBase64, wire::BlobText::kHex})
    check_round_trip(
        *blob,
        [form](const base::Bytes& bytes) {
          return wire::encode_blob_text(bytes, form);
        },
        wire::decode_blob_text);
}

void fuzz_blob(Input input) {
  auto agent = accepted([&] { return wire::decode(input); });
  // Ours never sends that name, though a peer may have it.
  if (!agent || agent->agent.find(wire::kForbiddenText) != std::string::npos) return;
  // As the encoder sorts them.
  std::stable_sort(agent->regions.begin(), agent->regions.end(),
                   [](const wire::Region& a, const wire::Region& b) {
                     const auto order = [](const wire::Region& each) {
                       return std::tuple(each.memory, each.rkey.empty(), each.device_id,
                                         each.address, each.size);
                     };
                     return order(a) < order(b);
                   });
  check_round_trip(
      *agent,
      [](const wire::AgentMetadata& metadata) { return wire::encode(metadata); },
      wire::decode);
}

void fuzz_extension(Input input) {
  check_extension(input);
  base::Writer with_crc;
  with_crc.raw(input);
  with_crc.u32(static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(input.data()), input.size())));
  check_extension(with_crc.bytes());
}

void fuzz_notification(Input input) {
  const auto value = accepted([&] { return wire::decode_notification(input); });
  if (!value) return;
  check_round_trip(
      *value,
      [](const wire::Notification& notification) { return wire::encode(notification); },
      wire::decode_notification);
}

void fuzz_control(Input input) {
  // As a payload: whatever the lengths say, the parts lie inside.
  if (const auto parts = accepted([&] { return wire::split_payload(input); })) {
    std::size_t total = 0;
    for (const base::BytesView part : *parts) total += 4 + part.size();
    if (total != input.size()) violated("the parts of a payload are the payload");
  }
  const auto value = accepted([&] { return wire::decode_control(input); });
  if (!value) return;
  check_round_trip(
      *value, [](const wire::ControlMessage& message) { return wire::encode(message); },
      wire::decode_control);
}

}  // namespace nixl_connect::fuzz
