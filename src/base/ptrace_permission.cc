// SPDX-License-Identifier: Apache-2.0
#include "base/ptrace_permission.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>

namespace nixl_connect::base {
namespace {

// Of /proc/<pid>/status.
struct Status {
  PtraceFacts::User real;
  PtraceFacts::User effective;
  std::uint64_t permitted = 0;
  std::uint64_t in_force = 0;
  std::ptrdiff_t namespace_depth = 0;  // of its pid
  int seccomp = 0;
};

std::optional<Status> read_status(const std::string& folder) {
  std::ifstream file(folder + "/status");
  if (!file) return std::nullopt;
  Status status;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "Uid:") words >> status.real.user >> status.effective.user;
    if (name == "Gid:") words >> status.real.group >> status.effective.group;
    if (name == "CapPrm:") words >> std::hex >> status.permitted;
    if (name == "CapEff:") words >> std::hex >> status.in_force;
    if (name == "Seccomp:") words >> status.seccomp;
    if (name == "NSpid:")
      status.namespace_depth = std::distance(std::istream_iterator<long>(words),
                                             std::istream_iterator<long>());
  }
  return status;
}

std::optional<std::string> target_of(const std::string& link) {
  std::array<char, 64> target{};
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0) return std::nullopt;
  return std::string(target.data(), static_cast<std::size_t>(length));
}

std::optional<bool> shares_user_namespace(const std::string& peer_folder) {
  const auto own = target_of("/proc/self/ns/user");
  const auto peer = target_of(peer_folder + "/ns/user");
  if (!own || !peer) return std::nullopt;
  return own == peer;
}

// The kernel gives the files of a process that is not dumpable to root, but for its
// folder. Of root's own processes nothing can be told.
std::optional<bool> is_dumpable(const std::string& peer_folder, uid_t user) {
  struct stat file {};
  if (user == 0 || ::stat((peer_folder + "/stat").c_str(), &file) != 0)
    return std::nullopt;
  return file.st_uid == user;
}

// A process may always read itself, unless a filter is in the way.
bool can_read_itself() noexcept {
  char from = 0;
  char to = 0;
  const iovec local{&to, 1};
  const iovec remote{&from, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1;
}

}  // namespace

std::optional<int> yama_scope() {
  std::ifstream file("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  if (file >> scope) return scope;
  return std::nullopt;
}

PtraceFacts ptrace_facts(pid_t peer) {
  constexpr int kFilter = 2;  // Source: seccomp(2), SECCOMP_MODE_FILTER
  PtraceFacts facts;
  const Status own = read_status("/proc/self").value_or(Status());
  facts.yama_scope = yama_scope();
  facts.has_capability = (own.in_force >> CAP_SYS_PTRACE & 1U) != 0;
  facts.is_filtered = own.seccomp == kFilter && !can_read_itself();
  facts.own = {::getuid(), ::getgid()};
  const std::string folder = "/proc/" + std::to_string(peer);
  const auto status = read_status(folder);
  if (!status) return facts;
  facts.peer = status->effective;
  facts.is_in_our_user_namespace = shares_user_namespace(folder);
  if (status->namespace_depth > 0 && own.namespace_depth > 0)
    facts.is_in_our_pid_namespace = status->namespace_depth == own.namespace_depth;
  facts.is_dumpable = is_dumpable(folder, status->effective.user);
  facts.has_more_capabilities = (status->permitted & ~own.permitted) != 0;
  return facts;
}

}  // namespace nixl_connect::base
