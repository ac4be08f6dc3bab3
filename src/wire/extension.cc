// SPDX-License-Identifier: Apache-2.0
//
// Fields, salt and checksum of the extension.
#include "wire/extension.h"

#include <zlib.h>

#include <algorithm>

#include "nixl_connect/error.h"
#include "wire/fields.h"
#include "wire/utf8.h"

namespace nixl_connect::wire {
namespace {

enum FieldType : std::uint16_t {
  kSalt = 1,
  kInstance = 2,
  kLease = 3,
  kLibraryVersion = 4,
  kUcxVersion = 5,
  kLeaseTable = 6,
  kExports = 7,
  kPlace = 8,
  kGpuExports = 9,
  kOrderedGpuExports = 10,
  kProcess = 11,
  kWhyNotExported = 12,
  kConnection = 13,
  kEarlyWrites = 14,
  kGivesKeys = 15,
  kServes = 16,
};

constexpr std::size_t kFieldHeadBytes = 2 + 4;
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kExportBytes = 3 * 8 + 4;
constexpr std::size_t kPlaceBytes = sizeof(base::Place::boot) + 8 + 8 + 4;
static_assert(15 * kFieldHeadBytes + 1 + sizeof(InstanceId) + 3 * 8 +
                  kMaxWordRkeyBytes + 2 * kMaxVersionBytes + 2 * 4 + 8 +
                  kMaxExports * kExportBytes + kPlaceBytes + kReadyEventBytes +
                  kMaxGpuExportsBytes + sizeof(ProcessId) + kMaxWhyNotBytes +
                  kMaxConnectionBytes + kCrcBytes <=
              kMaxExtensionBytes);

std::uint32_t crc_of(base::BytesView bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

bool is_text(const std::string& text, std::size_t most_bytes) {
  return text.size() <= most_bytes && is_utf8(text);
}

// What makes an extension unfit for the wire; null if nothing does.
const char* defect_of(const Extension& extension) {
  if (extension.lease.token == 0) return "the lease's token is 0";
  if (extension.lease.word_rkey.size() > kMaxWordRkeyBytes)
    return "the rkey of the lease's word is too long";
  if (!is_text(extension.library_version, kMaxVersionBytes) ||
      !is_text(extension.ucx_version, kMaxVersionBytes))
    return "a version is too long or not UTF-8";
  if (extension.exports.size() > kMaxExports) return "there are too many exports";
  if (!is_text(extension.why_not_exported, kMaxWhyNotBytes))
    return "why memory is not exported is told at too great length, or not in UTF-8";
  if (extension.connection.size() > kMaxConnectionBytes)
    return "the worker address is too long";
  return defect_of(extension.gpu_exports);
}

base::Bytes salted(base::BytesView bytes, std::byte salt) {
  base::Bytes result(bytes.begin(), bytes.end());
  for (std::byte& byte : result) byte ^= salt;
  return result;
}

base::Bytes encode_lease(const LeaseRecord& lease) {
  base::Writer out;
  out.u64(lease.id);
  out.u64(lease.token);
  out.u64(lease.word_address);
  out.raw(lease.word_rkey);
  return std::move(out).take();
}

base::Bytes encode_table(const LeaseTable& table) {
  base::Writer out;
  out.u32(table.pid);
  out.u32(table.fd);
  out.u64(table.word_offset);
  return std::move(out).take();
}

base::Bytes encode_exports(const std::vector<Export>& exports) {
  base::Writer out;
  for (const Export& each : exports) {
    out.u64(each.id);
    out.u64(each.address);
    out.u64(each.size);
    out.u32(each.fd);
  }
  return std::move(out).take();
}

base::Bytes encode_place(const base::Place& place) {
  base::Writer out;
  out.raw(place.boot);
  out.u64(place.pid_namespace);
  out.u64(place.network_namespace);
  out.u32(place.user);
  return std::move(out).take();
}

base::Bytes encode_salted(const Extension& extension, std::byte salt) {
  base::Writer out;
  const auto add = [&](FieldType type, base::BytesView value) {
    append_field(out, type, salted(value, salt));
  };
  if (salt != std::byte{0}) append_field(out, kSalt, {&salt, 1});
  add(kInstance, extension.instance);
  add(kLease, encode_lease(extension.lease));
  for (const auto& [type, text] :
       {std::pair{kLibraryVersion, &extension.library_version},
        std::pair{kUcxVersion, &extension.ucx_version}})
    if (!text->empty()) add(type, base::as_view(*text));
  if (extension.lease_table) add(kLeaseTable, encode_table(*extension.lease_table));
  if (!extension.exports.empty()) add(kExports, encode_exports(extension.exports));
  if (extension.place) add(kPlace, encode_place(*extension.place));
  if (extension.ready)
    add(kOrderedGpuExports,
        encode_ordered_gpu_exports(*extension.ready, extension.gpu_exports));
  else if (!extension.gpu_exports.empty())
    add(kGpuExports, encode_gpu_exports(extension.gpu_exports));
  if (extension.process) add(kProcess, *extension.process);
  if (!extension.why_not_exported.empty())
    add(kWhyNotExported, base::as_view(extension.why_not_exported));
  if (!extension.connection.empty()) add(kConnection, extension.connection);
  if (extension.allows_early_writes) add(kEarlyWrites, {});
  if (extension.gives_keys) add(kGivesKeys, {});
  if (extension.serves) add(kServes, {});
  out.u32(crc_of(out.bytes()));
  return std::move(out).take();
}

bool decode_lease(base::BytesView value, LeaseRecord& lease) {
  base::Reader reader(value);
  const auto id = reader.u64();
  const auto token = reader.u64();
  const auto word_address = reader.u64();
  if (!word_address) return false;
  lease = {*id, *token, *word_address, {reader.rest().begin(), reader.rest().end()}};
  return true;
}

bool decode_table(base::BytesView value, std::optional<LeaseTable>& table) {
  base::Reader reader(value);
  const auto pid = reader.u32();
  const auto fd = reader.u32();
  const auto word_offset = reader.u64();
  if (!word_offset) return false;
  table = {*pid, *fd, *word_offset};
  return true;
}

bool decode_exports(base::BytesView value, std::vector<Export>& exports) {
  if (value.size() % kExportBytes != 0 || value.size() / kExportBytes > kMaxExports)
    return false;
  base::Reader reader(value);
  while (!reader.is_empty()) {
    Export& each = exports.emplace_back();
    each.id = *reader.u64();
    each.address = *reader.u64();
    each.size = *reader.u64();
    each.fd = *reader.u32();
  }
  return true;
}

bool decode_place(base::BytesView value, std::optional<base::Place>& place) {
  if (value.size() < kPlaceBytes) return false;
  base::Reader reader(value);
  base::Place& found = place.emplace();
  const base::BytesView boot = *reader.raw(found.boot.size());
  std::copy(boot.begin(), boot.end(), found.boot.begin());
  found.pid_namespace = *reader.u64();
  found.network_namespace = *reader.u64();
  found.user = *reader.u32();
  return true;
}

bool fill(base::BytesView value, std::array<std::byte, 16>& number) {
  if (value.size() != number.size()) return false;
  std::copy(value.begin(), value.end(), number.begin());
  return true;
}

// Puts fields where they belong, and knows which have been seen.
class Assembly {
 public:
  bool add(const Field& field) {
    const base::Bytes value = salted(field.value, salt_);
    switch (field.type) {
      case kSalt:
        if (field.value.size() != 1) return false;
        salt_ = field.value[0];
        return true;
      case kInstance:
        has_instance_ = true;
        return fill(value, extension_.instance);
      case kLease:
        has_lease_ = true;
        return decode_lease(value, extension_.lease);
      case kLibraryVersion:
        extension_.library_version = base::as_text(value);
        return true;
      case kUcxVersion:
        extension_.ucx_version = base::as_text(value);
        return true;
      case kLeaseTable:
        return decode_table(value, extension_.lease_table);
      case kExports:
        return decode_exports(value, extension_.exports);
      case kPlace:
        return decode_place(value, extension_.place);
      case kGpuExports:
        return decode_gpu_exports(value, extension_.gpu_exports);
      case kOrderedGpuExports:
        return decode_ordered_gpu_exports(value, extension_.ready,
                                          extension_.gpu_exports);
      case kProcess:
        return fill(value, extension_.process.emplace());
      case kWhyNotExported:
        extension_.why_not_exported = base::as_text(value);
        return true;
      case kConnection:
        extension_.connection = value;
        return true;
      case kEarlyWrites:
        extension_.allows_early_writes = true;
        return true;
      case kGivesKeys:
        extension_.gives_keys = true;
        return true;
      case kServes:
        extension_.serves = true;
        return true;
      default:
        return true;
    }
  }

  std::optional<Extension> result() && {
    if (!has_instance_ || !has_lease_ || defect_of(extension_) != nullptr)
      return std::nullopt;
    return std::move(extension_);
  }

 private:
  Extension extension_;
  std::byte salt_{};
  bool has_instance_ = false;
  bool has_lease_ = false;
};

}  // namespace

base::Bytes encode(const Extension& extension) {
  if (const char* defect = defect_of(extension))
    throw Error(ErrorKind::kInvalidArgument,
                std::string("metadata for a peer cannot be made: ") + defect);
  for (unsigned salt = 0; salt < 256; ++salt) {
    base::Bytes data = encode_salted(extension, static_cast<std::byte>(salt));
    if (base::as_text(data).find(kForbiddenText) == std::string_view::npos) return data;
  }
  throw Error(ErrorKind::kInvalidArgument,
              "metadata for a peer cannot be made: no salt keeps \"NIXLCOMM:\" out");
}

std::optional<Extension> decode_extension(base::BytesView data) {
  if (data.size() < kCrcBytes || data.size() > kMaxExtensionBytes) return std::nullopt;
  const base::BytesView fields = data.first(data.size() - kCrcBytes);
  if (base::Reader(data.last(kCrcBytes)).u32() != crc_of(fields)) return std::nullopt;
  base::Reader reader(fields);
  Assembly assembly;
  while (!reader.is_empty()) {
    const auto field = take_field(reader);
    if (!field || !assembly.add(*field)) return std::nullopt;
  }
  return std::move(assembly).result();
}

}  // namespace nixl_connect::wire
