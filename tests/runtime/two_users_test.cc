// SPDX-License-Identifier: Apache-2.0
//
// Processes of two users on one host: unless the initiating one is root's it may not
// touch the other's memory, so bytes go by UCX, the plan names the user as the reason,
// and whoever else is served goes on being served.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/ptrace_permission.h"
#include "nixl_connect/connector.h"
#include "runtime/servant.h"
#include "support/child.h"

namespace nixl_connect {
namespace {

using testing::Child;

constexpr uid_t kRoot = 0;
constexpr uid_t kOne = 23'456;
constexpr uid_t kAnother = 34'567;

// Nothing, or why this process cannot be that user's.
std::optional<std::string> become(uid_t user) {
  // Opens the libraries, which that user may have no right to.
  { const Connector first; }
  if (user == kRoot) return std::nullopt;
  const bool is_done = ::setgroups(0, nullptr) == 0 &&
                       ::setresgid(user, user, user) == 0 &&
                       ::setresuid(user, user, user) == 0 &&
                       // As if that user had started it.
                       ::prctl(PR_SET_DUMPABLE, 1) == 0;
  if (is_done) return std::nullopt;
  return "this root cannot make processes of other users: " +
         std::string(std::strerror(errno));
}

// A process of a user.
class Process {
 public:
  explicit Process(uid_t user) : child_(std::to_string(user)) {
    obstacle_ = child_.channel().receive_text();
  }

  const std::string& obstacle() const { return obstacle_; }
  std::string ask(const std::string& order, const std::string& metadata = {}) const {
    child_.channel().send(order);
    child_.channel().send(metadata);
    return child_.channel().receive_text();
  }
  void kill() { child_.kill(); }

 private:
  Child child_;
  std::string obstacle_;
};

struct Users {
  uid_t initiating;
  uid_t exposing;
};

class TwoUsers : public ::testing::TestWithParam<Users> {
 protected:
  void SetUp() override {
    if (::geteuid() != kRoot)
      GTEST_SKIP() << "only root can start processes of other users";
    exposing_.emplace(GetParam().exposing);
    initiating_.emplace(GetParam().initiating);
    for (const auto* each : {&*exposing_, &*initiating_})
      if (!each->obstacle().empty()) GTEST_SKIP() << each->obstacle();
  }

  // A read and a write, by that path.
  void expect_moves(const Process& initiating, const std::string& memory,
                    const std::string& path, const std::string& require = "") const {
    for (const char* const kind : {"readable ", "writable "}) {
      SCOPED_TRACE(kind + memory);
      expect_move(initiating, exposing_->ask(kind + memory), path, require);
    }
  }
  // Of every byte. Returns all that there is to say about the path.
  std::string expect_move(const Process& initiating, const std::string& metadata,
                          const std::string& path,
                          const std::string& require = "") const {
    std::string end = initiating.ask("move " + require, metadata);
    EXPECT_EQ(end.rfind(path, 0), 0U) << end;
    EXPECT_EQ(end.find("wrong"), std::string::npos) << end;
    EXPECT_EQ(exposing_->ask("end"), to_string(OperationStatus::kComplete));
    return end;
  }

