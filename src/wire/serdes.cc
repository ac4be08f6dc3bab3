// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing NIXL's container, with errors that a person can act on.
#include "wire/serdes.h"

#include <algorithm>
#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::wire {
namespace {

constexpr std::string_view kMagic = "nixlSerDes|";
constexpr std::string_view kEnd = "|";
constexpr std::size_t kMinRecordBytes = 8 + 1;  // of an empty tag and value

// `bytes` as quoted text, with \xNN for what cannot be printed.
std::string quoted(base::BytesView bytes) {
  std::string text = "\"";
  for (const std::byte byte : bytes) {
    const auto character = static_cast<char>(byte);
    if (character >= ' ' && character <= '~')
      text += character;
    else
      text += "\\x" + base::to_hex({&byte, 1});
  }
  return text + '"';
}

}  // namespace

RecordWriter::RecordWriter() { out_.raw(kMagic); }

void RecordWriter::add(std::string_view tag, base::BytesView value) {
  out_.raw(tag);
  out_.u64(value.size());
  out_.raw(value);
  out_.raw(kEnd);
}

void RecordWriter::add(std::string_view tag, std::string_view value) {
  add(tag, base::as_view(value));
}

void RecordWriter::add_u64(std::string_view tag, std::uint64_t value) {
  base::Writer number;
  number.u64(value);
  add(tag, number.bytes());
}

RecordReader::RecordReader(std::string_view what, base::BytesView container)
    : what_(what), size_(container.size()), reader_(container) {
  const auto magic = reader_.raw(kMagic.size());
  if (!magic || base::as_text(*magic) != kMagic)
    throw Error(ErrorKind::kInvalidArgument,
                "these bytes are no " + std::string(what_) +
                    ": expected \"nixlSerDes|\" at byte 0, found " +
                    quoted(container.first(std::min(size_, kMagic.size()))));
}

base::BytesView RecordReader::read(std::string_view tag) {
  offset_ = size_ - reader_.rest().size();
  tag_ = tag;
  const auto found = base::as_text(reader_.rest()).substr(0, tag.size());
  if (found != tag) refuse_tag(tag);
  reader_.raw(tag.size());
  const auto length = reader_.u64();
  if (!length) refuse("breaks off before its length");
  const auto value = reader_.raw(*length);
  if (!value)
    refuse("says it has " + std::to_string(*length) + " bytes, of which only " +
           std::to_string(reader_.rest().size()) + " are there");
  const auto end = reader_.raw(kEnd.size());
  if (!end || base::as_text(*end) != kEnd) refuse("does not end with \"|\"");
  return *value;
}

base::BytesView RecordReader::read(std::string_view tag, std::size_t exact_size) {
  const base::BytesView value = read(tag);
  if (value.size() != exact_size)
    refuse("has " + std::to_string(value.size()) + " bytes instead of " +
           std::to_string(exact_size));
  return value;
}

std::uint64_t RecordReader::read_u64(std::string_view tag) {
  return *base::Reader(read(tag, sizeof(std::uint64_t))).u64();
}

void RecordReader::expect(std::string_view tag, std::string_view value) {
  const base::BytesView found = read(tag);
  if (base::as_text(found) != value)
    refuse("holds " + quoted(found.first(std::min(found.size(), value.size()))) +
           " instead of \"" + std::string(value) + '"');
}

std::uint64_t RecordReader::read_count(std::string_view tag) {
  const std::uint64_t count = read_u64(tag);
  if (count > reader_.rest().size() / kMinRecordBytes)
    refuse("counts " + std::to_string(count) + " entries, more than the " +
           std::to_string(reader_.rest().size()) + " bytes behind it can hold");
  return count;
}

void RecordReader::refuse(std::string_view why) const {
  throw Error(ErrorKind::kInvalidArgument,
              std::string(what_) +
                  " is damaged, or in another NIXL dialect: record \"" +
                  std::string(tag_) + "\" at byte " + std::to_string(offset_) + ' ' +
                  std::string(why));
}

void RecordReader::refuse_tag(std::string_view expected) const {
  const base::BytesView rest = reader_.rest();
  throw Error(
      ErrorKind::kInvalidArgument,
      std::string(what_) + ": peer speaks another NIXL dialect: expected tag \"" +
          std::string(expected) + "\" at byte " + std::to_string(offset_) + ", found " +
          quoted(rest.first(std::min(rest.size(), expected.size()))));
}

}  // namespace nixl_connect::wire
