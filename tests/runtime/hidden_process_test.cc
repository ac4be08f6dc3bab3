// SPDX-License-Identifier: Apache-2.0
//
// Processes into which nobody can look through /proc: of an unprivileged user and not
// to be traced, or each in a pid namespace of its own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/exported_memory.h"
#include "nixl_connect/connector.h"
#include "runtime/buffers.h"
#include "runtime/lease_words.h"
#include "support/child.h"
#include "wire/envelope.h"
#include "wire/nixl_blob.h"

namespace nixl_connect {
namespace {

using testing::Channel;
using testing::Child;

constexpr std::size_t kSize = 3 << 20;
constexpr uid_t kNobody = 65534;

std::byte pattern(std::size_t i) { return static_cast<std::byte>(i * 31 + i / 4096); }

// Says why the rest of the role cannot be played.
[[noreturn]] void give_up(const Channel& test, const std::string& why) {
  test.send("skip: " + why);
  std::exit(0);
}

// Hides this process, and tells its number. It goes on in a child, if it must.

void become_untraceable(const Channel& test) {
  // Opens the libraries, which that user may have no right to.
  { const Connector first; }
  if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
    give_up(test, std::string("setuid: ") + std::strerror(errno));
  if (::prctl(PR_SET_DUMPABLE, 0) != 0)
    give_up(test, std::string("PR_SET_DUMPABLE: ") + std::strerror(errno));
  test.send(std::to_string(::getpid()));
}

bool write_file(const char* path, const std::string& text) {
  return static_cast<bool>(std::ofstream(path) << text << std::flush);
}

void enter_a_pid_namespace(const Channel& test) {
  const std::string user = std::to_string(::getuid());
  const std::string group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
    give_up(test,
            std::string("the kernel forbids namespaces: ") + std::strerror(errno));
  write_file("/proc/self/setgroups", "deny");
  if (!write_file("/proc/self/uid_map", user + " " + user + " 1") ||
      !write_file("/proc/self/gid_map", group + " " + group + " 1"))
    give_up(test, "the kernel forbids to map users");
  int told[2];
  if (::pipe(told) != 0) give_up(test, std::string("pipe: ") + std::strerror(errno));
  const pid_t inner = ::fork();
  if (inner != 0) {
    test.send(std::to_string(inner));
    (void)!::write(told[1], "t", 1);
    ::waitpid(inner, nullptr, 0);
    std::_Exit(0);
  }
  // Killing the process that the test knows ends this one.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Both speak to the test, which hears the number first.
  char byte = 0;
  (void)!::read(told[0], &byte, 1);
  ::close(told[0]);
  ::close(told[1]);
}

void hide(std::string_view how, const Channel& test) {
  if (how == "untraceable") become_untraceable(test);
  if (how == "namespace") enter_a_pid_namespace(test);
}

// Roles, which the test ends.

[[noreturn]] void expose_role(const Channel& test) {
  Connector connector(testing::across_processes());
  const Allocation memory = Connector::allocate(kSize);
  for (std::size_t i = 0; i < kSize; ++i) memory.data()[i] = pattern(i);
  const Allocation inbox = Connector::allocate(kSize);
  auto readable = connector.create_readable(memory.descriptor(), {.stays_open = true});
  auto writable = connector.create_writable(inbox.descriptor());
  test.send(readable.metadata().to_json());
  test.send(writable.metadata().to_json());
  while (true) {
    test.receive();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < kSize; ++i) wrong += inbox.data()[i] != pattern(i);
    test.send(std::to_string(wrong));
  }
}

// Whether it can be opened in /proc, which would prove nothing.
bool is_open_to_this_process(const RdmaMetadata& metadata) {
  const auto agent = wire::decode(wire::decode_blob_text(metadata.nixl_metadata));
  const wire::LeaseTable table = agent.extension->lease_table.value();
  return base::SharedMemory::of_process(table.pid, table.fd, runtime::kLeaseTableName)
      .has_value();
}

std::string how_it_ended(Operation& operation) {
  try {
    if (!operation.wait_for(testing::kSoon)) return "never";
  } catch (const Error& error) {
    return std::string("failed: ") + error.what();
  }
  return operation.path();
}

[[noreturn]] void transfer_role(const Channel& test) {
  ConnectorOptions options = testing::across_processes();
  options.drain_timeout = std::chrono::seconds(20);
  Connector connector(options);
  test.send("ready");
  while (true) {
    const std::string what = test.receive_text();
    const auto metadata = RdmaMetadata::from_json(test.receive_text());
    const std::string prefix =
        is_open_to_this_process(metadata) ? "it is open to this process; " : "";
    std::vector<std::byte> memory(kSize);
    if (what == "explain") {
      const std::vector<Descriptor> targets{{memory.data(), kSize}};
      test.send(connector.explain(metadata, targets).to_text());
      continue;
    }
    if (what == "write") {
      for (std::size_t i = 0; i < kSize; ++i) memory[i] = pattern(i);
      auto write = connector.begin_write({memory.data(), kSize}, metadata);
      test.send(prefix + how_it_ended(write));
      continue;
    }
    auto read = connector.begin_read(metadata, {memory.data(), kSize});
    if (what == "read from a stopped one")
      test.send(read.wait_for(std::chrono::milliseconds(100)) ? "over" : "waits");
    const std::string end = how_it_ended(read);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < kSize; ++i) wrong += memory[i] != pattern(i);
    test.send(prefix + end + (wrong > 0 && end == "host.map" ? ", wrong" : ""));
  }
}

