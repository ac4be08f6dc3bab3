// SPDX-License-Identifier: Apache-2.0
#include "wire/extension.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "wire/fields.h"
#include "wire/samples.h"

namespace nixl_connect::wire {
namespace {

base::Bytes with_crc(base::Bytes fields) {
  base::Writer out;
  out.raw(fields);
  out.u32(static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(fields.data()), fields.size())));
  return std::move(out).take();
}

base::Bytes fields_of(const Extension& extension) {
  base::Bytes data = encode(extension);
  data.resize(data.size() - 4);
  return data;
}

TEST(Extension, SurvivesTheRoundTrip) {
  Samples samples(3);
  for (int i = 0; i < 500; ++i) {
    Extension extension = samples.extension();
    ASSERT_TRUE(extension.lease_table);
    if (i % 2 == 0) extension.lease_table.reset();
    if (i % 3 == 0) extension.place.reset();
    const base::Bytes data = encode(extension);
    EXPECT_LE(data.size(), kMaxExtensionBytes);
    EXPECT_EQ(decode_extension(data), extension);
  }
}

TEST(Extension, HasTheBytesThatItsHeaderDescribes) {
  Extension extension;
  extension.instance.fill(std::byte{0xab});
  extension.library_version = "0.1";
  extension.lease = {1, 2, 3, bytes_of("k")};
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            "020010000000abababababababababababababababab"
            "0300190000000100000000000000020000000000000003000000000000006b"
            "040003000000302e31");
  extension.lease_table = LeaseTable{0x0a, 0x0b, 0x1122334455667788};
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            "020010000000abababababababababababababababab"
            "0300190000000100000000000000020000000000000003000000000000006b"
            "040003000000302e31"
            "0600100000000a0000000b0000008877665544332211");
  extension.lease_table.reset();
  extension.exports = {{1, 2, 3, 4}};
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            "020010000000abababababababababababababababab"
            "0300190000000100000000000000020000000000000003000000000000006b"
            "040003000000302e31"
            "07001c00000001000000000000000200000000000000030000000000000004000000");
  extension.exports.clear();
  extension.place = base::Place{{}, 1, 2, 3};
  extension.place->boot.fill(std::byte{0xcd});
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            "020010000000abababababababababababababababab"
            "0300190000000100000000000000020000000000000003000000000000006b"
            "040003000000302e31"
            "080024000000cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
            "0100000000000000020000000000000003000000");
}

TEST(Extension, NamesExportsUpToALimit) {
  Extension extension = Samples(7).extension();
  extension.exports.clear();
  const base::Bytes without = fields_of(extension);
  for (std::size_t i = 0; i < kMaxExports; ++i)
    extension.exports.push_back({UINT64_MAX - i, i, 2 * i, UINT32_MAX});
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  extension.exports.push_back({});
  EXPECT_THROW(encode(extension), Error);
  // Parts of one, or too many, are refused as a whole.
  constexpr std::size_t kExportBytes = 3 * 8 + 4;
  for (std::size_t size = 0; size <= (kMaxExports + 1) * kExportBytes; ++size) {
    base::Writer cut;
    cut.raw(without);
    append_field(cut, 7, base::Bytes(size, std::byte{1}));
    EXPECT_EQ(decode_extension(with_crc(std::move(cut).take())).has_value(),
              size % kExportBytes == 0 && size <= kMaxExports * kExportBytes)
        << size;
  }
}

TEST(Export, CoversWhatLiesInItAndNothingThatWrapsAround) {
  const Export exported{1, 1000, 100, 2};
  EXPECT_TRUE(exported.covers(1000, 100));
  EXPECT_TRUE(exported.covers(1099, 1));
  EXPECT_TRUE(exported.covers(1100, 0));
  EXPECT_FALSE(exported.covers(999, 1));
  EXPECT_FALSE(exported.covers(1099, 2));
  EXPECT_FALSE(exported.covers(1000, UINT64_MAX));
  EXPECT_FALSE(exported.covers(UINT64_MAX, 1000));
}

TEST(Extension, NamesALeaseTableOrNone) {
  Extension extension = Samples(6).extension();
  extension.lease_table.reset();
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  const base::Bytes without = fields_of(extension);
  extension.lease_table = LeaseTable{1, 2, 3};
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  extension.lease_table = LeaseTable{UINT32_MAX, UINT32_MAX, UINT64_MAX};
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  // Half a table is no table: such a record is refused as a whole.
  constexpr std::size_t kTableBytes = 4 + 4 + 8;
  for (std::size_t size = 0; size <= kTableBytes; ++size) {
    base::Writer cut;
    cut.raw(without);
    append_field(cut, 6, base::Bytes(size, std::byte{1}));
    EXPECT_EQ(decode_extension(with_crc(std::move(cut).take())).has_value(),
              size == kTableBytes)
        << size;
  }
}

