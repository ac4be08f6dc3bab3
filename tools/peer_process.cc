// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "peer_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace nixl_connect::tools {
namespace {

constexpr int kEndTimeoutMs = 10'000;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Pipe {
  int reading_end;
  int writing_end;
};

// Both ends are closed in programs that this one starts.
Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail(errno, "making a pipe to a process");
  return {ends[0], ends[1]};
}

// What a process gets at its start: the two pipes, and SIGPIPE as usual.
class SpawnSetup {
 public:
  SpawnSetup(int input, int output) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawnattr_init(&attributes_);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  pid_t spawn(const std::vector<std::string>& arguments) const {
    std::vector<char*> list;
    list.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments) {
      list.push_back(const_cast<char*>(argument.c_str()));
    }
    list.push_back(nullptr);
    pid_t id = -1;
    const int error =
        ::posix_spawnp(&id, list[0], &actions_, &attributes_, list.data(), environ);
    if (error != 0) fail(error, "starting " + arguments.at(0));
    return id;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

LinePipe::LinePipe(int input, int output)
    : input_(::fdopen(input, "r")), output_(::fdopen(output, "w")) {}

std::optional<std::string> LinePipe::read_line() {
  char* text = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&text, &capacity, input_.get());
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  if (length < 0) return std::nullopt;
  std::string line(text, static_cast<std::size_t>(length));
  if (line.ends_with('\n')) line.pop_back();
  return line;
}

bool LinePipe::write_line(std::string_view line) {
  std::FILE* const file = output_.get();
  return std::fwrite(line.data(), 1, line.size(), file) == line.size() &&
         std::fputc('\n', file) != EOF && std::fflush(file) == 0;
}

PeerProcess::PeerProcess(const std::vector<std::string>& arguments)
    : name_(std::filesystem::path(arguments.at(0)).filename()) {
  // A process that died is told by a failing write, not by the death of this one.
  std::signal(SIGPIPE, SIG_IGN);
  const Pipe down = make_pipe();
  const Pipe up = make_pipe();
  pipe_.emplace(up.reading_end, down.writing_end);
  const LinePipe ends_of_the_peer(down.reading_end, up.writing_end);
  id_ = SpawnSetup(down.reading_end, up.writing_end).spawn(arguments);
}

PeerProcess::~PeerProcess() { finish(); }

void PeerProcess::send(const Json& message) {
  if (!pipe_.value().write_line(message.dump())) {
    throw std::runtime_error(how_it_ended());
  }
}

Json PeerProcess::receive() {
  const auto line = receive_line();
  if (!line) throw std::runtime_error(how_it_ended());
  return Json::parse(*line);
}

std::optional<std::string> PeerProcess::receive_line() {
  return pipe_.value().read_line();
}

Json PeerProcess::ask(const Json& command) {
  send(command);
  Json answer = receive();
  if (answer.contains("error")) {
    throw std::runtime_error(answer.at("error").get<std::string>());
  }
  return answer;
}

int PeerProcess::finish() noexcept {
  if (id_ < 0) return exit_status_;
  pipe_.reset();
  int status = 0;
  // The end of the process is waited for by its pidfd, so that there is a limit.
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, id_, 0));
  pollfd end{descriptor, POLLIN, 0};
  if (descriptor < 0 || ::poll(&end, 1, kEndTimeoutMs) == 0) ::kill(id_, SIGKILL);
  if (descriptor >= 0) ::close(descriptor);
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return exit_status_;
}

std::string PeerProcess::how_it_ended() {
  const std::string who = name_ + " (process " + std::to_string(id_) + ")";
  const int status = finish();
  if (status > 128) {
    return who + " was ended by signal " + std::to_string(status - 128) + ", " +
           ::strsignal(status - 128);
  }
  return who + " ended with exit status " + std::to_string(status) +
         " before it answered";
}

ParentProcess::ParentProcess()
    : pipe_(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3),
            ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

std::optional<Json> ParentProcess::receive() {
  const auto line = pipe_.read_line();
  if (!line) return std::nullopt;
  return Json::parse(*line);
}

void ParentProcess::send(const Json& message) {
  // A parent that is gone shows at the next receive().
  (void)pipe_.write_line(message.dump());
}

void ParentProcess::serve(const std::function<Json(const Json& command)>& answer) {
  while (const auto command = receive()) {
    try {
      send(answer(*command));
    } catch (const std::exception& error) {
      send({{"error", error.what()}});
    }
  }
}

std::string own_program() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

}  // namespace nixl_connect::tools
