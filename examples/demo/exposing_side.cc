// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "demo/exposing_side.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "demo/report.h"
#include "demo/sha256.h"
#include "nixl_connect/connector.h"
#include "peer_process.h"

namespace demo {
namespace {

using nixl_connect::Connector;
using nixl_connect::Descriptor;
using nixl_connect::tools::Json;
using nixl_connect::tools::PeerProcess;

// Follows one transfer of the copying side to its end.
Row follow(PeerProcess& copier, std::size_t total) {
  Progress progress(total);
  while (true) {
    const Json line = copier.receive();
    if (line.contains("error")) {
      throw std::runtime_error("the copying process failed: " +
                               line.at("error").get<std::string>());
    }
    const std::string direction = line.at("direction");
    const std::size_t bytes = line.at("bytes");
    progress.show(direction, bytes);
    if (line.contains("seconds")) {
      progress.finish();
      return {direction, bytes, line.at("seconds"), line.at("path")};
    }
  }
}

// Exposes `source` for reading and `result` for writing, and has another process copy
// the one into itself and from there into the other.
std::vector<Row> move_through_other_process(const std::vector<std::byte>& source,
                                            std::vector<std::byte>& result) {
  Connector connector;
  std::cout << "transport " << connector.transport() << "\n";
  const auto readable = Descriptor::read_only(source.data(), source.size());
  auto greeting = connector.create_readable(
      readable.slice(0, std::min<std::size_t>(8, source.size())));
  auto reading = connector.create_readable(readable);
  auto writing = connector.create_writable({result.data(), result.size()});

  PeerProcess copier({nixl_connect::tools::own_program(), "--copying-side"});
  std::cout << "exposing process " << ::getpid() << ", copying process " << copier.id()
            << std::endl;
  copier.send({{"greeting", greeting.metadata().to_json()},
               {"read", reading.metadata().to_json()},
               {"write", writing.metadata().to_json()}});
  std::vector<Row> rows{follow(copier, greeting.descriptors().at(0).size()),
                        follow(copier, source.size()), follow(copier, result.size())};
  for (nixl_connect::Operation* operation :
       std::initializer_list<nixl_connect::Operation*>{&greeting, &reading, &writing}) {
    operation->wait();
  }
  return rows;
}

}  // namespace

int run_exposing_side(const Source& source) {
  std::cout << "moving " << source.name << ", " << readable_size(source.bytes.size())
            << "\n";
  std::vector<std::byte> result(source.bytes.size());
  print_table(move_through_other_process(source.bytes, result));

  const std::string expected = sha256(source.bytes);
  const std::string found = sha256(result);
  std::cout << "\nSHA-256 of the source  " << expected << "\nSHA-256 of the result  "
            << found << std::endl;
  if (found == expected) return 0;
  throw std::runtime_error("the result differs from the source");
}

}  // namespace demo
