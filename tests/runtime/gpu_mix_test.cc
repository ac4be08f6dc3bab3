// SPDX-License-Identifier: Apache-2.0
//
// Operations with memory of the host on one side and of a GPU on the other, by the
// stand-in for CUDA's driver.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "nixl_connect/connector.h"
#include "paths/cuda/session.h"
#include "paths/cuda/stand_in/control.h"
#include "runtime/buffers.h"
#include "support/child.h"

namespace nixl_connect {

const paths::cuda::Driver& paths::cuda::testing::driver_under_test() {
  return *open_driver(stand_in::file()).driver;
}

namespace {

namespace stand_in = paths::cuda::stand_in;
using paths::cuda::testing::bytes_of;
using paths::cuda::testing::Session;
using std::chrono::milliseconds;
using testing::Channel;
using testing::Child;
using testing::finish;
using testing::kind_of;
using testing::kSoon;

ConnectorOptions with_gpus() {
  ConnectorOptions options = testing::across_processes();
  options.cuda_driver = stand_in::file();
  return options;
}

enum class On { kGpu, kHost };

On other(On on) { return on == On::kGpu ? On::kHost : On::kGpu; }
std::string name_of(On on) { return on == On::kGpu ? "gpu" : "host"; }

struct Layout {
  std::size_t count;
  std::size_t largest;
};
// Few, many small ones, and some that are large enough for the copy engine.
constexpr Layout kLayouts[] = {{2, 900}, {300, 1001}, {20, 300'000}};

// Ranges that do not touch each other, of odd sizes and in odd places, in memory of a
// GPU or of allocate().
class Ranges {
 public:
  Ranges(On on, Layout layout, int device = 0)
      : on_(on), layout_(layout), device_(device) {
    if (on == On::kHost) {
      arena_ = Connector::allocate(size());
    } else {
      session_ = std::make_unique<Session>(device);
      on_gpu_ = paths::cuda::allocate(session_->driver, size());
    }
    put(bytes_of(kRest, size()));
  }

  std::vector<Descriptor> descriptors() const {
    std::vector<Descriptor> result;
    for (std::size_t i = 0; i < layout_.count; ++i)
      result.push_back(descriptor(offset_of(i), size_of(i)));
    return result;
  }
  Descriptor descriptor(std::size_t offset, std::size_t size) const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<void*>(address() + offset), size,
            on_ == On::kGpu ? Device(DeviceKind::kCuda, device_) : Device()};
  }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < layout_.count; ++i) sum += size_of(i);
    return sum;
  }

  void fill(unsigned seed) const { put(content(seed)); }
  bool has(unsigned seed) const { return get() == content(seed); }

 private:
  static constexpr unsigned char kRest = 0xEE;

  std::size_t stride() const { return layout_.largest + 9; }
  std::size_t size() const { return layout_.count * stride(); }
  std::size_t size_of(std::size_t i) const {
    return layout_.largest - i * 61 % std::min<std::size_t>(layout_.largest, 800);
  }
  // In another order and elsewhere on the other side.
  std::size_t offset_of(std::size_t i) const {
    if (on_ == On::kHost) return i * stride() + i % 8;
    return (layout_.count - 1 - i) * stride() + i * 3 % 8;
  }
  std::uintptr_t address() const {
    return on_ == On::kGpu ? on_gpu_.get()
                           : reinterpret_cast<std::uintptr_t>(arena_->data());
  }

  // The ranges as they were filled, and nothing between them.
  std::vector<std::byte> content(unsigned seed) const {
    auto bytes = bytes_of(kRest, size());
    for (std::size_t i = 0; i < layout_.count; ++i)
      for (std::size_t j = 0; j < size_of(i); ++j)
        bytes[offset_of(i) + j] =
            static_cast<std::byte>(seed + i * 7 + j * 31 + j / 256);
    return bytes;
  }
  void put(const std::vector<std::byte>& bytes) const {
    if (on_ == On::kGpu) return session_->write(on_gpu_.get(), bytes);
    std::copy(bytes.begin(), bytes.end(), arena_->data());
  }
  std::vector<std::byte> get() const {
    if (on_ == On::kGpu) return session_->read(on_gpu_.get(), size());
    return {arena_->data(), arena_->data() + size()};
  }

