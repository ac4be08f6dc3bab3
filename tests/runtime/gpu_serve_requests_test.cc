// SPDX-License-Identifier: Apache-2.0
//
// What an exposing Connector answers to those who ask it to move bytes and must not, by
// the stand-in for CUDA's driver.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "runtime/asker.h"
#include "runtime/gpu_order.h"

namespace nixl_connect::testing {
namespace {

class ServeRequests : public ::testing::Test {
 protected:
  void SetUp() override { stand_in::reset(); }
  void TearDown() override {
    connector_.close();
    stand_in::reset();
  }

  // Memory of the asker, as it tells of it.
  wire::AgentMetadata own_metadata(const Asker& asker) const {
    wire::AgentMetadata agent;
    agent.agent = "asking";
    agent.connection = asker.agent().connection;
    agent.regions.resize(1);
    agent.regions[0].address = address();
    agent.regions[0].size = Gpu::kSize;
    agent.extension.emplace();
    agent.extension->instance = asker.instance();
    agent.extension->lease.token = 5;
    return agent;
  }
  std::uint64_t address() const {
    return reinterpret_cast<std::uintptr_t>(memory_.data());
  }
  // One that would be carried out.
  wire::Serve request(const Asker& asker, const Descriptor& exposed) const {
    const wire::LeaseRecord& lease = asker.extension().lease;
    return {7,
            lease.id,
            lease.token,
            1,
            wire::encode(own_metadata(asker)),
            {{exposed.ptr(), address(), exposed.size()}}};
  }
  void expect_refusal(const Asker& asker, const wire::Serve& message,
                      const std::string& why) const {
    SCOPED_TRACE(why);
    asker.say(message);
    const auto answer = asker.hear<wire::NotServed>();
    EXPECT_EQ(answer.operation, message.operation);
    expect_named(answer.reason, why);
  }

  Gpu gpu_{1};
  std::vector<std::byte> memory_ = std::vector<std::byte>(Gpu::kSize);
  Connector connector_{with_gpus()};
};

TEST_F(ServeRequests, AreInvitedForMemoryOfGpusOnly) {
  auto of_gpu = connector_.create_readable(gpu_.descriptor());
  EXPECT_TRUE(agent_of(of_gpu).extension->serves);
  auto of_host = connector_.create_readable(Descriptor(memory_.data(), 9));
  EXPECT_FALSE(agent_of(of_host).extension->serves);
  const Asker asker(of_host);
  expect_refusal(asker, request(asker, Descriptor(memory_.data(), 9)),
                 "the memory is the host's");
}

TEST_F(ServeRequests, AreRefusedWhateverIsWrongWithThem) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  const auto with = [&](const std::function<void(wire::Serve&)>& change) {
    wire::Serve message = request(asker, gpu_.descriptor());
    change(message);
    return message;
  };
  const auto with_agent = [&](const std::function<void(wire::AgentMetadata&)>& change) {
    wire::AgentMetadata agent = own_metadata(asker);
    change(agent);
    return with([&](wire::Serve& each) { each.exposed = wire::encode(agent); });
  };
  const char* const ended = "its operation has ended";
  const char* const foreign = "the metadata is another process's";
  const char* const exposed = "outside of the memory that is exposed";
  const char* const served = "outside of the memory to be served";
  const char* const ranges = "no ranges, or too many";
  const std::vector<std::pair<wire::Serve, const char*>> all{
      {with([](wire::Serve& each) { each.token ^= 1; }), ended},
      {with([](wire::Serve& each) { ++each.lease; }), ended},
      {with([](wire::Serve& each) { each.exposed = {}; }), "metadata"},
      {with([](wire::Serve& each) { each.exposed.resize(9); }), "metadata"},
      {with_agent([](auto& agent) { agent.extension->instance = {}; }), foreign},
      {with_agent([](auto& agent) { agent.extension.reset(); }), foreign},
      {with_agent([](auto& agent) { agent.connection->pop_back(); }), foreign},
      {with_agent([](auto& agent) { agent.extension->ready.emplace(); }),
       "the metadata is of memory of a GPU"},
      {with([](wire::Serve& each) { --each.ranges[0].address; }), exposed},
      {with([](wire::Serve& each) { ++each.ranges[0].size; }), exposed},
      {with([](wire::Serve& each) { each.ranges[0].size = ~std::uint64_t{0}; }),
       exposed},
      {with([](wire::Serve& each) { each.ranges[0].address = 0; }), exposed},
      {with([](wire::Serve& each) { each.ranges[0].size = 0; }), "no bytes"},
      {with([](wire::Serve& each) { ++each.ranges[0].asker_address; }), served},
      {with([](wire::Serve& each) { each.ranges.clear(); }), ranges},
      {with([](wire::Serve& each) { each.count = wire::kMaxServedRanges + 1; }),
       ranges},
      {with([](wire::Serve& each) { each.count = 0; }), "more ranges than announced"},
  };
  for (const auto& [message, why] : all) expect_refusal(asker, message, why);
  EXPECT_EQ(readable.status(), OperationStatus::kInitialized);
}

TEST_F(ServeRequests, AreRefusedIfThereAreTooMany) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  wire::Serve message = request(asker, gpu_.descriptor());
  message.count = 2;  // of which the second one does not come
  for (int i = 0; i < 64; ++i, ++message.operation) asker.say(message);
  expect_refusal(asker, message, "too many operations are to be served");
}

