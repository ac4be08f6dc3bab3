// SPDX-License-Identifier: Apache-2.0
//
// Operations on GPU memory of another process that comes as files, a chunk each.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "base/open_files.h"
#include "nixl_connect/connector.h"
#include "runtime/gpu_memory.h"

namespace nixl_connect {

namespace {

namespace stand_in = paths::cuda::stand_in;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kSoon;
using testing::MappedMemory;
using testing::with_stand_in;

constexpr std::size_t kChunk = MappedMemory::kChunk;
constexpr std::size_t kBorder = 100;  // bytes around a border of two chunks
constexpr const char* kImport = "cuMemImportFromShareableHandle";

// Memory of the first GPU that a child process exposes, as it is told to, by one of its
// two Connectors.
class Mapper {
 public:
  explicit Mapper(const ConnectorOptions& options)
      : connectors_{Connector(options), Connector(options)} {}

  // The answer.
  std::string obey(const std::string& order) {
    std::istringstream words(order);
    std::string what;
    std::size_t first = 0;
    std::size_t second = 0;
    words >> what >> first >> second;
    if (what == "map") {
      memory_ = nullptr;
      memory_ = std::make_unique<MappedMemory>(0, first, static_cast<int>(second));
    } else if (what == "renew") {
      memory_->renew();
    } else if (what == "fill") {
      for (const Descriptor& each : memory_->borders(kBorder))
        memory_->fill(each, static_cast<unsigned char>(first));
    } else if (what == "allocate") {
      allocate(static_cast<unsigned char>(first));
    } else if (what == "read") {
      return expose_for_reading(connectors_.at(first), memory_->borders(kBorder));
    } else if (what == "expose") {
      return expose_for_reading(
          connectors_.at(first),
          {{reinterpret_cast<void*>(allocated_.get()), kChunk, Device("cuda:0")}});
    } else if (what == "pool") {
      const auto pool = stand_in::allocate_from_pool(0, kChunk);
      return expose_for_reading(connectors_.at(0), {{reinterpret_cast<void*>(pool),
                                                     kChunk, Device("cuda:0")}});
    } else if (what == "whole") {
      memory_->fill(memory_->at(first * kChunk, kChunk),
                    static_cast<unsigned char>(second));
      return expose_for_reading(connectors_.at(0), {memory_->at(0, memory_->size())});
    } else if (what == "write") {
      writable_ = std::make_unique<WritableOperation>(
          connectors_.at(first).create_writable(memory_->borders(kBorder)));
      return writable_->metadata().to_json();
    } else if (what == "check") {
      finish(*writable_);
      for (const Descriptor& each : memory_->borders(kBorder))
        memory_->expect(each, static_cast<unsigned char>(first));
      return ::testing::Test::HasFailure() ? "wrong" : "right";
    }
    return "done";
  }

 private:
  void allocate(unsigned char value) {
    readable_ = nullptr;
    allocated_ = {};
    allocated_ = paths::cuda::allocate(session_.driver, kChunk);
    session_.fill(allocated_.get(), value, kChunk);
  }
  std::string expose_for_reading(Connector& connector,
                                 const std::vector<Descriptor>& where) {
    readable_ = std::make_unique<ReadableOperation>(
        connector.create_readable(where, {.stays_open = true}));
    return readable_->metadata().to_json();
  }

  const paths::cuda::testing::Session session_{0};
  std::array<Connector, 2> connectors_;
  std::unique_ptr<MappedMemory> memory_;
  paths::cuda::DeviceMemory allocated_;
  std::unique_ptr<ReadableOperation> readable_;
  std::unique_ptr<WritableOperation> writable_;
};

class GpuFiles : public ::testing::Test {
 protected:
  static constexpr std::size_t kChunks = 5;

  void SetUp() override {
    stand_in::reset();
    tell("map 5 1");
    tell("fill 7");
  }
  void TearDown() override { stand_in::reset(); }