  const On on_;
  const Layout layout_;
  const int device_;
  std::unique_ptr<Session> session_;
  paths::cuda::DeviceMemory on_gpu_;
  std::optional<Allocation> arena_;
};

// Nobody may open this process's files, nor it those of others.
bool hide() {
  constexpr uid_t kNobody = 65534;
  if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
    return false;
  return ::prctl(PR_SET_DUMPABLE, 0) == 0;
}

// Exposes ranges, and reads those of others, as it is told.
class Servant {
 public:
  std::string carry_out(const std::string& order) {
    std::istringstream words(order);
    std::string verb;
    std::string on;
    std::size_t layout = 0;
    words >> verb >> on >> layout;
    if (verb == "hide") return hide() ? "hidden" : "not";
    if (verb == "check") return check();
    if (verb == "free") return free();
    make(on == "gpu" ? On::kGpu : On::kHost, kLayouts[layout]);
    if (verb == "pull") {
      std::string metadata;
      std::getline(words, metadata);
      return pull(metadata);
    }
    ranges_->fill(kRead);
    if (verb == "read")
      exposed_ = std::make_unique<ReadableOperation>(
          connector_->create_readable(ranges_->descriptors()));
    else
      exposed_ = std::make_unique<WritableOperation>(
          connector_->create_writable(ranges_->descriptors()));
    return exposed_->metadata().to_json();
  }

  static constexpr unsigned kRead = 7;
  static constexpr unsigned kWritten = 90;

 private:
  void make(On on, Layout layout) {
    if (!connector_) connector_ = std::make_unique<Connector>(with_gpus());
    exposed_ = nullptr;
    ranges_ = std::make_unique<Ranges>(on, layout);
  }
  std::string check() {
    finish(*exposed_);
    return ranges_->has(kWritten) ? "right" : "wrong";
  }
  std::string free() {
    exposed_->cancel();
    finish(*exposed_);
    exposed_ = nullptr;
    ranges_ = nullptr;
    return "freed";
  }
  std::string pull(const std::string& metadata) {
    auto read = connector_->begin_read(RdmaMetadata::from_json(metadata),
                                       ranges_->descriptors());
    finish(read);
    return ranges_->has(kRead) ? read.path() : "wrong";
  }

  std::unique_ptr<Ranges> ranges_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<PassiveOperation> exposed_;
};

class Mix : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override { stand_in::reset(); }

  std::string order(const std::string& text) const {
    owner_.channel().send(text);
    return owner_.channel().receive_text();
  }
  RdmaMetadata ask(const std::string& verb, On on, std::size_t layout) const {
    return RdmaMetadata::from_json(
        order(verb + " " + name_of(on) + " " + std::to_string(layout)));
  }

  // Which the GPU has been given, and does when the streams are released.
  ReadOperation begin_held_read(const Ranges& local, On remote, std::size_t layout) {
    const RdmaMetadata metadata = ask("read", remote, layout);
    stand_in::hold_streams();
    auto read = connector_.begin_read(metadata, local.descriptors());
    stand_in::wait_for_calls("cuStreamWriteValue32", 1);
    return read;
  }

  Child owner_{"owner"};
  Connector connector_{with_gpus()};
};

// By where the local memory is and how it lies.
class MixOf : public Mix, public ::testing::WithParamInterface<std::tuple<On, int>> {
 protected:
  On local() const { return std::get<0>(GetParam()); }
  std::size_t number() const {
    return static_cast<std::size_t>(std::get<1>(GetParam()));
  }
  Layout layout() const { return kLayouts[number()]; }
};

INSTANTIATE_TEST_SUITE_P(, MixOf,
                         ::testing::Combine(::testing::Values(On::kGpu, On::kHost),
                                            ::testing::Values(0, 1, 2)),
                         [](const auto& each) {
                           return "With" +
                                  std::string(std::get<0>(each.param) == On::kGpu
                                                  ? "Gpu"
                                                  : "Host") +
                                  "Layout" + std::to_string(std::get<1>(each.param));
                         });

TEST_P(MixOf, IsReadOfAnotherProcess) {
  const Ranges target(local(), layout());
  const RdmaMetadata metadata = ask("read", other(local()), number());
  auto read = connector_.begin_read(metadata, target.descriptors());
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_EQ(read.path(), "cuda.staged");
  EXPECT_EQ(read.bytes_transferred(), target.bytes());
  EXPECT_TRUE(target.has(Servant::kRead));
}

