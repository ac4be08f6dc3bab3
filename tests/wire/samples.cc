// SPDX-License-Identifier: Apache-2.0
#include "wire/samples.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>

namespace nixl_connect::wire {

base::Bytes bytes_of(std::string_view text) {
  const base::BytesView view = base::as_view(text);
  return {view.begin(), view.end()};
}

base::Bytes captured(const std::string& name) {
  std::ifstream file(std::string(NIXL_CONNECT_TEST_DATA) + "/nixl/" + name + ".hex");
  if (!file) throw std::runtime_error("no captured vector is called " + name);
  base::Bytes bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    for (std::size_t i = 0; i + 1 < line.size(); i += 2)
      bytes.push_back(
          static_cast<std::byte>(std::stoul(line.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::uint64_t Samples::number(std::uint64_t max) {
  return std::uniform_int_distribution<std::uint64_t>(0, max)(random_);
}

base::Bytes Samples::bytes(std::size_t max_size) {
  base::Bytes result(number(max_size));
  for (std::byte& byte : result) byte = static_cast<std::byte>(number(255));
  return result;
}

std::string Samples::text(std::size_t max_characters) {
  constexpr std::array kCharacters{"a", "Z", "7",    "\"",     "\\", "\n",
                                   "/", "|", "\x01", "\x7f",   "é",  "€",
                                   "𝄞", ":", "\x1f", "\u0800", "{",  "\t"};
  std::string result;
  for (std::uint64_t left = number(max_characters); left > 0; --left)
    result += kCharacters.at(number(kCharacters.size() - 1));
  return result;
}

LeaseRecord Samples::lease() {
  return {number(), 1 + number(UINT64_MAX - 1), number(), bytes(200)};
}

GpuExport Samples::gpu_export(bool has_handle) {
  GpuExport exported;
  for (std::byte& byte : exported.gpu) byte = static_cast<std::byte>(number(255));
  if (has_handle)
    for (std::byte& byte : exported.handle.emplace())
      byte = static_cast<std::byte>(number(255));
  std::uint64_t address = number(UINT64_MAX / 2);
  for (std::uint64_t left = has_handle ? 1 : 1 + number(2); left > 0; --left) {
    const std::uint64_t size = 1 + number(UINT64_MAX / 8);
    exported.chunks.push_back({address, size, number(kFirstUnusedBufferId - 1)});
    address += size;
  }
  return exported;
}

Extension Samples::extension() {
  Extension extension;
  // Always there, so that each test which damages a sample damages this field, too.
  extension.lease_table =
      LeaseTable{static_cast<std::uint32_t>(number(UINT32_MAX)),
                 static_cast<std::uint32_t>(number(UINT32_MAX)), number()};
  extension.exports = {
      {number(), number(), number(), static_cast<std::uint32_t>(number(UINT32_MAX))}};
  extension.gpu_exports = {gpu_export(true), gpu_export(false)};
  for (std::byte& byte : extension.process.emplace())
    byte = static_cast<std::byte>(number(255));
  extension.why_not_exported = text(60);
  extension.gives_keys = true;
  extension.serves = true;
  base::Place& place = extension.place.emplace();
  for (std::byte& byte : place.boot) byte = static_cast<std::byte>(number(255));
  place.pid_namespace = number();
  place.network_namespace = number();
  place.user = static_cast<std::uint32_t>(number(UINT32_MAX));
  for (std::byte& byte : extension.instance) byte = static_cast<std::byte>(number(255));
  extension.connection = bytes(60);
  extension.allows_early_writes = true;
  extension.library_version = text(10);
  extension.ucx_version = text(10);
  extension.lease = lease();
  return extension;
}

Region Samples::region() {
  Region region;
  region.memory = static_cast<MemoryType>(number(4));
  region.address = number();
  region.size = number(UINT64_MAX - region.address);
  region.device_id = number(8);
  region.rkey = bytes(40);
  return region;
}

AgentMetadata Samples::agent() {
  AgentMetadata agent;
  agent.agent = "agent" + text(20);
  if (number(3) > 0) agent.connection = bytes(300);
  agent.regions.resize(number(6));
  std::generate(agent.regions.begin(), agent.regions.end(), [&] { return region(); });
  if (number(1) > 0) agent.extension = extension();
  return agent;
}

Notification Samples::notification() { return {text(20), text(40)}; }

ControlMessage Samples::control() {
  ControlMessage message;
  for (std::byte& byte : message.sender) byte = static_cast<std::byte>(number(255));
  switch (number(10)) {
    case 0:
      message.body = Hello{text(30), bytes(300), text(10), text(10)};
      break;
    case 1:
      message.body =
          Attach{number(), number(), number(), static_cast<AccessKind>(number(2))};
      break;
    case 2:
      message.body = Grant{number()};
      break;
    case 3:
      message.body = Done{number(), number(), static_cast<DoneStatus>(number(2)),
                          number(), text(60), text(30)};
      break;
    case 4:
      message.body = Fetch{number(), number(), number()};
      break;
    case 5:
      message.body = FetchedRegion{number(), number(1) == 1};
      break;
    case 6:
      message.body = AskKeys{number(), number(), number(), number()};
      break;
    case 7: {
      Keys keys{number(), number(), number(), bytes(300), {}, text(60)};
      for (std::uint64_t left = number(3); left > 0; --left)
        keys.keys.push_back({number(), number(), bytes(40)});
      message.body = keys;
      break;
    }
    case 8: {
      Serve serve{number(), number(),       number(), number(), bytes(300),
                  {},       number(1) == 1, number(), number()};
      for (std::uint64_t left = number(3); left > 0; --left)
        serve.ranges.push_back({number(), number(), number()});
      message.body = serve;
      break;
    }
    case 9:
      message.body = NotServed{number(), text(60), number(1) == 1};
      break;
    default:
      message.body = Revoke{number(), text(60)};
  }
  return message;
}

RdmaMetadata Samples::envelope() {
  RdmaMetadata metadata;
  metadata.descriptors.resize(number(5));
  for (SerializedDescriptor& descriptor : metadata.descriptors) {
    constexpr std::array kDevices{"cpu", "cuda", "cuda:3", "xpu:1"};
    descriptor = {kDevices.at(number(kDevices.size() - 1)), 1 + number(UINT64_MAX - 1),
                  number()};
  }
  metadata.nixl_metadata = text(40);
  metadata.notification_key = text(40);
  metadata.operation_kind = static_cast<OperationKind>(1 + number(1));
  return metadata;
}

}  // namespace nixl_connect::wire
