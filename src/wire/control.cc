// SPDX-License-Identifier: Apache-2.0
//
// Control messages: a table of members per body, and one encoder and one decoder that
// walk it. The number of a field is its place in the table, from 1, and tables only
// ever grow at the end; that of a kind is its own for ever.
#include "wire/control.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "nixl_connect/error.h"
#include "wire/fields.h"
#include "wire/utf8.h"

namespace nixl_connect::wire {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::size_t kMaxFields = 9;

template <typename Body>
constexpr std::nullptr_t kMembers = nullptr;
template <>
constexpr std::tuple kMembers<Hello>{&Hello::agent, &Hello::connection,
                                     &Hello::library_version, &Hello::ucx_version};
template <>
constexpr std::tuple kMembers<Attach>{&Attach::operation, &Attach::lease,
                                      &Attach::token, &Attach::access};
template <>
constexpr std::tuple kMembers<Grant>{&Grant::operation};
template <>
constexpr std::tuple kMembers<Done>{&Done::operation, &Done::lease,  &Done::status,
                                    &Done::bytes,     &Done::reason, &Done::path};
template <>
constexpr std::tuple kMembers<Revoke>{&Revoke::operation, &Revoke::reason};
template <>
constexpr std::tuple kMembers<Fetch>{&Fetch::lease, &Fetch::token, &Fetch::what};
template <>
constexpr std::tuple kMembers<FetchedRegion>{&FetchedRegion::what,
                                             &FetchedRegion::is_granted};

template <>
constexpr std::tuple kMembers<AskKeys>{&AskKeys::operation, &AskKeys::lease,
                                       &AskKeys::token, &AskKeys::first};
template <>
constexpr std::tuple kMembers<Keys>{&Keys::operation,  &Keys::first, &Keys::count,
                                    &Keys::connection, &Keys::keys,  &Keys::why_not};
template <>
constexpr std::tuple kMembers<Serve>{
    &Serve::operation,  &Serve::lease,      &Serve::token,
    &Serve::count,      &Serve::exposed,    &Serve::ranges,
    &Serve::may_use_sm, &Serve::max_blocks, &Serve::first};
template <>
constexpr std::tuple kMembers<NotServed>{&NotServed::operation, &NotServed::reason,
                                         &NotServed::is_over};

// 8 is of no kind.
template <typename Body>
constexpr std::uint8_t kKind = 0;
template <>
constexpr std::uint8_t kKind<Hello> = 1;
template <>
constexpr std::uint8_t kKind<Attach> = 2;
template <>
constexpr std::uint8_t kKind<Grant> = 3;
template <>
constexpr std::uint8_t kKind<Done> = 4;
template <>
constexpr std::uint8_t kKind<Revoke> = 5;
template <>
constexpr std::uint8_t kKind<Fetch> = 6;
template <>
constexpr std::uint8_t kKind<FetchedRegion> = 7;
template <>
constexpr std::uint8_t kKind<AskKeys> = 9;
template <>
constexpr std::uint8_t kKind<Keys> = 10;
template <>
constexpr std::uint8_t kKind<Serve> = 11;
template <>
constexpr std::uint8_t kKind<NotServed> = 12;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::kInvalidArgument, "control message from a peer: " + why);
}

// One write and one read for each type a member has. read() gives false for bytes that
// no write() makes.
void write(base::Writer& out, std::uint64_t value) { out.u64(value); }
// Enumerations and bool.
template <typename Choice>
concept IsChoice = std::is_enum_v<Choice> || std::is_same_v<Choice, bool>;
void write(base::Writer& out, IsChoice auto value) {
  out.u8(static_cast<std::uint8_t>(value));
}
void write(base::Writer& out, const base::Bytes& value) { out.raw(value); }
void write(base::Writer& out, const std::string& value) {
  if (value.size() <= kMaxTextBytes && is_utf8(value))
    out.raw(value);
  else
    out.raw(bounded_utf8(value, kMaxTextBytes));
}
void write(base::Writer& out, const std::vector<MemoryKey>& keys) {
  for (const MemoryKey& each : keys) {
    out.u64(each.address);
    out.u64(each.size);
    append_with_length(out, [&] { out.raw(each.rkey); });
  }
}
void write(base::Writer& out, const std::vector<ServedRange>& ranges) {
  for (const ServedRange& each : ranges) {
    out.u64(each.address);
    out.u64(each.asker_address);
    out.u64(each.size);
  }
}

bool read(base::BytesView bytes, std::uint64_t& value) {
  value = base::Reader(bytes).u64().value_or(0);
  return bytes.size() == sizeof(value);
}
constexpr AccessKind last_of(AccessKind) { return AccessKind::kView; }
constexpr DoneStatus last_of(DoneStatus) { return DoneStatus::kFailed; }
constexpr bool last_of(bool) { return true; }
bool read(base::BytesView bytes, IsChoice auto& value) {
  const std::uint8_t number = base::Reader(bytes).u8().value_or(0);
  if (bytes.size() != 1 || number > static_cast<std::uint8_t>(last_of(value)))
    return false;
  value = static_cast<std::remove_reference_t<decltype(value)>>(number);
  return true;
}
bool read(base::BytesView bytes, base::Bytes& value) {
  value.assign(bytes.begin(), bytes.end());
  return true;
}
bool read(base::BytesView bytes, std::string& value) {
  value = base::as_text(bytes.first(std::min(bytes.size(), kMaxTextBytes)));
  return bytes.size() <= kMaxTextBytes && is_utf8(value);
}

