// SPDX-License-Identifier: Apache-2.0
//
// Why the kernel does not let this process reach into the memory of another one of its
// host: the rules are those of ptrace(2), PTRACE_MODE_ATTACH_REALCREDS, then Yama's,
// then those of a seccomp filter. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace nixl_connect::base {

// What the kernel's rules go by. Nothing: it is not to be seen from here.
struct PtraceFacts {
  struct User {
    uid_t user = 0;  // as this process's namespace numbers them
    gid_t group = 0;

    bool operator==(const User&) const = default;
  };

  std::optional<int> yama_scope;  // kernel.yama.ptrace_scope; nothing without Yama
  bool has_capability = false;    // CAP_SYS_PTRACE, in force
  // A seccomp filter forbids process_vm_readv, to whatever process.
  bool is_filtered = false;
  User own;  // the real ones, by which the kernel goes
  std::optional<User> peer;
  std::optional<bool> is_in_our_user_namespace;
  std::optional<bool> is_in_our_pid_namespace;  // or else in one within it
  std::optional<bool> is_dumpable;
  bool has_more_capabilities = false;  // the peer, than this process
};

// Looks at the process as it is now: some files of /proc.
PtraceFacts ptrace_facts(pid_t peer);

struct Refusal {
  std::string cause;   // a clause
  std::string remedy;  // an order
};

// What stands against it most likely, for people.
Refusal explain_refusal(const PtraceFacts& facts);

// Nothing where the kernel has no Yama.
std::optional<int> yama_scope();

}  // namespace nixl_connect::base