TEST_F(ServeRequests, ComeWithAllTheirRangesInOrder) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  wire::Serve message = request(asker, gpu_.descriptor());
  message.count = 3;
  asker.say(message);
  message.first = 2;
  expect_refusal(asker, message, "ranges are missing");
  message.first = 1;  // of what was refused: of no matter
  asker.say(message);
  message.first = 0;
  asker.say(message);
  message.first = 1;
  message.ranges.resize(3, message.ranges[0]);
  expect_refusal(asker, message, "more ranges than announced");
}

// Which are without a lease.
TEST_F(ServeRequests, DoNotLeadToWhatThisSideReads) {
  auto first = connector_.create_readable(gpu_.descriptor());
  const Asker asker(first);
  // Never granted, as its peer is none.
  Connector other(with_gpus());
  auto writable = other.create_writable(gpu_.descriptor());
  const Gpu source(0);
  stand_in::hold_streams();
  auto write = connector_.begin_write(source.descriptor(), writable.metadata());
  wire::Serve message = request(asker, source.descriptor());
  message.lease = 0;
  expect_refusal(asker, message, "its operation has ended");
  stand_in::release_streams();
  EXPECT_EQ(finish(write), OperationStatus::kComplete);
}

TEST_F(ServeRequests, AreNotHeardOfThoseWhoHaveNotGreeted) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable, Asker::Greeting::kLater);
  wire::Serve message = request(asker, gpu_.descriptor());
  message.token ^= 1;
  asker.say(message);
  asker.greet();
  message.operation = 8;
  expect_refusal(asker, message, "its operation has ended");
}

// The copy might need what the driver makes wait for that stream.
TEST_F(ServeRequests, AreRefusedWhereAStreamWaitsForTheEnd) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  readable.wait_on(gpu_.stream());
  const Asker asker(readable);
  expect_refusal(asker, request(asker, gpu_.descriptor()),
                 "a stream waits for the end");
  readable.cancel();
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
}

// The name that its metadata gives is that of another peer.
TEST_F(ServeRequests, TakeNoOthersPlace) {
  Connector other(with_gpus());
  const Allocation shown = Connector::allocate(64);
  auto exposed = other.create_readable(shown.descriptor());
  auto view = connector_.begin_view(exposed.metadata());
  EXPECT_EQ(finish(view), OperationStatus::kComplete);
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  wire::AgentMetadata agent = own_metadata(asker);
  agent.agent = agent_of(exposed).agent;
  wire::Serve message = request(asker, gpu_.descriptor());
  message.exposed = wire::encode(agent);
  asker.say(message);
  EXPECT_TRUE(asker.has_answer(20'000));
  EXPECT_FALSE(view.is_revoked());
}

// Those that have begun are told to the asker by their Attach, the others are refused
// in the end.
TEST_F(ServeRequests, WaitForOthersOfTheSameAsker) {
  auto readable = connector_.create_readable(gpu_.descriptor());
  const Asker asker(readable);
  wire::Serve message = request(asker, gpu_.descriptor());
  constexpr std::size_t kMore = 3;
  for (std::size_t i = 0; i < wire::kMaxServedOperations + kMore; ++i) {
    asker.say(message);
    ++message.operation;
  }
  std::size_t begun = 0;
  std::size_t refused = 0;
  const auto hear_until = [&](std::size_t& count, std::size_t enough) {
    while (count < enough && asker.has_answer(20'000))
      for (const wire::ControlBody& body : asker.hear_all()) {
        begun += std::holds_alternative<wire::Attach>(body) ? 1U : 0U;
        refused += std::holds_alternative<wire::NotServed>(body) ? 1U : 0U;
      }
  };
  hear_until(begun, wire::kMaxServedOperations);
  EXPECT_EQ(refused, 0U);
  readable.cancel();
  hear_until(refused, kMore);
  EXPECT_EQ(refused, kMore);
  EXPECT_EQ(begun, wire::kMaxServedOperations);
  EXPECT_EQ(finish(readable), OperationStatus::kCancelled);
}

// Who asks, and then does not let it.
TEST_F(ServeRequests, EndWithTheOperationIfTheAskerIsSilent) {
  auto writable = connector_.create_writable(gpu_.descriptor());
  auto readable = connector_.create_readable(gpu_.descriptor());
  for (PassiveOperation* const each : {static_cast<PassiveOperation*>(&writable),
                                       static_cast<PassiveOperation*>(&readable)}) {
    const Asker asker(*each);
    asker.say(request(asker, gpu_.descriptor()));
    EXPECT_TRUE(asker.has_answer(20'000)) << "it has begun";
    each->cancel();
    EXPECT_EQ(finish(*each), OperationStatus::kCancelled);
  }
}

}  // namespace
}  // namespace nixl_connect::testing
