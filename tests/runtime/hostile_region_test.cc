// SPDX-License-Identifier: Apache-2.0
//
// Peers that answer with files that are not what was asked for. The operation takes the
// next path, and no descriptor stays open.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ostream>
#include <string>
#include <vector>

#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/fake_peer.h"

namespace nixl_connect {
namespace {

using base::UniqueFd;
using testing::FakePeer;
using testing::finish;
using testing::kind_of;

constexpr std::size_t kSize = 10'000;

UniqueFd memfd(const std::string& name, off_t size, int seals) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(fd.get(), size), 0);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

void deny(const FakePeer& peer, const wire::Fetch& fetch) {
  peer.say(wire::FetchedRegion{fetch.what, false});
}
void answer_with(const FakePeer& peer, const wire::Fetch& fetch, const UniqueFd& file) {
  peer.say(wire::FetchedRegion{fetch.what, true}, file.get());
}
void answer_with_pipe(const FakePeer& peer, const wire::Fetch& fetch) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  answer_with(peer, fetch, read_end);
}
void answer_for_something_else(const FakePeer& peer, const wire::Fetch& fetch) {
  for (int i = 0; i < 50; ++i)
    peer.say(wire::FetchedRegion{fetch.what + 17 + static_cast<std::uint64_t>(i), true},
             peer.file_of(fetch.what).get());
  deny(peer, fetch);
}
void answer_twice(const FakePeer& peer, const wire::Fetch& fetch) {
  deny(peer, fetch);
  peer.grant(fetch);
}
// A file in a message of several, or of another kind.
void answer_in_company(const FakePeer& peer, const wire::Fetch& fetch) {
  const UniqueFd file = peer.file_of(fetch.what);
  const wire::FetchedRegion region{fetch.what, true};
  EXPECT_TRUE(testing::send_with_files(
      peer.socket(), peer.payload({wire::Grant{77}, region}), {file.get()}));
  EXPECT_TRUE(testing::send_with_files(peer.socket(), peer.payload({wire::Grant{77}}),
                                       {file.get()}));
  EXPECT_TRUE(testing::send_with_files(peer.socket(), base::Bytes(100, std::byte{1}),
                                       {file.get()}));
}

struct Trick {
  const char* name;
  void (*answer)(const FakePeer& peer, const wire::Fetch& fetch);
  const char* path = "host.cma";

  friend std::ostream& operator<<(std::ostream& out, const Trick& trick) {
    return out << trick.name;
  }
};

const Trick kTricks[] = {
    // Not hostile: so the harness does lead to the map.
    {"HonestFile",
     [](const FakePeer& peer, const wire::Fetch& fetch) { peer.grant(fetch); },
     "host.map"},
    {"Refusal", deny},
    {"NoFile",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       peer.say(wire::FetchedRegion{fetch.what, true});
     }},
    {"MemoryThatCanShrink",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       answer_with(peer, fetch, memfd(base::exported_name(fetch.what), kSize, 0));
     }},
    {"MemoryOfAnotherName",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       answer_with(peer, fetch,
                   memfd(base::exported_name(fetch.what + 1), kSize, F_SEAL_SHRINK));
     }},
    {"TooLittleMemory",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       answer_with(peer, fetch,
                   memfd(base::exported_name(fetch.what), kSize - 1, F_SEAL_SHRINK));
     }},
    {"NoMemory",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       answer_with(peer, fetch,
                   memfd(base::exported_name(fetch.what), 0, F_SEAL_SHRINK));
     }},
    {"Pipe", answer_with_pipe},
    {"FileOnDisk",
     [](const FakePeer& peer, const wire::Fetch& fetch) {
       answer_with(peer, fetch, UniqueFd(::open("/proc/self/exe", O_RDONLY)));
     }},
    {"SomethingElse", answer_for_something_else},
    {"FileBehindARefusal", answer_twice},
    {"FileInCompany", answer_in_company},
};

class HostileRegion : public ::testing::TestWithParam<Trick> {
 protected:
  static ConnectorOptions impatient() {
    ConnectorOptions options = testing::across_processes();
    options.drain_timeout = std::chrono::milliseconds(500);
    return options;
  }

  // Two Connectors, from their begin to their end.
  static void read_once(const Trick& trick) {
    Connector exposer(testing::across_processes());
    const Allocation memory = Connector::allocate(kSize);
    std::memset(memory.data(), 0x44, kSize);
    auto readable = exposer.create_readable(memory.descriptor(), {.readers = 5});
    FakePeer peer(testing::on_fetch([&](FakePeer& self, const wire::Fetch& fetch) {
      if (fetch.what == wire::kLeaseTableId)
        self.grant(fetch);
      else
        trick.answer(self, fetch);
    }));
    Connector initiator(impatient());
    for (int i = 0; i < 3; ++i) {
      std::vector<std::byte> target(kSize);
      auto read =
          initiator.begin_read(peer.metadata_of(readable), {target.data(), kSize});
      ASSERT_EQ(finish(read), OperationStatus::kComplete);
      EXPECT_EQ(read.path(), trick.path);
      EXPECT_EQ(target, std::vector<std::byte>(kSize, std::byte{0x44}));
    }
  }
};

TEST_P(HostileRegion, LeadsToTheNextPathAndLeavesNothingOpen) {
  read_once(kTricks[0]);  // what UCX opens once and for all
  const std::size_t before = testing::count_open_files();
  read_once(GetParam());
  EXPECT_TRUE(testing::opens_at_most(before));
}

INSTANTIATE_TEST_SUITE_P(Tricks, HostileRegion, ::testing::ValuesIn(kTricks),
                         [](const auto& trick) {
                           return std::string(trick.param.name);
                         });

// As the memory itself, or the leases, of another process would be.
TEST(HostileLeaseTable, IsNotUsed) {
  Connector exposer(testing::across_processes());
  const Allocation memory = Connector::allocate(kSize);
  auto readable = exposer.create_readable(memory.descriptor());
  FakePeer peer(testing::on_fetch([](FakePeer& self, const wire::Fetch& fetch) {
    if (fetch.what != wire::kLeaseTableId) return self.grant(fetch);
    const base::SharedMemory other(runtime::kLeaseTableName, 4096);
    self.say(wire::FetchedRegion{0, true}, other.fd());
  }));
  Connector initiator(testing::across_processes());
  std::vector<std::byte> target(kSize);
  auto read = initiator.begin_read(peer.metadata_of(readable), {target.data(), kSize});
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "host.cma");
}

// No Connector sends such a message: whoever does is done with.
TEST(HostileFiles, SeveralInOneMessageEndTheChannel) {
  const auto read_once = [] {
    Connector exposer(testing::across_processes());
    const Allocation memory = Connector::allocate(kSize);
    auto readable = exposer.create_readable(memory.descriptor());
    FakePeer peer(testing::on_fetch([](FakePeer& self, const wire::Fetch& fetch) {
      const UniqueFd file = self.file_of(fetch.what);
      testing::send_with_files(self.socket(),
                               self.payload({wire::FetchedRegion{fetch.what, true}}),
                               {file.get(), file.get()});
    }));
    Connector initiator(testing::across_processes());
    std::vector<std::byte> target(kSize);
    auto read =
        initiator.begin_read(peer.metadata_of(readable), {target.data(), kSize});
    EXPECT_EQ(kind_of([&] { (void)read.wait_for(testing::kSoon); }),
              ErrorKind::kDisconnected);
  };
  read_once();
  const std::size_t before = testing::count_open_files();
  read_once();
  EXPECT_TRUE(testing::opens_at_most(before));
}

}  // namespace
}  // namespace nixl_connect
