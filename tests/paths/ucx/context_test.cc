// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/context.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "nixl_connect/error.h"
#include "paths/ucx/pattern.h"
#include "paths/ucx/peer.h"
#include "paths/ucx/session.h"

namespace nixl_connect::paths::ucx::testing {
namespace {

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    ::setenv(name, value, 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

// The lanes to a peer after a transfer.
std::string lanes(const ContextOptions& options = {}) {
  Peer peer;
  const RemoteMemory remote = peer.expose(4096, 1);
  Session session(options);
  const Pages local(4096);
  const Registration registration(session.context, local.address(), 4096);
  Endpoint& endpoint = session.worker.connect(peer.address(), nullptr);
  const RemoteKey& key = endpoint.remote_key(remote.rkey);
  const TransferResult result = session.run(
      endpoint, Direction::kGet,
      {{local.address(), remote.address, 4096, &registration, &key}}, false);
  EXPECT_FALSE(result.failure) << *result.failure;
  return endpoint.lanes();
}

TEST(Context, GivesWayToTheVariablesOfTheUser) {
  EXPECT_NE(lanes().find("cma"), std::string::npos);
  const Variable transports("UCX_TLS", "tcp,self");
  EXPECT_EQ(lanes().find("cma"), std::string::npos);
}

TEST(Context, DoesWithoutCma) {
  ContextOptions options;
  options.cma = false;
  EXPECT_EQ(lanes(options).find("cma"), std::string::npos);
}

bool has_other_device() {
  struct if_nameindex* devices = ::if_nameindex();
  const bool has_two = devices[0].if_index != 0 && devices[1].if_index != 0;
  ::if_freenameindex(devices);
  return has_two;
}

TEST(Context, WithoutNetworkStaysOnLoopbackWhateverTheEnvironmentSays) {
  const Variable devices("UCX_NET_DEVICES", "all");
  const Session open;
  const Session closed({.net_devices = "", .network = false});
  if (!has_other_device()) GTEST_SKIP() << "this host has a loopback device only";
  EXPECT_LT(closed.worker.address().size(), open.worker.address().size());
}

TEST(Context, RefusesNetworkDevicesThatAreNotThere) {
  EXPECT_NO_THROW(Session({.net_devices = "lo", .network = true}));
  EXPECT_NO_THROW(Session({.net_devices = "l*", .network = true}));
  try {
    const Session session({.net_devices = "lo,eht0", .network = true});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("\"eht0\""), std::string::npos);
  }
}

// The reason why a context for memory of GPUs is refused; empty if it is not.
std::string why_without_gpus() {
  try {
    const Context context(library_under_test(), {.gpus = true});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    return error.what();
  }
  return {};
}

TEST(Context, ForMemoryOfGpusSaysWhatUcxLacks) {
  const Variable transports("UCX_TLS", "tcp,cma,self");
  const std::string why = why_without_gpus();
  const bool has_module = library_under_test().has_cuda;
  EXPECT_NE(why.find(has_module ? "told to do without CUDA (UCX_TLS=tcp,cma,self)"
                                : "has no module for CUDA"),
            std::string::npos)
      << why;
}

TEST(Context, ForMemoryOfGpusNeedsADriver) {
  if (::access("/dev/nvidiactl", F_OK) == 0) GTEST_SKIP() << "this host has one";
  if (!library_under_test().has_cuda) GTEST_SKIP() << "this UCX could not use it";
  const std::string why = why_without_gpus();
  EXPECT_NE(why.find("there is no libcuda.so.1"), std::string::npos) << why;
}

}  // namespace
}  // namespace nixl_connect::paths::ucx::testing
