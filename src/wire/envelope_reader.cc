// SPDX-License-Identifier: Apache-2.0
//
// RdmaMetadata::from_json, for both shapes that peers send. The text is read as a
// stream of events, so that neither depth nor size of hostile JSON costs stack or
// memory.
#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <variant>

#include "base/random.h"
#include "nixl_connect/error.h"
#include "nixl_connect/metadata.h"
#include "wire/envelope.h"
#include "wire/plain_envelope.h"
#include "wire/utf8.h"

namespace nixl_connect {
namespace {

constexpr std::size_t kMaxQuotedBytes = 40;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::kInvalidArgument, "metadata cannot be read: " + why);
}

std::string quote(std::string_view text) {
  return '"' + wire::bounded_utf8(text, kMaxQuotedBytes) + '"';
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// A value that is neither object nor array. Monostate: null, true, false, a fraction or
// a number below 0 or above 2^64-1, none of which any key takes.
using Scalar = std::variant<std::monostate, std::uint64_t, std::string>;

std::uint64_t read_number(const std::string& name, const Scalar& value,
                          std::uint64_t min, std::uint64_t max = UINT64_MAX) {
  std::optional<std::uint64_t> number;
  if (const auto* given = std::get_if<std::uint64_t>(&value)) number = *given;
  if (const auto* text = std::get_if<std::string>(&value)) {
    const char* end = text->data() + text->size();
    std::uint64_t parsed = 0;
    const auto [stop, error] = std::from_chars(text->data(), end, parsed);
    if (error == std::errc() && stop == end) number = parsed;
  }
  if (!number || *number < min || *number > max)
    refuse(name + " must be a whole number from " + std::to_string(min) + " to " +
           std::to_string(max));
  return *number;
}

std::string read_text(const std::string& name, Scalar& value) {
  auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) refuse(name + " must be text");
  return std::move(*text);
}

// As the model of the other implementation: "cuda..." and "xpu..." are looked at when
// they are used.
std::string read_device(const std::string& name, Scalar& value) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const std::string given = read_text(name, value);
  std::string device = lower(given);
  device.erase(0, device.find_first_not_of(kBlanks));
  device.erase(device.find_last_not_of(kBlanks) + 1);
  if (device != "cpu" && device.rfind("cuda", 0) != 0 && device.rfind("xpu", 0) != 0)
    refuse(name + " is " + quote(given) + "; it must be cpu, cuda:N or xpu:N");
  return device;
}

// `nixl_descriptor` of the frontend's media loader.
struct MediaDescriptor {
  std::optional<std::uint64_t> address;
  std::optional<std::uint64_t> size;
  std::string memory_type;
  std::uint64_t device_id = 0;
};

SerializedDescriptor to_serialized(const MediaDescriptor& media) {
  if (!media.address) refuse("nixl_descriptor.addr is missing");
  if (!media.size) refuse("nixl_descriptor.size is missing");
  const std::string memory = lower(media.memory_type);
  if (memory != "dram" && memory != "vram")
    refuse("nixl_descriptor.mem_type is " + quote(media.memory_type) +
           "; it must be Dram or Vram");
  return {memory == "dram" ? "cpu" : "cuda:" + std::to_string(media.device_id),
          *media.address, *media.size};
}

// Receives the events of the JSON parser, whose names it must use. Every refusal is
// thrown; the boolean results only mean "go on".
class EnvelopeReader {
 public:
  bool null() { return scalar({}); }
  bool boolean(bool) { return scalar({}); }
  bool number_integer(std::int64_t) { return scalar({}); }
  bool number_unsigned(std::uint64_t number) { return scalar(number); }
  bool number_float(double, const std::string&) { return scalar({}); }
  bool string(std::string& text) { return scalar(std::move(text)); }
  bool binary(std::vector<std::uint8_t>&) { return scalar({}); }

