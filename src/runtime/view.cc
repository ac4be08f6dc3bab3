// SPDX-License-Identifier: Apache-2.0
#include "runtime/view.h"

#include <string>

#include "base/lease_over.h"
#include "nixl_connect/error.h"
#include "runtime/exports.h"
#include "runtime/peers.h"

namespace nixl_connect::runtime {
namespace {

[[noreturn]] void cannot_view(const std::string& why) {
  throw Error(ErrorKind::kUnsupported, why);
}

}  // namespace

std::shared_ptr<const View> map_view(Peer& peer, const RemoteAgent& agent,
                                     std::span<const RemoteRange> ranges) {
  const auto& extension = agent.extension();
  if (!extension) cannot_view("a NIXL agent's memory can only be read");
  // Over UCX alone, the loss of a connection would free memory that is looked at.
  if (peer.channel == nullptr)
    cannot_view(
        "only a peer on the same host, of the same user and network namespace, can "
        "be viewed, and this one is none, or gone; read from it instead");
  if (peer.leases.is_valid(*extension) == false)
    throw Error(ErrorKind::kCancelled, base::lease_over_text());
  auto view = std::make_shared<View>();
  view->bytes.reserve(ranges.size());
  ExportFinder exports(extension->exports);
  const wire::Export* exported = nullptr;
  for (const RemoteRange& range : ranges) {
    if (range.size == 0) {
      view->bytes.emplace_back();
      continue;
    }
    const wire::Export* const found = exports.find(range.address, range.size);
    if (found == nullptr)
      cannot_view(
          "this memory cannot be mapped: expose memory from Connector::allocate() "
          "(nixl_connect.empty()), at most " +
          std::to_string(wire::kMaxExports) + " pieces of it, or read it instead");
    if (found != exported) {
      exported = found;
      auto map =
          peer.memory.map(peer.pid(), *exported, base::SharedMemory::Access::kRead);
      if (!map)
        cannot_view(
            "the peer's memory is gone, or this process may not look into that one "
            "(/proc/<pid>/fd); read from it instead");
      view->maps.push_back(std::move(map));
    }
    view->bytes.emplace_back(
        view->maps.back()->data() + (range.address - exported->address), range.size);
  }
  return view;
}

}  // namespace nixl_connect::runtime