bool read(base::BytesView bytes, std::vector<MemoryKey>& keys) {
  base::Reader reader(bytes);
  while (!reader.is_empty()) {
    const auto address = reader.u64();
    const auto size = reader.u64();
    const auto length = reader.u32();
    const auto rkey = length ? reader.raw(*length) : std::nullopt;
    if (!rkey || keys.size() == kMaxKeys) return false;
    keys.push_back({*address, *size, {rkey->begin(), rkey->end()}});
  }
  return true;
}
bool read(base::BytesView bytes, std::vector<ServedRange>& ranges) {
  constexpr std::size_t kRangeBytes = 3 * sizeof(std::uint64_t);
  const std::size_t count = bytes.size() / kRangeBytes;
  if (bytes.size() % kRangeBytes != 0 || count > kMaxServedRangesInMessage)
    return false;
  base::Reader reader(bytes);
  ranges.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    ServedRange& each = ranges.emplace_back();
    each.address = *reader.u64();
    each.asker_address = *reader.u64();
    each.size = *reader.u64();
  }
  return true;
}

template <typename Body>
void encode_body(base::Writer& out, const Body& body) {
  std::uint16_t type = 0;
  const auto add = [&](auto member) {
    append_field(out, ++type, [&] { write(out, body.*member); });
  };
  std::apply([&](auto... members) { (add(members), ...); }, kMembers<Body>);
}

void encode_to(base::Writer& out, const ControlMessage& message) {
  out.u8(kVersion);
  std::visit(
      [&]<typename Body>(const Body& body) {
        out.u8(kKind<Body>);
        out.raw(base::BytesView(message.sender));
        encode_body(out, body);
      },
      message.body);
}

void check_size(std::size_t size) {
  if (size > kMaxControlBytes)
    throw Error(ErrorKind::kInvalidArgument,
                "a control message of " + std::to_string(size) + " bytes exceeds " +
                    std::to_string(kMaxControlBytes));
}

using Fields = std::array<std::optional<base::BytesView>, kMaxFields>;

Fields read_fields(base::Reader& reader) {
  Fields fields;
  while (!reader.is_empty()) {
    const auto field = take_field(reader);
    if (!field) refuse("a field reaches outside");
    if (field->type >= 1 && field->type <= kMaxFields)
      fields.at(field->type - 1U) = field->value;
  }
  return fields;
}

template <typename Body>
ControlBody decode_body(const Fields& fields) {
  Body body;
  std::size_t index = 0;
  const auto fill = [&](auto member) {
    const auto& field = fields.at(index++);
    if (!field) refuse("field " + std::to_string(index) + " is missing");
    if (!read(*field, body.*member))
      refuse("field " + std::to_string(index) + " has a value it cannot have");
  };
  std::apply([&](auto... members) { (fill(members), ...); }, kMembers<Body>);
  return body;
}

// Null: of no kind.
using Decoder = ControlBody (*)(const Fields&);
template <typename... Bodies>
Decoder decoder_of(std::uint8_t kind, const std::variant<Bodies...>*) {
  Decoder found = nullptr;
  (void)((kind == kKind<Bodies> && (found = &decode_body<Bodies>) != nullptr) || ...);
  return found;
}

}  // namespace

base::Bytes encode(const ControlMessage& message) {
  base::Writer out;
  encode_to(out, message);
  check_size(out.bytes().size());
  return std::move(out).take();
}

void append_to_payload(base::Bytes& payload, const ControlMessage& message) {
  const std::size_t before = payload.size();
  base::Writer out(std::move(payload));
  append_with_length(out, [&] { encode_to(out, message); });
  payload = std::move(out).take();
  const std::size_t size = payload.size() - before - sizeof(std::uint32_t);
  if (size > kMaxControlBytes) payload.resize(before);
  check_size(size);
}

std::vector<base::BytesView> split_payload(base::BytesView payload) {
  std::vector<base::BytesView> messages;
  base::Reader reader(payload);
  while (!reader.is_empty()) {
    const auto length = reader.u32();
    const auto message = length ? reader.raw(*length) : std::nullopt;
    if (!message) refuse("its length reaches outside the payload");
    messages.push_back(*message);
  }
  return messages;
}

ControlMessage decode_control(base::BytesView payload) {
  if (payload.size() > kMaxControlBytes) refuse("too long");
  base::Reader reader(payload);
  const auto version = reader.u8();
  const auto kind = reader.u8();
  const auto sender = reader.raw(sizeof(InstanceId));
  if (!sender) refuse("shorter than its head");
  if (version != kVersion)
    refuse("version " + std::to_string(*version) + " is unknown");
  const Decoder decode = decoder_of(*kind, static_cast<const ControlBody*>(nullptr));
  if (decode == nullptr) refuse("kind " + std::to_string(*kind) + " is unknown");
  ControlMessage message;
  std::copy(sender->begin(), sender->end(), message.sender.begin());
  message.body = decode(read_fields(reader));
  return message;
}

}  // namespace nixl_connect::wire
