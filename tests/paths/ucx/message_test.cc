// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

base::Bytes payload_of(std::size_t size) {
  base::Bytes payload(size);
  fill(payload, 3);
  return payload;
}

class MessageSizes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(MessageSizes, ArriveWholeOnTheirId) {
  Peer peer;
  Session session;
  Endpoint& endpoint = session.worker.connect(peer.address(), nullptr);
  for (const unsigned id : {0U, 20U}) {
    endpoint.send(id, payload_of(GetParam()));
    peer.want_message();
    session.run_until([&] { return peer.process().channel().is_readable(); },
                      peer.process().channel().fd());
    const auto [arrived_id, arrived] = peer.take_message();
    EXPECT_EQ(arrived_id, id);
    EXPECT_EQ(arrived, payload_of(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Message, MessageSizes, ::testing::Values(1, 75, 4096, 60'000));

TEST(Message, ArrivesFromAPeerNeverConnectedTo) {
  Session session;
  std::vector<base::Bytes> received;
  session.worker.on_message(20, [&](base::BytesView payload) {
    received.emplace_back(payload.begin(), payload.end());
  });
  Peer peer;
  peer.send(session.worker.address(), 20, payload_of(75));
  session.run_until([&] { return !received.empty(); });
  EXPECT_EQ(received, std::vector<base::Bytes>{payload_of(75)});
}

TEST(Message, KeepsItsOrderOnOneEndpoint) {
  Session session;
  std::vector<std::size_t> sizes;
  session.worker.on_message(
      20, [&](base::BytesView payload) { sizes.push_back(payload.size()); });
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  std::vector<std::size_t> sent;
  for (std::size_t size = 1; size <= 300; ++size) {
    endpoint.send(20, payload_of(size));
    sent.push_back(size);
  }
  session.run_until([&] { return sizes.size() == sent.size(); });
  EXPECT_EQ(sizes, sent);
}

TEST(Message, IsHandledOutsideUcxSoThatTheHandlerMayCloseEndpoints) {
  Session session;
  Endpoint& endpoint = session.worker.connect(session.worker.address(), nullptr);
  bool is_handled = false;
  session.worker.on_message(20, [&](base::BytesView) {
    session.worker.close(endpoint);
    is_handled = true;
  });
  endpoint.send(20, payload_of(10));
  EXPECT_FALSE(is_handled);
  session.run_until([&] { return is_handled; });
}

TEST(Message, SurvivesACloseBehindItsFlush) {
  Peer peer;
  Session session;
  Endpoint& endpoint = session.worker.connect(peer.address(), nullptr);
  bool is_flushed = false;
  endpoint.send(20, payload_of(60'000));
  endpoint.flush([&] { is_flushed = true; });
  EXPECT_FALSE(is_flushed);
  session.run_until([&] { return is_flushed; });
  session.worker.close(endpoint);
  peer.want_message();
  EXPECT_EQ(peer.take_message().second, payload_of(60'000));
}

TEST(Message, FlushEndsOnAFailedEndpointToo) {
  Peer peer;
  Session session;
  bool is_failed = false;
  Endpoint& endpoint = session.worker.connect(
      peer.address(), [&](const std::string&) { is_failed = true; });
  bool is_flushed = false;
  endpoint.flush([&] { is_flushed = true; });
  session.run_until([&] { return is_flushed; });
  peer.process().kill();
  session.run_until([&] { return is_failed; });
  is_flushed = false;
  endpoint.flush([&] { is_flushed = true; });
  EXPECT_FALSE(is_flushed);
  session.run_until([&] { return is_flushed; });
}

TEST(Message, ThatAsksForRendezvousIsRefused) {
  Session receiver;
  bool is_handled = false;
  receiver.worker.on_message(20, [&](base::BytesView) { is_handled = true; });
  Session sender;
  Endpoint& endpoint = sender.worker.connect(receiver.worker.address(), nullptr);

  const base::Bytes payload(1 << 20);
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  params.flags = UCP_AM_SEND_FLAG_RNDV;
  ucs_status_ptr_t request = sender.worker.functions().am_send_nbx(
      endpoint.raw(), 20, nullptr, 0, payload.data(), payload.size(), &params);
  ASSERT_TRUE(UCS_PTR_IS_PTR(request));
  ucp_request_attr_t attributes{};
  attributes.field_mask = UCP_REQUEST_ATTR_FIELD_STATUS;
  attributes.status = UCS_INPROGRESS;
  receiver.run_until([&] {
    sender.worker.progress();
    sender.worker.functions().request_query(request, &attributes);
    return attributes.status != UCS_INPROGRESS;
  });
  sender.worker.functions().request_free(request);
  EXPECT_NE(attributes.status, UCS_OK);
  EXPECT_FALSE(is_handled);
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
