// SPDX-License-Identifier: Apache-2.0
//
// NIXL's container, which holds metadata and notifications alike:
//
//   "nixlSerDes|"  record*
//   record: tag (fixed text, may be empty) | u64 length | that many bytes | '|'
//
// Nothing but the expected tag tells what a record is: the order is the schema. Values;
// no threads. The reader takes hostile bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace nixl_connect::wire {

class RecordWriter {
 public:
  RecordWriter();

  void add(std::string_view tag, base::BytesView value);
  void add(std::string_view tag, std::string_view value);
  void add_u64(std::string_view tag, std::uint64_t value);

  base::Bytes take() && { return std::move(out_).take(); }

 private:
  base::Writer out_;
};

// Each read consumes one record, or throws Error(kInvalidArgument) that says where and
// what was found instead. The values returned lie in the container.
class RecordReader {
 public:
  // `what` names the container in errors ("NIXL metadata").
  RecordReader(std::string_view what, base::BytesView container);

  base::BytesView read(std::string_view tag);
  base::BytesView read(std::string_view tag, std::size_t exact_size);
  std::uint64_t read_u64(std::string_view tag);

  // A record whose value is always the same.
  void expect(std::string_view tag, std::string_view value);

  // A count of things that follow, each of at least one record.
  std::uint64_t read_count(std::string_view tag);

  base::BytesView rest() const noexcept { return reader_.rest(); }

  // Throws for the record that was read last.
  [[noreturn]] void refuse(std::string_view why) const;

 private:
  [[noreturn]] void refuse_tag(std::string_view expected) const;

  std::string_view what_;
  std::size_t size_;
  base::Reader reader_;
  std::string_view tag_;    // of the last record
  std::size_t offset_ = 0;  // of the last record
};

}  // namespace nixl_connect::wire
