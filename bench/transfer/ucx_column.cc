// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "transfer/ucx_column.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "peer_process.h"

namespace nixl_connect::bench {
namespace {

using tools::PeerProcess;

// Below the ports that the system gives out itself, so that nobody gets the one chosen
// before ucx_perftest listens on it.
constexpr int kFirstPort = 20'000;
constexpr int kPorts = 10'000;

bool is_free(int port) {
  const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const bool is_bound =
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return is_bound;
}

// Another one at each call.
int free_port() {
  static int next = ::getpid();
  for (int tried = 0; tried < kPorts; ++tried) {
    const int port = kFirstPort + next++ % kPorts;
    if (is_free(port)) return port;
  }
  throw std::runtime_error("no free port for ucx_perftest");
}

std::vector<std::string> operator+(std::vector<std::string> list,
                                   const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

struct Output {
  std::vector<double> numbers;  // of the last line that has only numbers
  std::string text;             // all other lines: UCX's errors are among them
};

Output read_output(PeerProcess& program) {
  Output output;
  while (const auto line = program.receive_line()) {
    if (line->find_first_not_of("0123456789., ") != std::string::npos ||
        line->empty()) {
      output.text += "\n  " + *line;
      continue;
    }
    output.numbers.clear();
    std::istringstream fields(*line);
    for (std::string field; std::getline(fields, field, ',');) {
      output.numbers.push_back(std::stod(field));
    }
  }
  return output;
}

}  // namespace

UcxColumn::UcxColumn(const std::string& program) : Column("ucx") {
  const auto libraries =
      std::filesystem::path(program).parent_path().parent_path() / "lib";
  command_ = {"stdbuf", "-oL"};  // Its lines must come when they are printed.
  if (std::filesystem::exists(libraries / "libucp.so.0")) {
    command_ = command_ +
               std::vector<std::string>{"env", "LD_LIBRARY_PATH=" + libraries.string()};
  }
  command_.push_back(program);
}

Sample UcxColumn::measure(const Work& work) {
  const Result typical = run(work, 1, 50);
  const Result slow = run(work, 1, 99);
  const Result side_by_side = run(work, work.window, 50);
  return {typical.percentile_us, slow.percentile_us, side_by_side.gbps};
}

UcxColumn::Result UcxColumn::run(const Work& work, unsigned window,
                                 int percentile_rank) const {
  const std::string port = std::to_string(free_port());
  PeerProcess server(command_ + std::vector<std::string>{"-p", port, "-e"});
  auto line = server.receive_line();
  while (line && *line != "Waiting for connection...") line = server.receive_line();
  if (!line) throw std::runtime_error("ucx_perftest did not listen on port " + port);
  const std::string test = work.kind == OperationKind::kRead ? "ucp_get" : "ucp_put_bw";
  PeerProcess client(
      command_ + std::vector<std::string>{
                     "127.0.0.1", "-p", port, "-e", "-f", "-v", "-t", test, "-s",
                     std::to_string(work.size), "-n", std::to_string(work.operations),
                     "-w", std::to_string(std::max(1U, work.operations / 10)), "-O",
                     std::to_string(window), "-R", std::to_string(percentile_rank)});
  const Output output = read_output(client);
  const int status = client.finish();
  if (status != 0 || output.numbers.size() < 6) {
    throw std::runtime_error("ucx_perftest -t " + test + " ended with exit status " +
                             std::to_string(status) + ":" + output.text);
  }
  // iterations, percentile, average and overall latency, average and overall MiB/s.
  return {output.numbers[1], output.numbers[5] * (1 << 20) / 1e9};
}

}  // namespace nixl_connect::bench
