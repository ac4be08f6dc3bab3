// SPDX-License-Identifier: Apache-2.0
//
// See the header.
#include "host/waking.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "nixl_connect/connector.h"
#include "peer_process.h"
#include "support/measure.h"
#include "support/memory.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

constexpr std::size_t kSize = 4096;
constexpr eventfd_t kTrip = 1;
constexpr eventfd_t kEnd = 2;

// Far longer than any thread spins before it sleeps: sleeping is what is measured.
void let_others_sleep(Before before) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
  if (before == Before::kRest) std::this_thread::sleep_until(until);
  while (std::chrono::steady_clock::now() < until) {
  }
}

// Serves `measure` by calling `once` for each operation.
int serve(const std::function<double()>& once) {
  tools::ParentProcess parent;
  parent.serve([&](const Json& command) -> Json {
    if (command.at("do") == "open") return Json::object();
    const unsigned operations = command.at("operations");
    for (unsigned i = 0; i < operations / 10 + 1; ++i) once();  // To warm up.
    std::vector<double> latencies_us;
    for (unsigned i = 0; i < operations; ++i) latencies_us.push_back(once());
    return {{"latencies_us", latencies_us}};
  });
  return 0;
}

base::UniqueFd make_eventfd() {
  base::UniqueFd fd(::eventfd(0, 0));  // Inherited by the other process.
  if (fd.get() < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

Before before_of(const std::string& name) {
  if (name == "rest") return Before::kRest;
  if (name == "work") return Before::kWork;
  throw std::invalid_argument("nothing before is called " + name);
}

int run_telling(Before before) {
  tools::PeerProcess exposing({tools::own_program(), "exposing"});
  exposing.ask({{"do", "open"}});
  const Pieces local = make_pieces(1, kSize, Registration::kTogether);
  Connector connector;
  return serve([&] {
    const Json exposed =
        exposing.ask({{"do", "expose"}, {"kind", "READ"}, {"size", kSize}});
    const auto remote =
        RdmaMetadata::from_json(exposed.at("metadata").get<std::string>());
    exposing.send({{"do", "wait"}});
    let_others_sleep(before);
    const double begun_us = now_us();
    connector.begin_read(remote, local.descriptors).wait();
    return exposing.receive().at("woke_us").get<double>() - begun_us;
  });
}

int run_eventfd_trips(Before before) {
  const base::UniqueFd questions = make_eventfd();
  const base::UniqueFd answers = make_eventfd();
  tools::PeerProcess echo({tools::own_program(), "echo",
                           std::to_string(questions.get()),
                           std::to_string(answers.get())});
  const int status = serve([&] {
    let_others_sleep(before);
    const Stopwatch watch;
    eventfd_t answer = 0;
    ::eventfd_write(questions.get(), kTrip);
    ::eventfd_read(answers.get(), &answer);
    return watch.us();
  });
  ::eventfd_write(questions.get(), kEnd);
  return status;
}

int run_echo(int questions, int answers) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // Nothing else would end it then.
  eventfd_t question = 0;
  while (::eventfd_read(questions, &question) == 0 && question != kEnd) {
    ::eventfd_write(answers, question);
  }
  return 0;
}

}  // namespace nixl_connect::bench
