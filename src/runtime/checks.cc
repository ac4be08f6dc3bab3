// SPDX-License-Identifier: Apache-2.0
#include "runtime/checks.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

constexpr std::string_view kHostDevice = "cpu";

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kInvalidArgument, message);
}

std::string position(std::size_t index, std::size_t count) {
  return count == 1 ? "the descriptor" : "descriptor " + std::to_string(index);
}

void check_device(const Device& device) {
  if (device.kind() != DeviceKind::kHost && device.kind() != DeviceKind::kCuda)
    throw Error(ErrorKind::kUnsupported,
                "memory of " + to_string(device) +
                    " cannot be moved by this version, which moves memory of the host "
                    "(cpu) and of NVIDIA's GPUs (cuda)");
}

bool covers(const wire::Region& region, const SerializedDescriptor& descriptor) {
  const std::uint64_t offset = descriptor.ptr - region.address;
  return descriptor.ptr >= region.address && offset <= region.size &&
         descriptor.size <= region.size - offset;
}

// The region that covers it; null if none does.
const wire::Region* region_of(const SerializedDescriptor& descriptor,
                              const Device& device, const RemoteAgent& agent) {
  if (device.kind() != DeviceKind::kCuda)
    return agent.find(descriptor.ptr, descriptor.size);
  const wire::Region* const found =
      agent.find(descriptor.ptr, descriptor.size, wire::MemoryType::kVram);
  const bool is_there =
      found != nullptr && found->device_id == static_cast<std::uint64_t>(device.id());
  return is_there ? found : nullptr;
}

// What differs from the first, of those that have bytes.
[[noreturn]] void refuse_gpus(const Device& first, const Device& other) {
  refuse("descriptors of " + to_string(first) + " and of " + to_string(other) +
         "; one operation takes one GPU, so make an operation for each");
}

// One of several that does not fit; made only to say why.
[[noreturn]] void refuse_descriptor(std::span<const Descriptor> descriptors,
                                    std::size_t index) {
  const Descriptor& descriptor = descriptors[index];
  const auto kind = [](const Descriptor& each) {
    return std::string(to_string(each.device().kind()));
  };
  if (descriptor.device().kind() != descriptors[0].device().kind())
    refuse("descriptor " + std::to_string(index) + " is of device kind " +
           kind(descriptor) + ", descriptor 0 of " + kind(descriptors[0]) +
           "; one operation takes one kind, so make an operation for each");
  if (descriptor.ptr() == 0 && descriptor.size() != 0)
    refuse(position(index, descriptors.size()) + " has a null pointer and a size of " +
           std::to_string(descriptor.size()) + " bytes");
  refuse(position(index, descriptors.size()) +
         " is read-only and cannot be the target of a transfer");
}

// `likely`, if it is not null, is asked first: ranges mostly follow each other.
const wire::GpuExport* export_of(const RemoteRange& range,
                                 std::span<const wire::GpuExport> exports,
                                 const wire::GpuExport* likely) {
  const auto covers = [&](const wire::GpuExport& each) {
    return each.covers(range.address, range.size);
  };
  if (likely != nullptr && covers(*likely)) return likely;
  const auto found = std::find_if(exports.begin(), exports.end(), covers);
  return found == exports.end() ? nullptr : &*found;
}

}  // namespace

// Of thousands, so everything is looked at once.
void check_descriptors(std::span<const Descriptor> descriptors, Access access) {
  if (descriptors.empty()) refuse("an operation needs at least one descriptor");
  const DeviceKind kind = descriptors[0].device().kind();
  const bool is_target = access == Access::kWritesLocal;
  const Device* gpu = nullptr;    // of the first that has bytes
  const Device* other = nullptr;  // and of one that differs
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const Descriptor& each = descriptors[i];
    if (each.device().kind() != kind || (each.ptr() == 0 && each.size() != 0) ||
        (each.is_read_only() && is_target))
      refuse_descriptor(descriptors, i);
    if (each.size() == 0) continue;
    if (gpu == nullptr) gpu = &each.device();
    if (each.device().id() != gpu->id()) other = &each.device();
  }
  check_device(descriptors[0].device());
  if (kind == DeviceKind::kCuda && other != nullptr) refuse_gpus(*gpu, *other);
}

void check_metadata(const RdmaMetadata& remote, OperationKind kind) {
  if (remote.operation_kind != kind)
    refuse("the metadata is of a " + std::string(to_string(remote.operation_kind)) +
           " operation and cannot be used for a " + std::string(to_string(kind)));
  if (remote.descriptors.empty()) refuse("the metadata names no descriptors");
  if (remote.nixl_metadata.empty()) refuse("the metadata has no nixl_metadata");
  if (remote.notification_key.empty()) refuse("the metadata has no notification_key");
}

void check_transfer(const RdmaMetadata& remote, OperationKind kind,
                    std::span<const Descriptor> local) {
  check_metadata(remote, kind);
  if (remote.descriptors.size() != local.size())
    refuse("the metadata names " + std::to_string(remote.descriptors.size()) +
           " descriptors, but " + std::to_string(local.size()) +
           " local ones were given; they must match one to one");
  for (std::size_t i = 0; i < local.size(); ++i)
    if (remote.descriptors[i].size != local[i].size())
      refuse(position(i, local.size()) + " has " + std::to_string(local[i].size()) +
             " bytes here and " + std::to_string(remote.descriptors[i].size) +
             " at the peer; use slice() to make them equal");
  check_descriptors(
      local, kind == OperationKind::kRead ? Access::kWritesLocal : Access::kReadsLocal);
}

void check_transfer(const RemotePages& remote, OperationKind kind, const Pages& local) {
  check_metadata(remote.memory(), kind);
  const PageIndices& theirs = remote.indices();
  const PageIndices& ours = local.indices();
  const auto text_of = [](const PageIndices& pages) {
    return std::to_string(pages.count()) + " of " + std::to_string(pages.page_bytes()) +
           " bytes";
  };
  if (theirs.count() != ours.count() || theirs.page_bytes() != ours.page_bytes())
    refuse("the pages of the peer's memory, " + text_of(theirs) + ", and the local, " +
           text_of(ours) + ", must match one to one");
  check_descriptors(local.memory(), kind == OperationKind::kRead ? Access::kWritesLocal
                                                                 : Access::kReadsLocal);
}

RemoteRanges resolve(const RdmaMetadata& remote, const RemoteAgent& agent) {
  RemoteRanges ranges;
  // Of thousands it is mostly the same; to read it takes longer than all else here.
  std::string_view name = kHostDevice;
  Device device;
  const wire::Region* last = nullptr;  // in which the range before lies
  ranges.reserve(remote.descriptors.size());
  for (const SerializedDescriptor& descriptor : remote.descriptors) {
    if (descriptor.device != name) {
      device = Device(descriptor.device);
      check_device(device);
      name = descriptor.device;
      last = nullptr;
    }
    RemoteRange range{descriptor.ptr, descriptor.size};
    if (descriptor.size != 0) {
      if (last == nullptr || !covers(*last, descriptor))
        last = region_of(descriptor, device, agent);
      range.region = last;
      if (range.region == nullptr)
        refuse("the metadata names " + std::to_string(descriptor.size) +
               " bytes that agent " + agent.name() +
               " has not exposed; ask the peer for new metadata");
      if (range.is_of_gpu() && agent.extension())
        range.gpu_export =
            export_of(range, agent.extension()->gpu_exports,
                      ranges.empty() ? nullptr : ranges.back().gpu_export);
    }
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace nixl_connect::runtime
