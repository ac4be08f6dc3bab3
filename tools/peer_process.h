// SPDX-License-Identifier: Apache-2.0
//
// A second process that is spoken to in lines of JSON over two pipes. PeerProcess is
// the end of the process that starts it, ParentProcess the end of the one that was
// started. Used by the demo and the benchmarks; each object by one thread.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nixl_connect::tools {

using Json = nlohmann::json;

// One direction of reading and one of writing. Owns both file descriptors.
class LinePipe {
 public:
  LinePipe(int input, int output);

  // Nothing at the end of the input.
  std::optional<std::string> read_line();
  // False if nobody reads any more.
  bool write_line(std::string_view line);
  void close_output() { output_.reset(); }

 private:
  struct Closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  using Stream = std::unique_ptr<std::FILE, Closer>;

  Stream input_;
  Stream output_;
};

class PeerProcess {
 public:
  // Starts `arguments`; the first one is the program, looked up on PATH. The process's
  // standard input and output are the pipes, its standard error is ours. From the first
  // one on, this process ignores SIGPIPE. Throws std::system_error if it cannot start.
  explicit PeerProcess(const std::vector<std::string>& arguments);

  // finish().
  ~PeerProcess();

  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  pid_t id() const noexcept { return id_; }

  // These throw std::runtime_error that tells how the process ended, if it did.
  void send(const Json& message);
  Json receive();

  // Sends a command and returns the answer; an answer {"error": text} is thrown as
  // std::runtime_error(text).
  Json ask(const Json& command);

  // For programs that print other lines than JSON. Nothing at the end of the output.
  std::optional<std::string> receive_line();

  // Closes the process's input and waits for its end; kills it if it does not end.
  // Returns 0 or what went wrong: its exit status, or 128 + the signal that ended it.
  int finish() noexcept;

 private:
  std::string how_it_ended();

  std::string name_;
  pid_t id_ = -1;  // -1: it was waited for
  int exit_status_ = 0;
  std::optional<LinePipe> pipe_;
};

class ParentProcess {
 public:
  // Takes standard input and output for the lines. What this process prints on its
  // standard output from now on goes to standard error instead.
  ParentProcess();

  // Nothing once the parent has closed the pipe or is gone.
  std::optional<Json> receive();
  void send(const Json& message);

  // Answers each command until the parent closes the pipe; what `answer` throws becomes
  // the answer {"error": text}.
  void serve(const std::function<Json(const Json& command)>& answer);

 private:
  LinePipe pipe_;
};

// Path of the program that runs, to start it again as another process.
std::string own_program();

}  // namespace nixl_connect::tools
