// SPDX-License-Identifier: Apache-2.0
//
// Uses the installed package: opens a Connector, exposes memory, closes. Run by ctest
// as Install.ConsumerBuildsAndRuns.
#include <nixl_connect/connector.h>

#include <iostream>
#include <vector>

int main() {
  std::vector<char> bytes(4096);
  nixl_connect::Connector connector;
  const nixl_connect::Descriptor source(bytes.data(), bytes.size());
  auto readable = connector.create_readable(source);
  std::cout << "nixl_connect " << nixl_connect::version() << " over "
            << connector.transport() << ": metadata of "
            << readable.metadata().to_json().size() << " bytes\n";
  connector.close();
  return readable.status() == nixl_connect::OperationStatus::kCancelled ? 0 : 1;
}
