// SPDX-License-Identifier: Apache-2.0
//
// Peers that answer with files which are not the memory of a GPU that was asked for.
// The operation ends with the reason, and no descriptor stays open.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "paths/cuda/allocations.h"
#include "runtime/fake_peer.h"
#include "runtime/gpu_memory.h"

namespace nixl_connect {
namespace {

using base::UniqueFd;
using testing::Channel;
using testing::Child;
using testing::FakePeer;
using testing::finish;
using testing::MappedMemory;
using testing::with_stand_in;

constexpr std::size_t kBytes = 1000;

// Of the exposing side, in the child process.
struct Owned {
  MappedMemory memory{0, 2};
  std::vector<wire::GpuChunk> chunks{};

  UniqueFd file_of(std::uint64_t what) const {
    for (const wire::GpuChunk& each : chunks)
      if ((wire::kGpuChunkMark | each.buffer_id) == what)
        return paths::cuda::export_file(paths::cuda::testing::driver_under_test(),
                                        {each.address, each.size, each.buffer_id});
    return {};
  }
};

using Answer = void (*)(const FakePeer&, const wire::Fetch&, const Owned&);

void grant(const FakePeer& peer, const wire::Fetch& fetch, const UniqueFd& file) {
  peer.say(wire::FetchedRegion{fetch.what, true}, file.get());
}

struct Trick {
  const char* name;
  Answer answer;
  // What the reader says; "" if it gets the bytes.
  const char* outcome = "could not be opened";
};
std::ostream& operator<<(std::ostream& out, const Trick& trick) {
  return out << trick.name;
}

const Trick kTricks[] = {
    // Not hostile: so the harness does lead to the memory.
    {"HonestFiles",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned& owned) {
       grant(peer, fetch, owned.file_of(fetch.what));
     },
     ""},
    {"Refusal",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned&) {
       peer.say(wire::FetchedRegion{fetch.what, false});
     },
     "the peer refuses to hand it over"},
    {"NoFile",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned&) {
       peer.say(wire::FetchedRegion{fetch.what, true});
     },
     "the peer refuses to hand it over"},
    {"NoAnswer", [](const FakePeer&, const wire::Fetch&, const Owned&) {},
     "did not hand it over within drain_timeout"},
    {"Pipe",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned&) {
       int ends[2];
       ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
       const UniqueFd read_end(ends[0]);
       const UniqueFd write_end(ends[1]);
       grant(peer, fetch, read_end);
     },
     "mapping GPU memory of another process"},
    {"MemoryOfTheHost",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned&) {
       const UniqueFd file(::memfd_create("memory", MFD_CLOEXEC));
       ASSERT_EQ(::ftruncate(file.get(), MappedMemory::kChunk), 0);
       grant(peer, fetch, file);
     },
     "mapping GPU memory of another process"},
    {"MemoryThatIsTooSmall",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned&) {
       const UniqueFd file(::memfd_create("stand-in-vmm-0", MFD_CLOEXEC));
       ASSERT_EQ(::ftruncate(file.get(), MappedMemory::kChunk / 2), 0);
       grant(peer, fetch, file);
     },
     "mapping GPU memory of another process"},
    {"FilesOfSomethingElse",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned& owned) {
       for (std::uint64_t i = 1; i < 50; ++i)
         peer.say(wire::FetchedRegion{fetch.what + 17 * i, true},
                  owned.file_of(fetch.what).get());
       peer.say(wire::FetchedRegion{fetch.what, false});
     },
     "the peer refuses to hand it over"},
    {"EachFileManyTimes",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned& owned) {
       for (int i = 0; i < 50; ++i) grant(peer, fetch, owned.file_of(fetch.what));
     },
     ""},
    {"FilesBehindARefusal",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned& owned) {
       peer.say(wire::FetchedRegion{fetch.what, false});
       grant(peer, fetch, owned.file_of(fetch.what));
     },
     "the peer refuses to hand it over"},
    {"FilesInCompany",
     [](const FakePeer& peer, const wire::Fetch& fetch, const Owned& owned) {
       const UniqueFd file = owned.file_of(fetch.what);
       const wire::FetchedRegion region{fetch.what, true};
       EXPECT_TRUE(testing::send_with_files(
           peer.socket(), peer.payload({wire::Grant{77}, region}), {file.get()}));
     },
     "the peer refuses to hand it over"},
};

const Trick& trick_of(std::string_view name) {
  for (const Trick& each : kTricks)
    if (each.name == name) return each;
  throw std::runtime_error("no such trick");
}

class HostileGpuFiles : public ::testing::TestWithParam<Trick> {
 protected:
  void SetUp() override { paths::cuda::stand_in::reset(); }
  void TearDown() override { paths::cuda::stand_in::reset(); }

  // By a Connector of its own, of a peer that plays the trick.
  std::string read_once() {
    const Child peer("trickster");
    peer.channel().send(GetParam().name);
    const auto remote = RdmaMetadata::from_json(peer.channel().receive_text());
    Connector connector(with_stand_in());
    const Descriptor target = memory_.at(0, kBytes);
    memory_.fill(target, 0);
    // Or it would be asked to move the bytes itself.
    auto read = connector.begin_read(remote, target, {.forbid = {"cuda.staged"}});
    try {
      EXPECT_TRUE(read.wait_for(testing::kSoon));
    } catch (const Error& error) {
      memory_.expect(target, 0);
      return error.what();
    }
    memory_.expect(target, 7);
    return "";
  }

  const MappedMemory memory_{1, 1};
};

TEST_P(HostileGpuFiles, LeadNowhereAndStayOpenNowhere) {
  const std::string outcome = read_once();  // and all is opened that is opened once
  if (*GetParam().outcome == '\0')
    EXPECT_EQ(outcome, "");
  else
    EXPECT_NE(outcome.find(GetParam().outcome), std::string::npos) << outcome;
  const std::size_t before = testing::count_open_files();
  const std::size_t mappings = paths::cuda::stand_in::mappings();
  read_once();
  EXPECT_TRUE(testing::opens_at_most(before));
  EXPECT_EQ(paths::cuda::stand_in::mappings(), mappings);
}

INSTANTIATE_TEST_SUITE_P(Tricks, HostileGpuFiles, ::testing::ValuesIn(kTricks),
                         [](const auto& trick) {
                           return std::string(trick.param.name);
                         });

}  // namespace

namespace testing {

// Exposes memory of both chunks, and leaves the answers to the trick.
int trickster_role(const Channel& test) {
  const Trick& trick = trick_of(test.receive_text());
  Owned owned;
  Connector exposer(with_stand_in());
  const Descriptor exposed = owned.memory.at(MappedMemory::kChunk - kBytes / 2, kBytes);
  owned.memory.fill(exposed, 7);
  auto readable = exposer.create_readable(exposed, {.readers = 5});
  const auto agent =
      wire::decode(wire::decode_blob_text(readable.metadata().nixl_metadata));
  owned.chunks = agent.extension->gpu_exports.at(0).chunks;
  FakePeer peer(on_fetch([&](FakePeer& self, const wire::Fetch& fetch) {
    if (fetch.what == wire::kLeaseTableId)
      self.grant(fetch);
    else
      trick.answer(self, fetch, owned);
  }));
  test.send(peer.metadata_of(readable).to_json());
  test.wait_for_hang_up();
  return ::testing::Test::HasFailure() ? 1 : 0;
}

}  // namespace testing
}  // namespace nixl_connect
