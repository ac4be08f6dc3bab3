// SPDX-License-Identifier: Apache-2.0
//
// One Connector as a program, for tests that pair it with a peer in another language:
// each line on standard input is a command, each gets one line of JSON as its answer on
// standard output. It runs on one thread and ends with its input. peers.py drives it.
//
//   command  takes                                            answers
//   open     worker_id?                                       name, transport
//   allocate buffer, size, seed                               address
//   expose   op, kind, buffer, pieces, readers?, timeout_ms?,
//            hex?, owned?                                     metadata
//   begin    op, kind, buffer, pieces, metadata, timeout_ms?  remote
//   wait     op, timeout_ms                                   status, bytes, path,
//                                                             failure?, failure_kind?
//   cancel   op
//   drop     op
//   digest   buffer, pieces                                   inside, outside
//   close
//
// `kind` is READ or WRITE; `pieces` is a list of [offset, size] inside a buffer. A
// command that fails answers {"error": text, "error_kind": word}.
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nixl_connect/connector.h"

namespace nixl_connect {
namespace {

using Json = nlohmann::json;
using Memory = std::vector<std::byte>;
using Pieces = std::vector<std::pair<std::size_t, std::size_t>>;

// A buffer whose bytes follow from (size, seed).
std::shared_ptr<Memory> patterned(std::size_t size, std::uint64_t seed) {
  auto memory = std::make_shared<Memory>(size);
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(memory->data() + at, &word, std::min(sizeof word, size - at));
  }
  return memory;
}

// crc32 of the pieces one after another.
std::uint32_t checksum(const Memory& memory, const Pieces& pieces) {
  uLong crc = crc32(0, nullptr, 0);
  for (const auto& [offset, size] : pieces) {
    const auto* bytes = reinterpret_cast<const Bytef*>(memory.data() + offset);
    crc = crc32_z(crc, bytes, size);
  }
  return static_cast<std::uint32_t>(crc);
}

// What the pieces, which do not overlap, leave of `size` bytes.
Pieces complement(Pieces pieces, std::size_t size) {
  std::sort(pieces.begin(), pieces.end());
  Pieces rest;
  std::size_t end = 0;
  for (const auto& [offset, length] : pieces) {
    rest.emplace_back(end, offset - end);
    end = offset + length;
  }
  rest.emplace_back(end, size - end);
  return rest;
}

OperationOptions options_of(const Json& command) {
  OperationOptions options;
  if (command.contains("timeout_ms")) {
    options.timeout = std::chrono::milliseconds(command.at("timeout_ms"));
  }
  options.readers = command.value("readers", options.readers);
  return options;
}

class Peer {
 public:
  Json answer(const Json& command);

 private:
  Json open(const Json& command);
  Json allocate(const Json& command);
  Json expose(const Json& command);
  Json begin(const Json& command);
  Json wait(const Json& command);
  Json cancel(const Json& command);
  Json drop(const Json& command);
  Json digest(const Json& command);
  Json close(const Json& command);

  std::shared_ptr<Memory> buffer(const Json& command) const;
  std::vector<Descriptor> descriptors(const Json& command) const;