TEST_P(MixOf, IsWrittenToAnotherProcess) {
  const Ranges source(local(), layout());
  source.fill(Servant::kWritten);
  const RdmaMetadata metadata = ask("write", other(local()), number());
  auto write = connector_.begin_write(source.descriptors(), metadata);
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
  EXPECT_EQ(write.path(), "cuda.staged");
  EXPECT_EQ(order("check"), "right");
}

TEST_P(MixOf, IsMovedWithinThisProcess) {
  const Ranges here(local(), layout());
  const Ranges there(other(local()), layout(), 1);
  Connector another(with_gpus());
  if (local() == On::kHost)  // it is for the GPU that has the memory
    stand_in::poison(0, paths::cuda::kCuIllegalAddress);
  for (Connector* const exposer : {&another, &connector_}) {
    here.fill(3);
    auto writable = exposer->create_writable(there.descriptors());
    auto write = connector_.begin_write(here.descriptors(), writable.metadata());
    EXPECT_EQ(finish(write), OperationStatus::kComplete);
    EXPECT_EQ(finish(writable), OperationStatus::kComplete);
    EXPECT_EQ(write.path(), "cuda.staged");
    EXPECT_TRUE(there.has(3));
    there.fill(4);
    auto readable = exposer->create_readable(there.descriptors());
    auto read = connector_.begin_read(readable.metadata(), here.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_EQ(read.path(), "cuda.staged");
    EXPECT_TRUE(here.has(4));
  }
}

TEST_P(MixOf, IsQuietWhenACancelledOperationHasEnded) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target, other(local()), number());
  read.cancel();
  EXPECT_FALSE(read.wait_for(milliseconds(50))) << "the GPU still has it";
  stand_in::release_streams();
  EXPECT_EQ(finish(read), OperationStatus::kCancelled);
}

TEST_P(MixOf, OfAProcessThatDiesEndsWhatIsReadOfIt) {
  const Ranges target(local(), layout());
  auto read = begin_held_read(target, other(local()), number());
  owner_.kill();
  stand_in::release_streams();
  EXPECT_EQ(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kDisconnected);
}

// What a call throws, or a wait for what it gives.
std::string text_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

