// SPDX-License-Identifier: Apache-2.0
//
// The texts of ptrace_permission.h. The first rule that is broken is named, in an order
// in which what is certain comes before what is likely.
#include "base/ptrace_permission.h"

namespace nixl_connect::base {
namespace {

constexpr const char* kCapability = "give this process CAP_SYS_PTRACE";

std::optional<Refusal> explain_user(const PtraceFacts& facts) {
  if (!facts.peer || facts.has_capability) return std::nullopt;
  const auto& [user, group] = *facts.peer;
  if (user != facts.own.user)
    return Refusal{"the peer runs as user " + std::to_string(user) +
                       ", this process as " + std::to_string(facts.own.user),
                   "run both as one user"};
  if (group != facts.own.group)
    return Refusal{"the peer runs as group " + std::to_string(group) +
                       ", this process as " + std::to_string(facts.own.group),
                   "run both as one group"};
  return std::nullopt;
}

std::optional<Refusal> explain_yama(const PtraceFacts& facts) {
  const int scope = facts.yama_scope.value_or(0);
  const std::string is_scope = "kernel.yama.ptrace_scope is " + std::to_string(scope);
  if (scope >= 3)
    return Refusal{is_scope + ", which forbids it to all processes",
                   "start this host with kernel.yama.ptrace_scope = 1; 3 stays until "
                   "it is started again"};
  if (facts.has_capability || scope <= 0) return std::nullopt;
  if (scope == 2)
    return Refusal{is_scope + ", which wants CAP_SYS_PTRACE",
                   std::string("sysctl kernel.yama.ptrace_scope=1, or ") + kCapability};
  return Refusal{is_scope + " and the peer has not allowed this process",
                 "leave allow_ptrace on at the peer, or sysctl "
                 "kernel.yama.ptrace_scope=0"};
}

}  // namespace

Refusal explain_refusal(const PtraceFacts& facts) {
  if (facts.is_filtered)
    return {"a seccomp filter of this container forbids process_vm_readv",
            "allow it (Docker: --cap-add=SYS_PTRACE, or a newer default profile)"};
  if (facts.is_in_our_user_namespace == false)
    return {"the peer is in another user namespace, that of a container perhaps",
            "run both in one container, or in containers of one user namespace"};
  if (auto refusal = explain_user(facts)) return *std::move(refusal);
  if (auto refusal = explain_yama(facts)) return *std::move(refusal);
  if (facts.is_dumpable == false && !facts.has_capability)
    return {
        "the peer is not dumpable (it changed its user or has file capabilities)",
        "start it as the user that it runs as and without file capabilities, or let "
        "it call prctl(PR_SET_DUMPABLE, 1)"};
  if (facts.has_more_capabilities && !facts.has_capability)
    return {"the peer has capabilities that this process has not",
            std::string("run both with the same capabilities, or ") + kCapability};
  if (facts.is_in_our_pid_namespace == false)
    return {"the peer is in a container of its own",
            std::string("run both in one container, or ") + kCapability};
  return {
      "the kernel does not tell why; a security module such as AppArmor or SELinux "
      "may forbid it",
      std::string("run both under one profile of that module, or ") + kCapability};
}

}  // namespace nixl_connect::base