  std::string tell(const std::string& order) {
    mapper_.channel().send(order);
    return mapper_.channel().receive_text();
  }
  RdmaMetadata ask(const std::string& order) {
    return RdmaMetadata::from_json(tell(order));
  }
  // Where the bytes around the borders of so many chunks go, or come from.
  std::vector<Descriptor> local(std::size_t chunks = kChunks) const {
    std::vector<Descriptor> all;
    for (std::size_t i = 1; i < chunks; ++i)
      all.push_back(memory_.at(i * 2 * kBorder, kBorder));
    return all;
  }
  void expect_read(const RdmaMetadata& remote, unsigned char value,
                   std::size_t chunks = kChunks) {
    const auto targets = local(chunks);
    for (const Descriptor& each : targets) memory_.fill(each, 0);
    auto read = connector_.begin_read(remote, targets);
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.peer");
    EXPECT_EQ(read.bytes_transferred(), targets.size() * kBorder);
    for (const Descriptor& each : targets) memory_.expect(each, value);
  }
  // What a read that goes wrong says.
  std::string refusal(const RdmaMetadata& remote, std::vector<Descriptor> targets) {
    // Or the owner would be asked to move the bytes itself.
    auto read = connector_.begin_read(remote, targets, {.forbid = {"cuda.staged"}});
    try {
      EXPECT_TRUE(read.wait_for(kSoon));
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  }

  Child mapper_{"mapper"};
  const MappedMemory memory_{1, 1};
  Connector connector_{with_stand_in()};
};

// Many pages, all of them in one of the chunks, which alone is asked for.
TEST_F(GpuFiles, OfOneChunkAreEnoughForPagesByNumber) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kPages = 200;
  const RdmaMetadata whole = ask("whole 4 9");
  std::vector<std::uint64_t> theirs(kPages);
  std::iota(theirs.rbegin(), theirs.rend(), 4 * kChunk / kPage);
  std::vector<std::uint64_t> ours(kPages);
  std::iota(ours.begin(), ours.end(), 0);
  const Descriptor target = memory_.at(0, kPages * kPage);
  memory_.fill(target, 0);
  auto read = connector_.begin_read(RemotePages(whole, kPage, theirs),
                                    Pages(target, kPage, ours));
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.peer");
  memory_.expect(target, 9);
  EXPECT_EQ(stand_in::calls(kImport), 1U);
}

TEST_F(GpuFiles, AreReadAcrossTheBordersOfTheirChunks) {
  expect_read(ask("read 0"), 7);
  EXPECT_EQ(stand_in::calls(kImport), kChunks);
  tell("fill 8");
  expect_read(ask("read 0"), 8);
  EXPECT_EQ(stand_in::calls(kImport), kChunks) << "kept open";
}

TEST_F(GpuFiles, AreReadAndWrittenThroughSlotsIfTheOtherSideIsPlainMemory) {
  std::vector<std::byte> plain(kChunks * 2 * kBorder);
  auto expected = plain;
  std::vector<Descriptor> ranges;
  for (std::size_t i = 1; i < kChunks; ++i) {
    ranges.emplace_back(plain.data() + i * 2 * kBorder, kBorder);
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * 2 * kBorder),
                kBorder, std::byte{7});
  }
  auto read = connector_.begin_read(ask("read 0"), ranges);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_EQ(plain, expected);
  std::fill(plain.begin(), plain.end(), std::byte{9});
  auto write = connector_.begin_write(ranges, ask("write 0"));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(tell("check 9"), "right");
}

TEST_F(GpuFiles, AreWrittenTo) {
  for (const Descriptor& each : local()) memory_.fill(each, 9);
  auto write = connector_.begin_write(local(), ask("write 0"));
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.peer");
  EXPECT_EQ(tell("check 9"), "right");
}

// By the GPU that has them.
TEST_F(GpuFiles, AreReadIntoMemoryOfTheHost) {
  const Allocation target = Connector::allocate(kChunks * kBorder);
  std::vector<Descriptor> targets;
  for (std::size_t i = 1; i < kChunks; ++i)
    targets.push_back(target.descriptor().slice(i * kBorder, kBorder));
  auto read = connector_.begin_read(ask("read 0"), targets);
  ASSERT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  for (std::size_t i = 0; i < kBorder; ++i)
    EXPECT_EQ(target.data()[i], std::byte{0}) << i;
  for (std::size_t i = kBorder; i < kChunks * kBorder; ++i)
    EXPECT_EQ(target.data()[i], std::byte{7}) << i;
  EXPECT_EQ(stand_in::calls(kImport), kChunks);
}

TEST_F(GpuFiles, AreAskedForAnewWhereOtherMemoryIsMapped) {
  for (const unsigned char value : {7, 8, 9}) {
    expect_read(ask("read 0"), value);
    tell("renew");
    tell("fill " + std::to_string(value + 1));
  }
  EXPECT_EQ(stand_in::calls(kImport), 3 * kChunks);
  EXPECT_EQ(stand_in::calls("cuMemUnmap"), 2 * kChunks) << "what was there before";
}

TEST_F(GpuFiles, OfOneProcessAreOpenedOnceForItsConnectors) {
  expect_read(ask("read 0"), 7);
  expect_read(ask("read 1"), 7);
  EXPECT_EQ(stand_in::calls(kImport), kChunks);
}

// The driver opens nothing at an address of a process under which it has something else
// open.
TEST_F(GpuFiles, AndHandlesAreKnownByTheProcessAndNotByItsConnector) {
  for (const int connector : {0, 1, 0, 1}) {
    tell("allocate " + std::to_string(20 + connector));
    auto read = connector_.begin_read(ask("expose " + std::to_string(connector)),
                                      memory_.at(0, kChunk));
    ASSERT_EQ(finish(read), OperationStatus::kComplete);
    memory_.expect(memory_.at(0, kChunk), static_cast<unsigned char>(20 + connector));
  }
}