  std::optional<Process> exposing_;
  std::optional<Process> initiating_;
};

std::string name_of(uid_t user) {
  if (user == kRoot) return "Root";
  return user == kOne ? "One" : "Another";
}

std::string name_of_users(const ::testing::TestParamInfo<Users>& users) {
  return name_of(users.param.initiating) + "To" + name_of(users.param.exposing);
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
}

// A process that is neither of the other one's user nor root's.
using Stranger = TwoUsers;

INSTANTIATE_TEST_SUITE_P(Of, Stranger,
                         ::testing::Values(Users{kOne, kAnother}, Users{kOne, kRoot}),
                         name_of_users);

TEST_P(Stranger, MovesBytesOverTcp) {
  for (const char* const exposure : {"readable allocated", "writable allocated",
                                     "readable plain", "writable plain"}) {
    SCOPED_TRACE(exposure);
    expect_in(expect_move(*initiating_, exposing_->ask(exposure), "ucx: "), " tcp/");
  }
}

TEST_P(Stranger, IsExplained) {
  for (const char* const memory : {"readable allocated", "writable plain"}) {
    const std::string plan = initiating_->ask("explain", exposing_->ask(memory));
    expect_in(plan, ": ucx\n");
    for (const char* const path : {"host.map", "host.cma"})
      expect_in(plan, std::string(path) +
                          "  not used: the peer belongs to another user\n"
                          "            to use it: run both processes as one user");
  }
}

TEST_P(Stranger, IsToldWhatToDoIfAPathOfOneHostIsRequired) {
  for (const char* const memory : {"readable allocated", "writable plain"})
    for (const std::string path : {"host.map", "host.cma"}) {
      const std::string metadata = exposing_->ask(memory);
      const std::string end = initiating_->ask("move " + path, metadata);
      EXPECT_EQ(end.rfind("unsupported: ", 0), 0U) << end;
      expect_in(end, path +
                         ": the peer belongs to another user "
                         "(run both processes as one user)");
      expect_move(*initiating_, metadata, "ucx: ");
    }
}

TEST_P(Stranger, IsRefusedAViewOfWhatItMayRead) {
  const std::string metadata = exposing_->ask("readable allocated");
  const std::string end = initiating_->ask("view", metadata);
  EXPECT_EQ(end.rfind("unsupported: ", 0), 0U) << end;
  expect_in(end, "of the same user");
  expect_move(*initiating_, metadata, "ucx: ");
}

TEST_P(Stranger, LeavesPeersOfTheExposersUserAlone) {
  const Process own(GetParam().exposing);
  ASSERT_EQ(own.obstacle(), "");
  const auto expect_service = [&](const Process& peer) {
    expect_moves(peer, "allocated", "host.map");
    expect_moves(peer, "plain", "host.cma");
  };
  expect_service(own);
  expect_moves(*initiating_, "allocated", "ucx: ");
  expect_service(own);
  initiating_->kill();
  expect_service(own);
  expect_service(Process(GetParam().exposing));
}

using Root = TwoUsers;

INSTANTIATE_TEST_SUITE_P(Of, Root, ::testing::Values(Users{kRoot, kOne}),
                         name_of_users);

// It is refused the channel, too, but /proc tells it who the peer is.
TEST_P(Root, ReadsByThePathsOfOneHostIfItMayTrace) {
  const bool may_trace = base::ptrace_facts(::getpid()).has_capability;
  expect_move(*initiating_, exposing_->ask("readable allocated"),
              may_trace ? "host.map" : "ucx: ");
  expect_move(*initiating_, exposing_->ask("readable plain"),
              may_trace ? "host.cma" : "ucx: ");
}

TEST_P(Root, WritesByUcxAsOnlyAChannelCouldTellOfTheEnd) {
  const bool may_trace = base::ptrace_facts(::getpid()).has_capability;
  const std::string obstacle =
      may_trace ? "without a local channel" : "the peer belongs to another user";
  const std::string metadata = exposing_->ask("writable allocated");
  const std::string plan = initiating_->ask("explain", metadata);
  for (const char* const path : {"host.map", "host.cma"})
    expect_in(plan, std::string(path) + "  not used: " + obstacle);
  expect_move(*initiating_, metadata, "ucx: ");
  expect_move(*initiating_, exposing_->ask("writable plain"), "ucx: ");
}

// The two ends differ in what UCX can do there: only one may use CMA.
TEST_P(Root, MovesBytesByUcxAsWell) {
  expect_moves(*initiating_, "plain", "ucx: ", "ucx");
}

}  // namespace

int testing::run_role(std::string_view role, const Channel& test) {
  const auto obstacle = become(static_cast<uid_t>(std::stoul(std::string(role))));
  test.send(obstacle.value_or(""));
  if (obstacle) return 0;
  Servant().serve(test);
}

}  // namespace nixl_connect
