// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "demo/copying_side.h"

#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "nixl_connect/connector.h"
#include "peer_process.h"

namespace demo {
namespace {

using nixl_connect::Connector;
using nixl_connect::Descriptor;
using nixl_connect::RdmaMetadata;
using nixl_connect::tools::Json;
using nixl_connect::tools::ParentProcess;

constexpr std::chrono::milliseconds kProgressInterval{50};

// Runs one transfer, which `begin` starts, and tells the parent how it goes.
template <typename Begin>
void transfer(const std::string& direction, ParentProcess& parent, const Begin& begin) {
  const auto start = std::chrono::steady_clock::now();
  auto operation = begin();
  while (!operation.wait_for(kProgressInterval)) {
    parent.send({{"direction", direction}, {"bytes", operation.bytes_transferred()}});
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  if (operation.status() != nixl_connect::OperationStatus::kComplete) {
    throw std::runtime_error("the " + direction + " was cancelled");
  }
  parent.send({{"direction", direction},
               {"bytes", operation.bytes_transferred()},
               {"seconds", time.count()},
               {"path", operation.path()}});
}

void copy(const Json& order, ParentProcess& parent) {
  const auto metadata = [&](const char* name) {
    return RdmaMetadata::from_json(order.at(name).get<std::string>());
  };
  const RdmaMetadata greeting = metadata("greeting");
  const RdmaMetadata source = metadata("read");
  const RdmaMetadata target = metadata("write");
  std::vector<std::byte> copied(source.descriptors.at(0).size);
  const Descriptor memory(copied.data(), copied.size());

  Connector connector;
  transfer("greeting", parent, [&] {
    return connector.begin_read(greeting,
                                memory.slice(0, greeting.descriptors.at(0).size));
  });
  transfer("read", parent, [&] { return connector.begin_read(source, memory); });
  transfer("write", parent, [&] { return connector.begin_write(memory, target); });
}

}  // namespace

int run_copying_side() {
  ParentProcess parent;
  const auto order = parent.receive();
  if (!order) return 1;
  try {
    copy(*order, parent);
    return 0;
  } catch (const std::exception& error) {
    parent.send({{"error", error.what()}});
    return 1;
  }
}

}  // namespace demo
