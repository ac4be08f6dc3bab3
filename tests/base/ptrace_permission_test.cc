// SPDX-License-Identifier: Apache-2.0
#include "base/ptrace_permission.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "support/forked_process.h"

namespace nixl_connect::base {
namespace {

using testing::ForkedProcess;
using User = PtraceFacts::User;

// Two processes between which nothing stands.
PtraceFacts plain() {
  PtraceFacts facts;
  facts.own = {1000, 1000};
  facts.peer = {1000, 1000};
  facts.is_in_our_user_namespace = true;
  facts.is_in_our_pid_namespace = true;
  facts.is_dumpable = true;
  return facts;
}

struct Case {
  std::function<void(PtraceFacts&)> change;
  const char* cause;
  const char* remedy;
};

TEST(ExplainRefusal, NamesTheCauseAndTheRemedy) {
  const Case cases[] = {
      {[](auto& facts) { facts.yama_scope = 1; },
       "kernel.yama.ptrace_scope is 1 and the peer has not allowed this process",
       "allow_ptrace"},
      {[](auto& facts) { facts.yama_scope = 2; }, "kernel.yama.ptrace_scope is 2",
       "CAP_SYS_PTRACE"},
      {[](auto& facts) { facts.yama_scope = 3; }, "kernel.yama.ptrace_scope is 3",
       "start this host"},
      {[](auto& facts) {
         facts.peer = User{1001, 1000};
       },
       "the peer runs as user 1001, this process as 1000", "run both as one user"},
      {[](auto& facts) {
         facts.peer = User{1000, 7};
       },
       "the peer runs as group 7, this process as 1000", "run both as one group"},
      {[](auto& facts) { facts.is_filtered = true; }, "a seccomp filter",
       "--cap-add=SYS_PTRACE"},
      {[](auto& facts) { facts.is_dumpable = false; },
       "the peer is not dumpable (it changed its user or has file capabilities)",
       "without file capabilities"},
      {[](auto& facts) { facts.is_in_our_user_namespace = false; },
       "another user namespace", "one container"},
      {[](auto& facts) { facts.is_in_our_pid_namespace = false; },
       "a container of its own", "one container"},
      {[](auto& facts) { facts.has_more_capabilities = true; },
       "the peer has capabilities that this process has not", "the same capabilities"},
      {[](auto&) {}, "the kernel does not tell why", "security module"},
      {[](auto& facts) {
         facts.peer.reset();
         facts.is_in_our_user_namespace.reset();
         facts.is_in_our_pid_namespace.reset();
         facts.is_dumpable.reset();
       },
       "the kernel does not tell why", "CAP_SYS_PTRACE"},
  };
  for (const Case& each : cases) {
    PtraceFacts facts = plain();
    each.change(facts);
    const Refusal refusal = explain_refusal(facts);
    EXPECT_NE(refusal.cause.find(each.cause), std::string::npos) << refusal.cause;
    EXPECT_NE((refusal.remedy + refusal.cause).find(each.remedy), std::string::npos)
        << refusal.cause << "; " << refusal.remedy;
    EXPECT_FALSE(refusal.remedy.empty()) << refusal.cause;
  }
}

TEST(ExplainRefusal, DoesNotBlameWhatACapabilityOverrules) {
  PtraceFacts facts = plain();
  facts.has_capability = true;
  facts.peer = User{1001, 1001};
  facts.is_dumpable = false;
  facts.has_more_capabilities = true;
  facts.yama_scope = 2;
  EXPECT_NE(explain_refusal(facts).cause.find("does not tell"), std::string::npos);
  facts.yama_scope = 3;
  EXPECT_NE(explain_refusal(facts).cause.find("is 3"), std::string::npos);
  facts.is_in_our_user_namespace = false;
  EXPECT_NE(explain_refusal(facts).cause.find("user namespace"), std::string::npos);
}

TEST(ExplainRefusal, NamesTheSurerCauseFirst) {
  PtraceFacts facts = plain();
  facts.yama_scope = 1;
  facts.peer = User{1001, 1001};
  EXPECT_NE(explain_refusal(facts).cause.find("user 1001"), std::string::npos);
  facts.is_filtered = true;
  EXPECT_NE(explain_refusal(facts).cause.find("seccomp"), std::string::npos);
}

TEST(PtraceFacts, OfAChildAreThoseOfThisProcess) {
  const ForkedProcess child([] {});
  const PtraceFacts facts = ptrace_facts(child.pid());
  EXPECT_EQ(facts.own, (User{::getuid(), ::getgid()}));
  EXPECT_EQ(facts.peer, (User{::geteuid(), ::getegid()}));
  EXPECT_EQ(facts.is_in_our_user_namespace, true);
  EXPECT_EQ(facts.is_in_our_pid_namespace, true);
  EXPECT_NE(facts.is_dumpable, false);
  EXPECT_FALSE(facts.has_more_capabilities);
  EXPECT_FALSE(facts.is_filtered);
  EXPECT_EQ(facts.yama_scope, yama_scope());
}

TEST(PtraceFacts, ShowAnotherUserWhoIsNotDumpable) {
  constexpr uid_t kOther = 12'345;
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const ForkedProcess child([] {
    if (::setgid(kOther) != 0 || ::setuid(kOther) != 0) std::abort();
  });
  const PtraceFacts facts = ptrace_facts(child.pid());
  EXPECT_EQ(facts.peer, (User{kOther, kOther}));
  EXPECT_EQ(facts.is_dumpable, false);
}

TEST(PtraceFacts, ShowWhoSaysThatItIsNotDumpable) {
  if (::geteuid() == 0) GTEST_SKIP() << "of a process of root it is not to be seen";
  const ForkedProcess child([] { ::prctl(PR_SET_DUMPABLE, 0); });
  EXPECT_EQ(ptrace_facts(child.pid()).is_dumpable, false);
}

TEST(PtraceFacts, AreUnknownOfAProcessThatIsGone) {
  pid_t pid = 0;
  {
    const ForkedProcess child([] {});
    pid = child.pid();
  }
  const PtraceFacts facts = ptrace_facts(pid);
  EXPECT_EQ(facts.peer, std::nullopt);
  EXPECT_EQ(facts.is_dumpable, std::nullopt);
  EXPECT_EQ(facts.is_in_our_user_namespace, std::nullopt);
}

}  // namespace
}  // namespace nixl_connect::base
