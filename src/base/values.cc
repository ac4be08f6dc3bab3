// SPDX-License-Identifier: Apache-2.0
//
// Bodies of the public value types: errors, devices, descriptors, enumerations.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "nixl_connect/descriptor.h"
#include "nixl_connect/device.h"
#include "nixl_connect/error.h"
#include "nixl_connect/operation.h"

namespace nixl_connect {
namespace {

constexpr std::string_view kInvalid = "<invalid>";

std::string strip_and_lower(std::string_view text) {
  const auto is_blank = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

[[noreturn]] void refuse_device(std::string_view text) {
  throw Error(ErrorKind::kInvalidArgument,
              "no device is called \"" + std::string(text) +
                  "\"; say \"cpu\", \"cuda\", \"cuda:1\" or \"xpu:2\"");
}

DeviceKind kind_from_name(std::string_view name) noexcept {
  if (name == "cpu" || name == "host") return DeviceKind::kHost;
  if (name == "cuda" || name == "gpu") return DeviceKind::kCuda;
  if (name == "xpu") return DeviceKind::kXpu;
  return DeviceKind::kUnspecified;
}

}  // namespace

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "invalid argument";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kNoResources:
      return "no resources";
    case ErrorKind::kDisconnected:
      return "disconnected";
    case ErrorKind::kTimedOut:
      return "timed out";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kInternal:
      return "internal";
  }
  return kInvalid;
}

std::string_view to_string(DeviceKind kind) noexcept {
  switch (kind) {
    case DeviceKind::kHost:
      return "cpu";
    case DeviceKind::kCuda:
      return "cuda";
    case DeviceKind::kXpu:
      return "xpu";
    case DeviceKind::kUnspecified:
      break;
  }
  return kInvalid;
}

std::string_view to_string(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::kRead:
      return "READ";
    case OperationKind::kWrite:
      return "WRITE";
    case OperationKind::kUnspecified:
      break;
  }
  return kInvalid;
}

std::string_view to_string(OperationStatus status) noexcept {
  switch (status) {
    case OperationStatus::kInitialized:
      return "INIT";
    case OperationStatus::kInProgress:
      return "PROC";
    case OperationStatus::kComplete:
      return "DONE";
    case OperationStatus::kCancelled:
      return "STOP";
    case OperationStatus::kErrored:
      return "ERR";
    case OperationStatus::kUninitialized:
      break;
  }
  return kInvalid;
}

Device::Device(DeviceKind kind, int id) : kind_(kind), id_(id) {
  if (kind == DeviceKind::kUnspecified || id < 0)
    refuse_device(std::string(nixl_connect::to_string(kind)) + ":" +
                  std::to_string(id));
  if (kind == DeviceKind::kHost) id_ = 0;
}

Device::Device(std::string_view text) {
  const std::string name = strip_and_lower(text);
  const std::size_t colon = name.find(':');
  kind_ = kind_from_name(std::string_view(name).substr(0, colon));
  if (kind_ == DeviceKind::kUnspecified) refuse_device(text);
  if (colon == std::string::npos) return;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + colon + 1, end, id_);
  if (error != std::errc() || stop != end || id_ < 0) refuse_device(text);
  if (kind_ == DeviceKind::kHost) id_ = 0;
}

std::string to_string(const Device& device) {
  std::string name(to_string(device.kind()));
  if (device.kind() != DeviceKind::kHost) name += ":" + std::to_string(device.id());
  return name;
}

Descriptor::Descriptor(void* address, std::size_t size, Device device,
                       std::shared_ptr<const void> owner)
    : address_(reinterpret_cast<std::uintptr_t>(address)),
      size_(size),
      device_(device),
      owner_(std::move(owner)) {
  if (size_ > UINTPTR_MAX - address_)
    throw Error(ErrorKind::kInvalidArgument,
                "a descriptor of " + std::to_string(size) +
                    " bytes does not fit behind its address; check pointer and size");
}

Descriptor Descriptor::read_only(const void* address, std::size_t size, Device device,
                                 std::shared_ptr<const void> owner) {
  // Never written through: is_read_only_ makes every writing use an error.
  Descriptor result(const_cast<void*>(address), size, device, std::move(owner));
  result.is_read_only_ = true;
  return result;
}

Descriptor Descriptor::slice(std::size_t offset, std::size_t size) const {
  if (offset > size_ || size > size_ - offset)
    throw Error(ErrorKind::kInvalidArgument,
                "bytes " + std::to_string(offset) + " to " + std::to_string(offset) +
                    "+" + std::to_string(size) + " reach outside a descriptor of " +
                    std::to_string(size_) + " bytes");
  Descriptor result = *this;
  result.address_ += offset;
  result.size_ = size;
  return result;
}

}  // namespace nixl_connect