TEST_F(GpuFiles, AndHandlesAreSharedByTheConnectorsOfThisProcess) {
  Connector other(with_stand_in());
  for (int round = 0; round < 4; ++round) {
    tell("allocate " + std::to_string(20 + round));
    for (Connector* const each : {&other, &connector_}) {
      auto read = each->begin_read(ask("expose 0"), memory_.at(0, kChunk));
      ASSERT_EQ(finish(read), OperationStatus::kComplete) << round;
      memory_.expect(memory_.at(0, kChunk), static_cast<unsigned char>(20 + round));
    }
  }
  EXPECT_EQ(stand_in::calls("cuIpcOpenMemHandle"), 4U) << "each once";
}

TEST_F(GpuFiles, OfHundredsOfChunksAreReadAtOnce) {
  constexpr std::size_t kMany = 300;
  tell("map 300 1");
  tell("fill 5");
  stand_in::hold_calls(kImport);
  const std::size_t before = testing::count_open_files();
  const auto targets = local(kMany);
  auto read = connector_.begin_read(ask("read 0"), targets);
  stand_in::wait_for_calls(kImport, 1);
  EXPECT_FALSE(read.wait_for(std::chrono::milliseconds(300)));
  // Also the lease table, the channel, and what UCX needs at first.
  EXPECT_LE(testing::count_open_files(), before + 64 + 30);
  stand_in::release_calls();
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  for (const Descriptor& each : targets) memory_.expect(each, 5);
  EXPECT_EQ(stand_in::calls(kImport), kMany);
}

TEST_F(GpuFiles, AreAwaitedByAllOperationsThatNeedThem) {
  stand_in::hold_calls(kImport);
  const RdmaMetadata remote = ask("read 0");
  const auto targets = local();
  std::vector<ReadOperation> reads;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    RdmaMetadata one = remote;
    one.descriptors = {remote.descriptors[i]};
    reads.push_back(connector_.begin_read(one, targets[i]));
  }
  stand_in::wait_for_calls(kImport, 1);
  reads[0].cancel();
  EXPECT_EQ(finish(reads[0]), OperationStatus::kCancelled) << "it only waited";
  stand_in::release_calls();
  for (std::size_t i = 1; i < reads.size(); ++i)
    EXPECT_EQ(finish(reads[i]), OperationStatus::kComplete) << i;
  EXPECT_LE(stand_in::calls(kImport), kChunks) << "each once";
}

TEST_F(GpuFiles, OfAProcessThatDiesMeanwhileAreClosed) {
  const std::size_t before = stand_in::mappings();
  stand_in::hold_calls(kImport);
  auto read = connector_.begin_read(ask("read 0"), local());
  stand_in::wait_for_calls(kImport, 1);
  mapper_.kill();
  EXPECT_EQ(testing::kind_of([&] { (void)read.wait_for(kSoon); }),
            ErrorKind::kDisconnected);
  stand_in::release_calls();
  const auto limit = std::chrono::steady_clock::now() + kSoon;
  constexpr std::size_t kListsOfPages = 1;
  while (stand_in::calls("cuMemUnmap") == 0 ||
         stand_in::mappings() > before + kListsOfPages)
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
}

TEST_F(GpuFiles, ThatCannotBeOpenedAreSaidToBeWithTheDriversWords) {
  stand_in::fail(kImport, paths::cuda::kCuNotSupported);
  const std::string text = refusal(ask("read 0"), local());
  EXPECT_NE(text.find("could not be opened: mapping GPU memory of another process"),
            std::string::npos)
      << text;
  expect_read(ask("read 0"), 7);
}

TEST_F(GpuFiles, ThatAreNoneSayWhyAndWhatHelps) {
  const std::string of_pool = refusal(ask("pool"), {memory_.at(0, kChunk)});
  EXPECT_NE(of_pool.find("memory of a pool (cudaMallocAsync)"), std::string::npos)
      << of_pool;
  tell("map 5 0");
  const std::string without_handles = refusal(ask("read 0"), local());
  EXPECT_NE(without_handles.find("made without handles for export"), std::string::npos)
      << without_handles;
}

TEST(GpuFilesWithoutAChannel, CannotBeAskedFor) {
  const Child mapper("mapper", {"NIXL_CONNECT_TEST_FORBID=host"});
  const auto tell = [&](const std::string& order) {
    mapper.channel().send(order);
    return mapper.channel().receive_text();
  };
  tell("map 2 1");
  const MappedMemory memory(1, 1);
  Connector connector(with_stand_in());
  auto read = connector.begin_read(RdmaMetadata::from_json(tell("read 0")),
                                   memory.at(0, kBorder));
  try {
    EXPECT_TRUE(read.wait_for(kSoon));
    FAIL() << "was read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no local channel"), std::string::npos)
        << error.what();
  }
}

}  // namespace

namespace testing {

int run_role(std::string_view role, const Channel& test) {
  return role == "mapper" ? mapper_role(test) : trickster_role(test);
}

int mapper_role(const Channel& test) {
  ConnectorOptions options = with_stand_in();
  if (const char* const forbid = std::getenv("NIXL_CONNECT_TEST_FORBID"))
    options.forbid = {forbid};
  Mapper mapper(options);
  while (true) test.send(mapper.obey(test.receive_text()));
}

}  // namespace testing
}  // namespace nixl_connect
