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
    if (i % 5 == 0) extension.gpu_exports.clear();
    if (i % 7 == 0) {
      ReadyEvent& ready = extension.ready.emplace();
      ready.gpu.fill(static_cast<std::byte>(i));
      ready.handle.fill(static_cast<std::byte>(i / 2));
    }
    if (i % 11 == 0) extension.connection.clear();
    extension.allows_early_writes = i % 13 != 0;
    if (i % 13 == 0) extension.gives_keys = false;
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
  extension.allows_early_writes = true;
  EXPECT_TRUE(base::to_hex(fields_of(extension)).ends_with("302e310e0000000000"));
  extension.allows_early_writes = false;
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

TEST(Extension, HasTheBytesOfGpuExportsThatTheirHeaderDescribes) {
  Extension extension;
  extension.lease.token = 1;
  const std::string without = base::to_hex(fields_of(extension));
  GpuExport by_handle;
  by_handle.gpu.fill(std::byte{0xab});
  by_handle.chunks = {{1, 2, 3}};
  by_handle.handle.emplace().fill(std::byte{0xcd});
  GpuExport by_files;
  by_files.gpu.fill(std::byte{0xef});
  by_files.chunks = {{0x100, 0x20, 4}, {0x120, 0x30, 5}};
  extension.gpu_exports = {by_handle, by_files};
  std::string handle;
  for (std::size_t i = 0; i < by_handle.handle->size(); ++i) handle += "cd";
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            without + "0900ae000000" + "abababababababababababababababab" + "010100" +
                handle +
                "010000000000000002000000000000000300000000000000"
                "efefefefefefefefefefefefefefefef000200"
                "000100000000000020000000000000000400000000000000"
                "200100000000000030000000000000000500000000000000");
}

TEST(Extension, HasTheBytesOfOrderedGpuExportsInPlaceOfOthers) {
  Extension extension;
  extension.lease.token = 1;
  const std::string without = base::to_hex(fields_of(extension));
  GpuExport exported;
  exported.gpu.fill(std::byte{0xab});
  exported.chunks = {{1, 2, 3}};
  extension.gpu_exports = {exported};
  ReadyEvent& ready = extension.ready.emplace();
  ready.gpu.fill(std::byte{0xcd});
  ready.handle.fill(std::byte{0xef});
  std::string handle;
  for (std::size_t i = 0; i < ready.handle.size(); ++i) handle += "ef";
  EXPECT_EQ(base::to_hex(fields_of(extension)),
            without + "0a007b000000" + "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd" + handle +
                "abababababababababababababababab" + "000100" +
                "010000000000000002000000000000000300000000000000");
}

TEST(Extension, RefusesPartsOfOrderedGpuExports) {
  Extension extension = Samples(15).extension();
  extension.gpu_exports.clear();
  const base::Bytes without = fields_of(extension);
  GpuExport exported;
  exported.chunks = {{1, 2, 3}};
  const base::Bytes whole = encode_ordered_gpu_exports({}, {exported});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    base::Writer cut;
    cut.raw(without);
    append_field(cut, 10, base::BytesView(whole).first(size));
    EXPECT_EQ(decode_extension(with_crc(std::move(cut).take())).has_value(),
              size == kReadyEventBytes || size == whole.size())
        << size;
  }
}

TEST(Extension, HasTheBytesOfAProcessThatItsHeaderDescribes) {
  Extension extension;
  extension.lease.token = 1;
  EXPECT_EQ(extension.owner(), extension.instance);
  const std::string without = base::to_hex(fields_of(extension));
  extension.process.emplace().fill(std::byte{0xcd});
  extension.why_not_exported = "no";
  EXPECT_EQ(extension.owner(), *extension.process);
  EXPECT_EQ(base::to_hex(fields_of(extension)), without + "0b0010000000" +
                                                    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd" +
                                                    "0c0002000000" + "6e6f");
}