// One of them. It may be unable to play its role, and then says why.
class Hidden {
 public:
  Hidden(const std::string& role, const std::string& how) : child_(role + ":" + how) {
    if (!is_skipped()) process_ = std::stoi(heard_);
  }

  bool is_skipped() { return hear().rfind("skip: ", 0) == 0; }
  const std::string& hear() { return heard_ = child_.channel().receive_text(); }
  const std::string& heard() const { return heard_; }
  const std::string& ask(const std::string& what, const std::string& metadata) {
    say(what);
    say(metadata);
    return hear();
  }
  void say(const std::string& line) { child_.channel().send(line); }

  // On return it stands still.
  void stop() const {
    if (process_ == 0) return;
    ::kill(process_, SIGSTOP);
    char state = 0;
    while (state != 'T') {
      std::ifstream status("/proc/" + std::to_string(process_) + "/stat");
      std::string word;
      status >> word >> word >> state;
    }
  }
  void go_on() const { ::kill(process_, SIGCONT); }
  void die() {
    if (process_ != 0) ::kill(process_, SIGKILL);
    child_.kill();
  }

 private:
  Child child_;
  std::string heard_;
  pid_t process_ = 0;
};

class HiddenProcess : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (exposer_.heard().rfind("skip: ", 0) == 0) GTEST_SKIP() << exposer_.heard();
    ASSERT_FALSE(exposer_.is_skipped()) << exposer_.heard();
    readable_ = exposer_.heard();
    writable_ = exposer_.hear();
    ASSERT_EQ(initiator_.hear(), "ready");
  }

  Hidden exposer_{"expose", GetParam()};
  Hidden initiator_{"transfer", GetParam()};
  std::string readable_;
  std::string writable_;
};

TEST_P(HiddenProcess, IsReadAndWrittenThroughTheMap) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(initiator_.ask("read", readable_), "host.map");
  EXPECT_EQ(initiator_.ask("write", writable_), "host.map");
  exposer_.say("check");
  EXPECT_EQ(exposer_.hear(), "0") << "wrong bytes";
}

TEST_P(HiddenProcess, IsExplained) {
  const std::string plan = initiator_.ask("explain", readable_);
  EXPECT_NE(plan.find(": host.map\n"), std::string::npos) << plan;
  const bool is_namespace = std::string(GetParam()) == "namespace";
  EXPECT_NE(plan.find(is_namespace ? "another pid namespace" : "not dumpable"),
            std::string::npos)
      << plan;
}

TEST_P(HiddenProcess, ThatDiesBeforeItAnswersEndsTheOperation) {
  exposer_.stop();
  EXPECT_EQ(initiator_.ask("read from a stopped one", readable_), "waits");
  exposer_.die();
  EXPECT_EQ(initiator_.hear().rfind("failed: ", 0), 0U) << initiator_.heard();
}

TEST_P(HiddenProcess, SurvivesThoseWhoDieWhileTheyAsk) {
  // After a first success nobody's failure ends it.
  EXPECT_EQ(initiator_.ask("read", readable_), "host.map");
  for (int i = 0; i < 5; ++i) {
    Hidden reader("transfer", GetParam());
    ASSERT_EQ(reader.hear(), "ready");
    exposer_.stop();
    EXPECT_EQ(reader.ask("read from a stopped one", readable_), "waits");
    reader.die();
    exposer_.go_on();
  }
  Hidden last("transfer", GetParam());
  ASSERT_EQ(last.hear(), "ready");
  EXPECT_EQ(last.ask("read", readable_), "host.map");
}

INSTANTIATE_TEST_SUITE_P(Ways, HiddenProcess,
                         ::testing::Values("untraceable", "namespace"),
                         [](const auto& how) { return std::string(how.param); });

}  // namespace

int testing::run_role(std::string_view role, const Channel& test) {
  const std::size_t colon = role.find(':');
  hide(role.substr(colon + 1), test);
  if (role.substr(0, colon) == "expose") expose_role(test);
  transfer_role(test);
}

}  // namespace nixl_connect
