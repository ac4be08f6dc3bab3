// SPDX-License-Identifier: Apache-2.0
//
// The smallest exposing program: example_exposer PORT makes a text readable and hands
// its metadata, one line of JSON, to the first who connects. See read.cc for the other
// side.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>

#include "nixl_connect/connector.h"

namespace {

int check(int result) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), "socket");
  return result;
}

// Waits for one connection to `port` of this host; port 0 is any free one.
int accept_one(int port) {
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof address;
  auto* const any_address = reinterpret_cast<sockaddr*>(&address);
  const int listener = check(::socket(AF_INET, SOCK_STREAM, 0));
  check(::bind(listener, any_address, size));
  check(::listen(listener, 1));
  check(::getsockname(listener, any_address, &size));
  std::cout << "listening on port " << ntohs(address.sin_port) << std::endl;
  return check(::accept(listener, nullptr, nullptr));
}

void expose(int port) {
  const std::string text = "These bytes were never sent: they were fetched.";
  nixl_connect::Connector connector;
  auto readable = connector.create_readable(
      nixl_connect::Descriptor::read_only(text.data(), text.size()));
  const int connection = accept_one(port);
  const std::string line = readable.metadata().to_json() + "\n";
  check(static_cast<int>(::send(connection, line.data(), line.size(), 0)));
  readable.wait();  // Sleeps until the other process has read all of it.
  std::cout << "a peer has read: " << text << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  expose(argc > 1 ? std::atoi(argv[1]) : 0);
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