TEST(Extension, NamesAWholeProcessOrNone) {
  Extension extension = Samples(6).extension();
  extension.process.reset();
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  const base::Bytes without = fields_of(extension);
  for (std::size_t size = 0; size <= sizeof(ProcessId) + 1; ++size) {
    base::Writer cut;
    cut.raw(without);
    append_field(cut, 11, base::Bytes(size, std::byte{1}));
    EXPECT_EQ(decode_extension(with_crc(std::move(cut).take())).has_value(),
              size == sizeof(ProcessId))
        << size;
  }
}

TEST(Extension, HasTheConnectionForPeersOfOurs) {
  Extension extension;
  extension.lease.token = 1;
  const std::string without = base::to_hex(fields_of(extension));
  extension.connection = {std::byte{0xab}, std::byte{0xcd}};
  EXPECT_EQ(base::to_hex(fields_of(extension)), without + "0d0002000000abcd");
  extension.connection.assign(kMaxConnectionBytes + 1, std::byte{1});
  expect_error(ErrorKind::kInvalidArgument, "worker address is too long",
               [&] { encode(extension); });
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

std::vector<GpuChunk> side_by_side(std::size_t count) {
  std::vector<GpuChunk> chunks;
  for (std::size_t i = 0; i < count; ++i) chunks.push_back({8 * i, 8, i});
  return chunks;
}

GpuExport exported_by_files(std::size_t chunks) {
  GpuExport exported;
  exported.chunks = side_by_side(chunks);
  return exported;
}

GpuExport exported_by_handle() {
  GpuExport exported = exported_by_files(1);
  exported.handle.emplace().fill(std::byte{0x5a});
  return exported;
}

TEST(Extension, NamesGpuExportsUpToALimit) {
  Extension extension = Samples(11).extension();
  extension.gpu_exports.assign(kMaxGpuExports, exported_by_handle());
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  extension.gpu_exports.push_back(exported_by_handle());
  expect_error(ErrorKind::kInvalidArgument, "too many allocations of GPU memory",
               [&] { encode(extension); });

  extension.gpu_exports = {exported_by_files(kMaxGpuChunks)};
  EXPECT_EQ(decode_extension(encode(extension)), extension);
  extension.gpu_exports.push_back(exported_by_files(1));
  expect_error(ErrorKind::kInvalidArgument, "too many chunks of GPU memory",
               [&] { encode(extension); });
}

TEST(Extension, WithAllThatItMayHoldIsNotTooLarge) {
  Extension extension = Samples(12).extension();
  extension.lease.word_rkey.assign(kMaxWordRkeyBytes, std::byte{7});
  extension.library_version.assign(kMaxVersionBytes, '1');
  extension.ucx_version.assign(kMaxVersionBytes, '1');
  extension.why_not_exported.assign(kMaxWhyNotBytes, '1');
  extension.exports.assign(kMaxExports, {1, 2, 3, 4});
  extension.connection.assign(kMaxConnectionBytes, std::byte{8});
  extension.gpu_exports.assign(kMaxGpuExports - 1, exported_by_handle());
  extension.gpu_exports.push_back(
      exported_by_files(kMaxGpuChunks - (kMaxGpuExports - 1)));
  extension.ready.emplace();
  const base::Bytes data = encode(extension);
  EXPECT_LE(data.size(), kMaxExtensionBytes);
  EXPECT_EQ(decode_extension(data), extension);
}

// The extension with what `exports` are written as, whether they may be or not.
std::optional<Extension> decoded_with(const Extension& without,
                                      const std::vector<GpuExport>& exports) {
  base::Writer out;
  out.raw(fields_of(without));
  append_field(out, 9, encode_gpu_exports(exports));
  return decode_extension(with_crc(std::move(out).take()));
}

TEST(Extension, RefusesGpuExportsWithADefectOnBothSides) {
  Extension extension = Samples(13).extension();
  extension.gpu_exports.clear();
  const Extension without = extension;
  GpuExport handle_of_several = exported_by_handle();
  handle_of_several.chunks = side_by_side(2);
  GpuExport with_gap = exported_by_files(2);
  ++with_gap.chunks[1].address;
  GpuExport backwards = exported_by_files(2);
  std::swap(backwards.chunks[0], backwards.chunks[1]);
  GpuExport with_nothing = exported_by_files(3);
  with_nothing.chunks[2].size = 0;
  GpuExport beyond_the_end = exported_by_files(1);
  beyond_the_end.chunks[0] = {UINT64_MAX - 7, 8, 1};
  GpuExport around_the_end = exported_by_files(2);
  around_the_end.chunks = {{UINT64_MAX - 7, 7, 1}, {UINT64_MAX, 8, 2}};
  GpuExport that_cannot_be_asked_for = exported_by_files(1);
  that_cannot_be_asked_for.chunks[0].buffer_id = kFirstUnusedBufferId;
  for (const auto& [defective, words] :
       {std::pair{GpuExport(), "no chunks"},
        std::pair{handle_of_several, "several chunks"},
        std::pair{with_gap, "side by side"}, std::pair{backwards, "side by side"},
        std::pair{with_nothing, "empty"},
        std::pair{beyond_the_end, "beyond the last address"},
        std::pair{around_the_end, "beyond the last address"},
        std::pair{that_cannot_be_asked_for, "cannot be asked for"}}) {
    extension.gpu_exports = {exported_by_handle(), defective};
    expect_error(ErrorKind::kInvalidArgument, words, [&] { encode(extension); });
    EXPECT_FALSE(decoded_with(without, extension.gpu_exports)) << words;
  }
  EXPECT_TRUE(decoded_with(without, {exported_by_handle(), exported_by_files(3)}));
  std::vector<GpuExport> too_many(kMaxGpuExports + 1, exported_by_files(1));
  EXPECT_FALSE(decoded_with(without, too_many));
  too_many.pop_back();
  EXPECT_TRUE(decoded_with(without, too_many));
  EXPECT_FALSE(decoded_with(without, {exported_by_files(kMaxGpuChunks + 1)}));
  EXPECT_FALSE(
      decoded_with(without, {exported_by_files(1), exported_by_files(kMaxGpuChunks)}));
}

TEST(Extension, RefusesPartsOfGpuExports) {
  Extension extension = Samples(14).extension();
  extension.gpu_exports.clear();
  const base::Bytes without = fields_of(extension);
  const base::Bytes first = encode_gpu_exports({exported_by_handle()});
  base::Writer both;
  both.raw(first);
  both.raw(encode_gpu_exports({exported_by_files(3)}));
  const auto is_taken = [&](base::BytesView value) {
    base::Writer out;
    out.raw(without);
    append_field(out, 9, value);
    return decode_extension(with_crc(std::move(out).take())).has_value();
  };
  for (std::size_t size = 0; size <= both.bytes().size(); ++size)
    EXPECT_EQ(is_taken(base::BytesView(both.bytes()).first(size)),
              size == 0 || size == first.size() || size == both.bytes().size())
        << size;
  // A kind of export that there is not (yet).
  base::Bytes unknown = first;
  unknown[sizeof(GpuUuid)] = std::byte{2};
  EXPECT_FALSE(is_taken(unknown));
}

TEST(GpuExport, CoversWhatLiesInItAndNothingThatWrapsAround) {
  GpuExport exported;
  exported.chunks = {{1000, 100, 1}, {1100, 50, 2}};
  EXPECT_TRUE(exported.covers(1000, 150));
  EXPECT_TRUE(exported.covers(1099, 2));
  EXPECT_TRUE(exported.covers(1150, 0));
  EXPECT_FALSE(exported.covers(999, 1));
  EXPECT_FALSE(exported.covers(1149, 2));
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
  for (const std::string& text :
       {std::string(kMaxWhyNotBytes + 1, '1'), std::string("\xff")}) {
    Extension no_reason = extension;
    no_reason.why_not_exported = text;
    expect_error(ErrorKind::kInvalidArgument, "why", [&] { encode(no_reason); });
  }
  Extension no_token = extension;
  no_token.lease.token = 0;
  expect_error(ErrorKind::kInvalidArgument, "token", [&] { encode(no_token); });
}

}  // namespace
}  // namespace nixl_connect::wire