TEST(Extension, NamesItsPlaceOrNone) {
  Extension extension = Samples(6).extension();
  extension.place.reset();
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  const base::Bytes without = fields_of(extension);
  // Part of a place is none.
  constexpr std::size_t kPlaceBytes = 16 + 8 + 8 + 4;
  for (std::size_t size = 0; size <= kPlaceBytes; ++size) {
    base::Writer cut;
    cut.raw(without);
    append_field(cut, 8, base::Bytes(size, std::byte{1}));
    EXPECT_EQ(decode_extension(with_crc(std::move(cut).take())).has_value(),
              size == kPlaceBytes)
        << size;
  }
}

TEST(Extension, SaltsTheLeaseTableLikeTheRest) {
  Extension extension = Samples(10).extension();
  extension.lease.word_rkey = bytes_of("NIXLCOMM:");
  const base::Bytes data = encode(extension);
  ASSERT_EQ(base::as_text(data).find("NIXLCOMM:"), std::string_view::npos);
  EXPECT_EQ(decode_extension(data), extension);
}

TEST(Extension, IsAbsentWhenAnyBitIsFlipped) {
  const base::Bytes data = encode(Samples(4).extension());
  for (std::size_t bit = 0; bit < 8 * data.size(); ++bit) {
    base::Bytes damaged = data;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_extension(damaged)) << "bit " << bit;
  }
}

TEST(Extension, IsAbsentWhenCutOrTooLarge) {
  const base::Bytes data = encode(Samples(5).extension());
  for (std::size_t size = 0; size < data.size(); ++size)
    EXPECT_FALSE(decode_extension(base::BytesView(data).first(size))) << size;
  base::Writer large;
  large.raw(fields_of(Samples(5).extension()));
  append_field(large, 99, base::Bytes(kMaxExtensionBytes));
  EXPECT_FALSE(decode_extension(with_crc(std::move(large).take())));
}

TEST(Extension, SkipsUnknownFields) {
  const Extension extension = Samples(6).extension();
  base::Writer out;
  append_field(out, 99, bytes_of("from the future"));
  out.raw(fields_of(extension));
  append_field(out, 0, {});
  EXPECT_EQ(decode_extension(with_crc(std::move(out).take())), extension);
}

TEST(Extension, IsAbsentWithoutItsRequiredFields) {
  base::Writer no_lease;
  append_field(no_lease, 2, base::Bytes(16));
  EXPECT_FALSE(decode_extension(with_crc(no_lease.bytes())));
  base::Writer no_instance;
  append_field(no_instance, 3, base::Bytes(24, std::byte{1}));
  EXPECT_FALSE(decode_extension(with_crc(no_instance.bytes())));
  base::Writer no_token = no_lease;
  append_field(no_token, 3, base::Bytes(24));
  EXPECT_FALSE(decode_extension(with_crc(no_token.bytes())));
  base::Writer complete = no_lease;
  append_field(complete, 3, base::Bytes(24, std::byte{1}));
  EXPECT_TRUE(decode_extension(with_crc(complete.bytes())));
}

TEST(Extension, IsAbsentWhenAFieldReachesOutside) {
  base::Writer out;
  out.raw(fields_of(Samples(7).extension()));
  out.u16(99);
  out.u32(0xffffffff);
  EXPECT_FALSE(decode_extension(with_crc(std::move(out).take())));
}

TEST(Extension, SaltKeepsTheForbiddenTextOut) {
  Extension extension = Samples(8).extension();
  extension.library_version = "NIXLCOMM:";
  extension.ucx_version = "OHYMBNLL;";  // what a salt of 1 would turn into it
  extension.lease.word_rkey = bytes_of("......NIXLCOMM:NIXLCOMM:");
  const base::Bytes data = encode(extension);
  EXPECT_EQ(base::as_text(data).find("NIXLCOMM:"), std::string_view::npos);
  EXPECT_EQ(decode_extension(data), extension);
}

TEST(Extension, RefusesContentBeyondItsLimits) {
  Extension extension = Samples(9).extension();
  extension.lease.word_rkey.assign(kMaxWordRkeyBytes, std::byte{7});
  extension.ucx_version.assign(kMaxVersionBytes, '1');
  EXPECT_EQ(decode_extension(encode(extension)), extension);

  Extension long_key = extension;
  long_key.lease.word_rkey.emplace_back();
  expect_error(ErrorKind::kInvalidArgument, "too long", [&] { encode(long_key); });
  Extension long_version = extension;
  long_version.ucx_version += '1';
  expect_error(ErrorKind::kInvalidArgument, "version", [&] { encode(long_version); });
  Extension no_token = extension;
  no_token.lease.token = 0;
  expect_error(ErrorKind::kInvalidArgument, "token", [&] { encode(no_token); });
}

}  // namespace
}  // namespace nixl_connect::wire
