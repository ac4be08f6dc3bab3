// SPDX-License-Identifier: Apache-2.0
//
// The records of agent metadata in their order, and our extension behind them.
#include "wire/nixl_blob.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "nixl_connect/error.h"
#include "wire/serdes.h"
#include "wire/utf8.h"

namespace nixl_connect::wire {
namespace {

constexpr std::string_view kBackend = "UCX";
constexpr std::string_view kKeylessBackend = "nixl-connect";
constexpr std::string_view kNoTag;

constexpr std::size_t kRegionHeadBytes = 3 * 8;  // of a descriptor, before its rkey

void check_agent(const std::string& agent) {
  const char* defect = nullptr;
  if (agent.empty()) defect = "is empty";
  if (!is_utf8(agent)) defect = "is not UTF-8";
  if (agent.find(kForbiddenText) != std::string::npos)
    defect =
        "contains \"NIXLCOMM:\", which NIXL's socket listener takes for a new frame";
  if (defect != nullptr)
    throw Error(ErrorKind::kInvalidArgument,
                std::string("NIXL agent metadata cannot be made: the agent name ") +
                    defect + "; choose another worker_id");
}

void add_section(RecordWriter& records, MemoryType memory, bool is_keyless,
                 std::vector<const Region*>& regions) {
  std::stable_sort(regions.begin(), regions.end(),
                   [](const Region* a, const Region* b) {
                     return std::tie(a->device_id, a->address, a->size) <
                            std::tie(b->device_id, b->address, b->size);
                   });
  records.add("bknd", is_keyless ? kKeylessBackend : kBackend);
  records.add("nixlDList", "nixlSDList");
  base::Writer type;
  type.u32(static_cast<std::uint32_t>(memory));
  records.add("t", type.bytes());
  records.add_u64("n", regions.size());
  for (const Region* region : regions) {
    base::Writer descriptor;
    descriptor.reserve(kRegionHeadBytes + region->rkey.size());
    descriptor.u64(region->address);
    descriptor.u64(region->size);
    descriptor.u64(region->device_id);
    descriptor.raw(region->rkey);
    records.add(kNoTag, descriptor.bytes());
  }
}

std::string read_agent(RecordReader& reader) {
  const std::string_view agent = base::as_text(reader.read("Agent"));
  if (agent.empty()) reader.refuse("is empty");
  if (!is_utf8(agent)) reader.refuse("is not UTF-8 text");
  return std::string(agent);
}

std::optional<base::Bytes> read_connection(RecordReader& reader) {
  const std::uint64_t count = reader.read_count("Conns");
  std::optional<base::Bytes> connection;
  for (std::uint64_t i = 0; i < count; ++i) {
    const bool is_ours = base::as_text(reader.read("t")) == kBackend;
    const base::BytesView address = reader.read("c");
    if (is_ours) connection.emplace(address.begin(), address.end());
  }
  if (count > 0 && !connection)
    throw Error(ErrorKind::kUnsupported,
                "NIXL metadata: the peer can be reached by other backends only; create "
                "its NIXL agent with the UCX backend");
  return connection;
}

Region read_region(RecordReader& reader, MemoryType memory) {
  const base::BytesView value = reader.read(kNoTag);
  if (value.size() < kRegionHeadBytes)
    reader.refuse("is too short for a memory descriptor");
  base::Reader fields(value);
  Region region;
  region.memory = memory;
  region.address = *fields.u64();
  region.size = *fields.u64();
  region.device_id = *fields.u64();
  if (region.size > UINT64_MAX - region.address)
    reader.refuse("describes memory that reaches beyond the last address");
  region.rkey.assign(fields.rest().begin(), fields.rest().end());
  return region;
}

void read_section(RecordReader& reader, std::vector<Region>& regions) {
  const std::string_view backend = base::as_text(reader.read("bknd"));
  const bool is_keyless = backend == kKeylessBackend;
  const bool is_ours = backend == kBackend || is_keyless;
  reader.expect("nixlDList", "nixlSDList");
  const std::uint32_t type = *base::Reader(reader.read("t", 4)).u32();
  const bool is_known = type <= static_cast<std::uint32_t>(MemoryType::kFile);
  const std::uint64_t count = reader.read_count("n");
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!is_ours || !is_known) {
      reader.read(kNoTag);
      continue;
    }
    regions.push_back(read_region(reader, static_cast<MemoryType>(type)));
    if (is_keyless) regions.back().rkey.clear();
  }
}

// Genuine agents ignore everything behind the last record, and so do we unless it
// begins with a record of ours.
std::optional<Extension> read_extension(base::BytesView rest) {
  base::Reader reader(rest);
  const auto tag = reader.raw(kExtensionTag.size());
  if (!tag || base::as_text(*tag) != kExtensionTag) return std::nullopt;
  const auto length = reader.u64();
  const auto data = reader.raw(length.value_or(UINT64_MAX));
  if (!data) return std::nullopt;
  return decode_extension(*data);
}

}  // namespace

base::Bytes encode(const AgentMetadata& metadata) {
  check_agent(metadata.agent);
  std::map<std::pair<MemoryType, bool>, std::vector<const Region*>> sections;
  for (const Region& region : metadata.regions)
    sections[{region.memory, region.rkey.empty()}].push_back(&region);

  RecordWriter records;
  records.add("Agent", metadata.agent);
  records.add_u64("Conns", metadata.connection ? 1 : 0);
  if (metadata.connection) {
    records.add("t", kBackend);
    records.add("c", *metadata.connection);
  }
  records.add(kNoTag, "MemSection");
  records.add_u64("nixlSecElms", sections.size());
  for (auto& [kind, regions] : sections)
    add_section(records, kind.first, kind.second, regions);
  if (metadata.extension) records.add(kExtensionTag, encode(*metadata.extension));
  return std::move(records).take();
}

AgentMetadata decode(base::BytesView blob) {
  RecordReader reader("NIXL metadata", blob);
  AgentMetadata metadata;
  metadata.agent = read_agent(reader);
  metadata.connection = read_connection(reader);
  reader.expect(kNoTag, "MemSection");
  const std::uint64_t sections = reader.read_count("nixlSecElms");
  for (std::uint64_t i = 0; i < sections; ++i) read_section(reader, metadata.regions);
  metadata.extension = read_extension(reader.rest());
  return metadata;
}

}  // namespace nixl_connect::wire
