// SPDX-License-Identifier: Apache-2.0
#include "wire/plain_envelope.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>

#include "wire/envelope.h"

namespace nixl_connect::wire {
namespace {

constexpr std::string_view kShortest = R"({"device":"cpu","ptr":1,"size":0},)";

bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '\\'; }

bool is_plain_device(std::string_view device) {
  return device == "cpu" ||
         ((device.starts_with("cuda") || device.starts_with("xpu")) &&
          std::all_of(device.begin(), device.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':';
          }));
}

// Each step goes past what it names, or says that something else is there.
class Text {
 public:
  explicit Text(std::string_view text) : rest_(text) {}

  bool pass(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // Up to the quote, and that one too.
  bool read(std::string& value) {
    const std::size_t size = std::min(rest_.find('"'), rest_.size());
    const std::string_view found = rest_.substr(0, size);
    if (!std::all_of(found.begin(), found.end(), is_plain)) return false;
    value = found;
    rest_.remove_prefix(size);
    return pass("\"");
  }

  bool read(std::uint64_t& value) {
    const char* const begin = rest_.data();
    const auto [end, error] = std::from_chars(begin, begin + rest_.size(), value);
    const auto digits = static_cast<std::size_t>(end - begin);
    if (error != std::errc() || (digits > 1 && *begin == '0')) return false;
    rest_.remove_prefix(digits);
    return true;
  }

  bool is_at_end() const noexcept { return rest_.empty(); }
  std::size_t size() const noexcept { return rest_.size(); }

 private:
  std::string_view rest_;
};

bool read_descriptor(Text& text, SerializedDescriptor& descriptor) {
  return text.pass(R"({"device":")") && text.read(descriptor.device) &&
         is_plain_device(descriptor.device) && text.pass(R"(,"ptr":)") &&
         text.read(descriptor.ptr) && descriptor.ptr != 0 && text.pass(R"(,"size":)") &&
         text.read(descriptor.size) && text.pass("}");
}

bool read_descriptors(Text& text, std::vector<SerializedDescriptor>& descriptors) {
  if (text.pass("]")) return true;
  descriptors.reserve(std::min(text.size() / kShortest.size() + 1, kMaxDescriptors));
  do {
    if (descriptors.size() == kMaxDescriptors) return false;
    if (!read_descriptor(text, descriptors.emplace_back())) return false;
  } while (text.pass(","));
  return text.pass("]");
}

}  // namespace

std::optional<RdmaMetadata> read_plain_envelope(std::string_view json) {
  Text text(json);
  RdmaMetadata metadata;
  std::uint64_t kind = 0;
  const bool is_read =
      text.pass(R"({"descriptors":[)") &&
      read_descriptors(text, metadata.descriptors) &&
      text.pass(R"(,"nixl_metadata":")") && text.read(metadata.nixl_metadata) &&
      text.pass(R"(,"notification_key":")") && text.read(metadata.notification_key) &&
      text.pass(R"(,"operation_kind":)") && text.read(kind) && text.pass("}") &&
      text.is_at_end() && (kind == 1 || kind == 2);
  if (!is_read) return std::nullopt;
  metadata.operation_kind = static_cast<OperationKind>(kind);
  return metadata;
}

}  // namespace nixl_connect::wire