  std::map<std::string, std::shared_ptr<Memory>> buffers_;
  std::optional<Connector> connector_;
  std::map<std::string, Operation> operations_;
};

Json Peer::answer(const Json& command) {
  static const std::map<std::string, Json (Peer::*)(const Json&), std::less<>>
      commands = {{"open", &Peer::open},     {"allocate", &Peer::allocate},
                  {"expose", &Peer::expose}, {"begin", &Peer::begin},
                  {"wait", &Peer::wait},     {"cancel", &Peer::cancel},
                  {"drop", &Peer::drop},     {"digest", &Peer::digest},
                  {"close", &Peer::close}};
  return (this->*commands.at(command.at("do").get<std::string>()))(command);
}

Json Peer::open(const Json& command) {
  ConnectorOptions options = ConnectorOptions::from_environment();
  if (command.contains("worker_id")) {
    options.worker_id = command.at("worker_id").get<std::string>();
  }
  connector_.emplace(std::move(options));
  return {{"name", connector_->name()}, {"transport", connector_->transport()}};
}

Json Peer::allocate(const Json& command) {
  auto& memory = buffers_[command.at("buffer")];
  memory.reset();  // The new buffer may take the place of the old one.
  memory = patterned(command.at("size"), command.at("seed"));
  return {{"address", reinterpret_cast<std::uintptr_t>(memory->data())}};
}

Json Peer::expose(const Json& command) {
  const auto exposed = descriptors(command);
  const OperationOptions options = options_of(command);
  const auto keep = [&](PassiveOperation operation) {
    const RdmaMetadata metadata = operation.metadata(command.value("hex", false));
    operations_.insert_or_assign(command.at("op"), std::move(operation));
    return Json{{"metadata", metadata.to_json()}};
  };
  return command.at("kind") == "READ"
             ? keep(connector_.value().create_readable(exposed, options))
             : keep(connector_.value().create_writable(exposed, options));
}

Json Peer::begin(const Json& command) {
  const auto local = descriptors(command);
  const auto remote =
      RdmaMetadata::from_json(command.at("metadata").get<std::string>());
  const OperationOptions options = options_of(command);
  const auto keep = [&](ActiveOperation operation) {
    Json started{{"remote", operation.remote()}};
    operations_.insert_or_assign(command.at("op"), std::move(operation));
    return started;
  };
  return command.at("kind") == "READ"
             ? keep(connector_.value().begin_read(remote, local, options))
             : keep(connector_.value().begin_write(local, remote, options));
}

Json Peer::wait(const Json& command) {
  Operation& operation = operations_.at(command.at("op"));
  Json outcome;
  try {
    // Whether it ended is in the status.
    (void)operation.wait_for(std::chrono::milliseconds(command.at("timeout_ms")));
  } catch (const Error& error) {
    outcome["failure"] = error.what();
    outcome["failure_kind"] = to_string(error.kind());
  }
  outcome["status"] = to_string(operation.status());
  outcome["bytes"] = operation.bytes_transferred();
  outcome["path"] = operation.path();
  return outcome;
}

Json Peer::cancel(const Json& command) {
  operations_.at(command.at("op")).cancel();
  return Json::object();
}

Json Peer::drop(const Json& command) {
  operations_.erase(command.at("op").get<std::string>());
  return Json::object();
}

Json Peer::digest(const Json& command) {
  const auto memory = buffer(command);
  const Pieces pieces = command.at("pieces");
  return {{"inside", checksum(*memory, pieces)},
          {"outside", checksum(*memory, complement(pieces, memory->size()))}};
}

Json Peer::close(const Json&) {
  connector_.value().close();
  return Json::object();
}

std::shared_ptr<Memory> Peer::buffer(const Json& command) const {
  return buffers_.at(command.at("buffer"));
}

// With "owned": slices of one descriptor that owns the whole buffer. Without: one
// descriptor for each piece, which owns nothing.
std::vector<Descriptor> Peer::descriptors(const Json& command) const {
  const auto memory = buffer(command);
  const bool owned = command.value("owned", true);
  const Descriptor whole(memory->data(), memory->size(), {}, memory);
  std::vector<Descriptor> list;
  for (const auto& [offset, size] : command.at("pieces").get<Pieces>()) {
    list.push_back(owned ? whole.slice(offset, size)
                         : Descriptor(memory->data() + offset, size));
  }
  return list;
}

// Never throws, so that a test sees what went wrong with its command.
Json answer_line(Peer& peer, const std::string& line) {
  try {
    return peer.answer(Json::parse(line));
  } catch (const Error& error) {
    return {{"error", error.what()}, {"error_kind", to_string(error.kind())}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}, {"error_kind", "malformed command"}};
  }
}

}  // namespace
}  // namespace nixl_connect

int main() {
  nixl_connect::Peer peer;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << nixl_connect::answer_line(peer, line).dump() << std::endl;
  }
  return 0;
}
