// SPDX-License-Identifier: Apache-2.0
//
// The smallest reading program: example_reader PORT gets the metadata from the exposing
// program (expose.cc) that listens on that port of this host, and reads its memory.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "nixl_connect/connector.h"

namespace {

int check(int result) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), "socket");
  return result;
}

// The line that the program listening on `port` of this host sends.
std::string fetch_line(int port) {
  const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  const int connection = check(::socket(AF_INET, SOCK_STREAM, 0));
  check(::connect(connection, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address));
  std::string line;
  char letter = 0;
  while (::recv(connection, &letter, 1, 0) == 1 && letter != '\n') line += letter;
  ::close(connection);
  return line;
}

void read(int port) {
  nixl_connect::Connector connector;
  const auto remote = nixl_connect::RdmaMetadata::from_json(fetch_line(port));
  std::string text(remote.descriptors.at(0).size, '\0');
  auto read = connector.begin_read(remote, {text.data(), text.size()});
  read.wait();  // Throws if the other process dies before all bytes are here.
  std::cout << "read " << read.bytes_transferred() << " bytes by " << read.path()
            << ": " << text << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) throw std::invalid_argument("usage: example_reader PORT");
  read(std::atoi(argv[1]));
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
