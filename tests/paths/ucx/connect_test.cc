// SPDX-License-Identifier: Apache-2.0
//
// Worker addresses that cannot be connected to: damaged, of a dead process, of a host
// that does not answer.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/unique_fd.h"
#include "nixl_connect/error.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

ErrorKind refusal_of(Session& session, base::BytesView address) {
  try {
    session.worker.connect(address, nullptr);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "accepted";
  return ErrorKind::kInternal;
}

TEST(Connect, RefusesAnAddressOfAnUnknownVersion) {
  Session session;
  base::Bytes garbage = session.worker.address();
  EXPECT_EQ(refusal_of(session, {}), ErrorKind::kInvalidArgument);
  for (unsigned version = 2; version < 16; ++version) {
    garbage[0] = std::byte{0x20} | std::byte(version);
    EXPECT_EQ(refusal_of(session, garbage), ErrorKind::kInvalidArgument) << version;
  }
}

// UCX takes addresses without their length: the end must not be read past.
TEST(Connect, SurvivesEveryTruncation) {
  Peer peer;
  Session session;
  for (std::size_t size = 0; size < peer.address().size(); ++size) {
    const base::BytesView truncated = base::BytesView(peer.address()).first(size);
    try {
      session.worker.close(session.worker.connect(truncated, nullptr));
    } catch (const Error&) {
      continue;
    }
  }
  EXPECT_NO_THROW(session.worker.connect(peer.address(), nullptr));
}

// UCX finds out at once, or when it progresses.
std::string failure_of_connecting(Session& session, base::BytesView address) {
  std::string failure;
  try {
    Endpoint& endpoint = session.worker.connect(
        address, [&](const std::string& cause) { failure = cause; });
    endpoint.send(20, base::Bytes(1));
    session.run_until([&] { return !failure.empty(); });
    session.worker.close(endpoint);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDisconnected);
    failure = error.what();
  }
  return failure;
}

std::ptrdiff_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

TEST(Connect, TellsOfADeadPeer) {
  Peer peer;
  peer.process().kill();
  Session session;
  EXPECT_NE(failure_of_connecting(session, peer.address()), "");
}

// UCX keeps a socket of a try that it refuses until its worker ends.
TEST(Connect, ToADeadPeerAgainAndAgainKeepsNoSockets) {
  Peer peer;
  peer.process().kill();
  Session session;
  EXPECT_NE(failure_of_connecting(session, peer.address()), "");
  const std::ptrdiff_t before = open_files();
  for (int i = 0; i < 50; ++i)
    EXPECT_NE(failure_of_connecting(session, peer.address()), "");
  EXPECT_LE(open_files(), before + 2);  // a second try is made after a second
}

// Of the TCP sockets that a process listens at, as 16 bits in network order.
std::set<std::uint16_t> listening_ports(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::set<std::string> sockets;
  for (const auto& file : std::filesystem::directory_iterator(folder + "/fd"))
    sockets.insert(std::filesystem::read_symlink(file).string());
  std::set<std::uint16_t> ports;
  std::ifstream table(folder + "/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::array<std::string, 10> word;  // 1: local address, 3: state, 9: inode
    for (std::string& each : word) words >> each;
    const bool is_listening = word[3] == "0A";
    if (is_listening && sockets.count("socket:[" + word[9] + "]") != 0)
      ports.insert(htons(static_cast<std::uint16_t>(
          std::stoul(word[1].substr(word[1].find(':') + 1), nullptr, 16))));
  }
  return ports;
}

// A port that neither accepts nor refuses: what would connect to it is left waiting.
class DeafPort {
 public:
  DeafPort() {
    EXPECT_EQ(::bind(listener_.get(), generic(), sizeof(address_)), 0);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(::getsockname(listener_.get(), generic(), &size), 0);
    EXPECT_EQ(::listen(listener_.get(), 0), 0);
    for (const base::UniqueFd& waiting : waiting_)
      static_cast<void>(::connect(waiting.get(), generic(), sizeof(address_)));
  }
  std::uint16_t number() const noexcept { return address_.sin_port; }

 private:
  sockaddr* generic() noexcept { return reinterpret_cast<sockaddr*>(&address_); }

  static base::UniqueFd open() {
    return base::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  }

  sockaddr_in address_{.sin_family = AF_INET,
                       .sin_port = 0,
                       .sin_addr = {htonl(INADDR_LOOPBACK)},
                       .sin_zero = {}};
  base::UniqueFd listener_ = open();
  std::array<base::UniqueFd, 4> waiting_{open(), open(), open(), open()};
};

TEST(Connect, DoesNotWaitForAPeerThatDoesNotAnswer) {
  Peer peer;
  const DeafPort deaf;
  base::Bytes address = peer.address();
  const auto replacement = std::bit_cast<std::array<std::byte, 2>>(deaf.number());
  int replaced = 0;
  for (const std::uint16_t port : listening_ports(peer.process().pid())) {
    const auto bytes = std::bit_cast<std::array<std::byte, 2>>(port);
    const auto at =
        std::search(address.begin(), address.end(), bytes.begin(), bytes.end());
    if (at == address.end()) continue;
    std::copy(replacement.begin(), replacement.end(), at);
    ++replaced;
  }
  ASSERT_GT(replaced, 0);

  Session session;
  const auto start = std::chrono::steady_clock::now();
  session.worker.close(session.worker.connect(address, nullptr));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(Refusals, LastLongerEachTimeUntilAConnectionSucceeds) {
  const base::Bytes address(8, std::byte{7});
  Refusals refusals;
  Refusals::Clock::time_point now;
  const auto is_refused = [&](Refusals::Clock::duration later) {
    try {
      refusals.check(address, now + later);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kDisconnected);
      return true;
    }
    return false;
  };
  using namespace std::chrono_literals;
  EXPECT_FALSE(is_refused(0s));
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    refusals.add(address, "nobody is there", now);
    EXPECT_TRUE(is_refused(pause - 1ms)) << pause.count();
    EXPECT_FALSE(is_refused(pause)) << pause.count();
  }
  refusals.forget(address);
  EXPECT_FALSE(is_refused(0s));
}

TEST(Refusals, RemembersTheLatestOnly) {
  const auto address = [](unsigned i) {
    return base::Bytes{std::byte(i & 0xff), std::byte(i >> 8)};
  };
  Refusals refusals;
  const Refusals::Clock::time_point now;
  for (unsigned i = 0; i < 1000; ++i)
    refusals.add(address(i), "", now + std::chrono::milliseconds(i));
  EXPECT_NO_THROW(refusals.check(address(743), now));
  EXPECT_THROW(refusals.check(address(744), now), Error);
  EXPECT_THROW(refusals.check(address(999), now), Error);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