void expect_named(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(Mix, PinsMemoryOfThePeerOnceAndLetsItGoWithIt) {
  const Ranges target(On::kGpu, kLayouts[1]);
  // Before it looks for what is given back; and the stream's word and lists of pages.
  const RdmaMetadata metadata = ask("read", On::kHost, 1);
  {
    auto read = connector_.begin_read(metadata, target.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
  }
  const std::size_t pinned = stand_in::registrations();
  const unsigned calls = stand_in::calls("cuMemHostRegister");
  for (int i = 0; i < 3; ++i) {
    const Ranges again(On::kGpu, kLayouts[1]);
    auto read = connector_.begin_read(ask("read", On::kHost, 1), again.descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(again.has(Servant::kRead));
    EXPECT_EQ(stand_in::calls("cuMemHostRegister"),
              calls + 1 + static_cast<unsigned>(i))
        << "the owner has new memory each time";
    EXPECT_EQ(stand_in::registrations(), pinned) << "and has given back the old";
  }
  const unsigned unpinned = stand_in::calls("cuMemHostUnregister");
  owner_.kill();
  stand_in::wait_for_calls("cuMemHostUnregister", unpinned + 1);
}

TEST_F(Mix, PinsOwnMemoryOnceAndLetsItGoWhenItGoes) {
  std::optional<Ranges> target(std::in_place, On::kHost, kLayouts[1]);
  unsigned calls = 0;
  for (int i = 0; i < 3; ++i) {
    auto read = connector_.begin_read(ask("read", On::kGpu, 1), target->descriptors());
    EXPECT_EQ(finish(read), OperationStatus::kComplete);
    EXPECT_TRUE(target->has(Servant::kRead));
    target->fill(0);
    if (i == 0) calls = stand_in::calls("cuMemHostRegister");
    EXPECT_EQ(stand_in::calls("cuMemHostRegister"), calls);
  }
  EXPECT_EQ(stand_in::calls("cuMemHostUnregister"), 0U);
  target.reset();
  stand_in::wait_for_calls("cuMemHostUnregister", 1);
}

TEST_F(Mix, ReadOfMemoryThatIsFreedMeanwhileIsVoid) {
  for (const On remote : {On::kHost, On::kGpu}) {
    const Ranges target(other(remote), kLayouts[1]);
    auto read = begin_held_read(target, remote, 1);
    EXPECT_EQ(order("free"), "freed");
    stand_in::release_streams();
    EXPECT_NE(kind_of([&] { (void)read.wait_for(kSoon); }), ErrorKind::kInternal);
    EXPECT_EQ(read.status(), OperationStatus::kErrored);
    stand_in::reset();
  }
}

TEST_F(Mix, OfMemoryThatWasNotAllocatedIsRefusedWithWhatWouldHelp) {
  std::vector<std::byte> plain(1000);
  const Descriptor of_host(plain.data(), plain.size());
  const Ranges on_gpu(On::kGpu, {1, 1000});
  Connector another(with_gpus());
  for (const bool is_local_plain : {true, false}) {
    auto readable =
        another.create_readable(is_local_plain ? on_gpu.descriptor(0, 1000) : of_host);
    auto read = connector_.begin_read(
        readable.metadata(), is_local_plain ? of_host : on_gpu.descriptor(0, 1000));
    const std::string text = text_of([&] { (void)read.wait_for(kSoon); });
    expect_named(text, "cuda.staged: the host's memory was not all allocated by");
    expect_named(text, "take memory of Connector::allocate()");
  }
}

TEST_F(Mix, SaysThatMemoryCouldNotBePinned) {
  const Ranges target(On::kGpu, kLayouts[1]);
  {  // that the stream has its word, and the kernel its lists
    auto first = connector_.begin_read(ask("read", On::kHost, 1), target.descriptors());
    EXPECT_EQ(finish(first), OperationStatus::kComplete);
  }
  stand_in::fail("cuMemHostRegister", paths::cuda::kCuOutOfMemory);
  auto read = connector_.begin_read(ask("read", On::kHost, 1), target.descriptors());
  const std::string text = text_of([&] { (void)read.wait_for(kSoon); });
  expect_named(text, "cuda.staged: the host's memory could not be mapped and pinned");
  expect_named(text, "CUDA_ERROR_OUT_OF_MEMORY");
  auto again = connector_.begin_read(ask("read", On::kHost, 1), target.descriptors());
  EXPECT_EQ(finish(again), OperationStatus::kComplete);
  EXPECT_TRUE(target.has(Servant::kRead));
}

TEST_F(Mix, IsMovedThoughSomeOfItIsEmpty) {
  const Ranges target(On::kHost, kLayouts[1]);
  const Ranges source(On::kGpu, kLayouts[1]);
  source.fill(5);
  auto sources = source.descriptors();
  auto targets = target.descriptors();
  sources.insert(sources.begin() + 3, source.descriptor(0, 0));
  targets.insert(targets.begin() + 3, target.descriptor(0, 0));
  Connector another(with_gpus());
  auto readable = another.create_readable(sources);
  auto read = connector_.begin_read(readable.metadata(), targets);
  EXPECT_EQ(finish(read), OperationStatus::kComplete);
  EXPECT_TRUE(target.has(5));
}

TEST_F(Mix, IsLeftAloneWhereTheOptionsForbidIt) {
  const Ranges target(On::kGpu, kLayouts[0]);
  for (const char* const name : {"cuda.staged", "host"}) {
    auto read = connector_.begin_read(ask("read", On::kHost, 0), target.descriptors(),
                                      {.forbid = {name}});
    expect_named(text_of([&] { (void)read.wait_for(kSoon); }),
                 "cuda.staged: the options forbid it");
  }
}

// Whose file it hands over on the local channel.
TEST_F(Mix, IsReadOfAProcessThatNobodyCanLookInto) {
  const Child initiator("owner");
  const auto ask_initiator = [&](const std::string& text) {
    initiator.channel().send(text);
    return initiator.channel().receive_text();
  };
  if (order("hide") != "hidden" || ask_initiator("hide") != "hidden")
    GTEST_SKIP() << "this user cannot hide a process";
  EXPECT_EQ(ask_initiator("pull gpu 1 " + order("read host 1")), "cuda.staged");
}

}  // namespace

namespace testing {

int run_role(std::string_view, const Channel& test) {
  Servant servant;
  while (true) test.send(servant.carry_out(test.receive_text()));
}

}  // namespace testing
}  // namespace nixl_connect