  bool start_object(std::size_t) {
    if (place_ == Place::kStart)
      place_ = Place::kEnvelope;
    else if (place_ == Place::kDescriptors)
      start_descriptor();
    else if (place_ == Place::kEnvelope && key_ == "nixl_descriptor")
      start_media_descriptor();
    else
      skip("an object");
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::kSkipped) return true;
    key_ = std::move(name);
    if (place_ == Place::kEnvelope && !is_envelope_key() && !unknown_key_)
      unknown_key_ = key_;
    if (place_ == Place::kDescriptor && !is_descriptor_key())
      refuse(quote(key_) + " in descriptors[" + index() +
             "] is none of device, ptr, size");
    return true;
  }

  bool end_object() {
    if (place_ == Place::kDescriptor)
      place_ = Place::kDescriptors;
    else if (place_ == Place::kMediaDescriptor)
      place_ = Place::kEnvelope;
    else
      end_skipped();
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ == Place::kEnvelope && key_ == "descriptors") {
      place_ = Place::kDescriptors;
      result_.descriptors.clear();
    } else {
      skip("an array");
    }
    return true;
  }

  bool end_array() {
    if (place_ == Place::kDescriptors)
      place_ = Place::kEnvelope;
    else
      end_skipped();
    return true;
  }

  // The parser's own text would quote the metadata, which is secret.
  template <typename Exception>
  [[noreturn]] bool parse_error(std::size_t position, const std::string&,
                                const Exception&) {
    refuse("it is not JSON at byte " + std::to_string(position));
  }

  RdmaMetadata result() && {
    if (media_) {
      if (!result_.descriptors.empty())
        refuse("it has both descriptors and nixl_descriptor");
      result_.descriptors.push_back(to_serialized(*media_));
      result_.notification_key = base::random_uuid4();
      result_.operation_kind = OperationKind::kRead;
    } else if (unknown_key_) {
      refuse(quote(*unknown_key_) +
             " is none of descriptors, nixl_metadata, notification_key, "
             "operation_kind");
    }
    return std::move(result_);
  }

 private:
  enum class Place {
    kStart,
    kEnvelope,
    kDescriptors,
    kDescriptor,
    kMediaDescriptor,
    kSkipped,  // below a key that only the media loader sends
  };

  bool is_envelope_key() const {
    constexpr std::array<std::string_view, 5> kKeys{
        "descriptors", "nixl_metadata", "notification_key", "operation_kind",
        "nixl_descriptor"};
    return std::find(kKeys.begin(), kKeys.end(), key_) != kKeys.end();
  }
  bool is_descriptor_key() const {
    return key_ == "device" || key_ == "ptr" || key_ == "size";
  }
  bool is_media_key() const {
    return key_ == "addr" || key_ == "size" || key_ == "mem_type" ||
           key_ == "device_id";
  }

  std::string index() const { return std::to_string(result_.descriptors.size() - 1); }

  // The key that is being read, as errors call it.
  std::string name() const {
    if (place_ == Place::kDescriptor) return "descriptors[" + index() + "]." + key_;
    if (place_ == Place::kMediaDescriptor) return "nixl_descriptor." + key_;
    return key_;
  }

  void start_descriptor() {
    if (result_.descriptors.size() == wire::kMaxDescriptors)
      refuse("it has more than " + std::to_string(wire::kMaxDescriptors) +
             " descriptors");
    place_ = Place::kDescriptor;
    result_.descriptors.emplace_back();
  }

  void start_media_descriptor() {
    place_ = Place::kMediaDescriptor;
    media_.emplace();
  }

  // Goes past an object or array if it belongs to a key that is tolerated.
  void skip(const char* what) {
    const bool is_tolerated = (place_ == Place::kEnvelope && !is_envelope_key()) ||
                              (place_ == Place::kMediaDescriptor && !is_media_key());
    if (place_ == Place::kStart) refuse(std::string("it is ") + what);
    if (place_ == Place::kDescriptors) refuse(std::string("descriptors holds ") + what);
    if (place_ != Place::kSkipped) {
      if (!is_tolerated) refuse(name() + " must not be " + what);
      resumed_place_ = place_;
      place_ = Place::kSkipped;
    }
    ++skipped_depth_;
  }

  void end_skipped() {
    if (skipped_depth_ > 0 && --skipped_depth_ == 0) place_ = resumed_place_;
  }

  bool scalar(Scalar value) {
    switch (place_) {
      case Place::kStart:
        refuse("it is no JSON object");
      case Place::kEnvelope:
        read_envelope_value(value);
        break;
      case Place::kDescriptors:
        refuse("descriptors must hold objects");
      case Place::kDescriptor:
        read_descriptor_value(value);
        break;
      case Place::kMediaDescriptor:
        read_media_value(value);
        break;
      case Place::kSkipped:
        break;
    }
    return true;
  }

  void read_envelope_value(Scalar& value) {
    if (key_ == "nixl_metadata")
      result_.nixl_metadata = read_text(key_, value);
    else if (key_ == "notification_key")
      result_.notification_key = read_text(key_, value);
    else if (key_ == "operation_kind")
      result_.operation_kind =
          static_cast<OperationKind>(read_number(key_, value, 1, 2));
    else if (key_ == "descriptors")
      refuse("descriptors must be an array");
    else if (key_ == "nixl_descriptor")
      refuse("nixl_descriptor must be an object");
  }

  void read_descriptor_value(Scalar& value) {
    SerializedDescriptor& descriptor = result_.descriptors.back();
    if (key_ == "device")
      descriptor.device = read_device(name(), value);
    else if (key_ == "ptr")
      descriptor.ptr = read_number(name(), value, 1);
    else
      descriptor.size = read_number(name(), value, 0);
  }

  void read_media_value(Scalar& value) {
    if (key_ == "addr")
      media_->address = read_number(name(), value, 1);
    else if (key_ == "size")
      media_->size = read_number(name(), value, 0);
    else if (key_ == "mem_type")
      media_->memory_type = read_text(name(), value);
    else if (key_ == "device_id")
      media_->device_id = read_number(name(), value, 0);
  }

  RdmaMetadata result_;
  std::optional<MediaDescriptor> media_;
  std::optional<std::string> unknown_key_;  // the first one
  Place place_ = Place::kStart;
  std::string key_;
  Place resumed_place_ = Place::kStart;  // when what is skipped ends
  std::size_t skipped_depth_ = 0;
};

}  // namespace

RdmaMetadata RdmaMetadata::from_json(std::string_view json) {
  if (json.size() > wire::kMaxJsonBytes)
    refuse("it is longer than " + std::to_string(wire::kMaxJsonBytes >> 20) + " MiB");
  if (auto plain = wire::read_plain_envelope(json)) return *std::move(plain);
  EnvelopeReader reader;
  nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &reader);
  return std::move(reader).result();
}

}  // namespace nixl_connect
