// SPDX-License-Identifier: Apache-2.0
//
// Plans as people read them.
#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "core/plan.h"
#include "wire/extension.h"

namespace nixl_connect {
namespace core {
namespace {

struct Texts {
  const char* obstacle = "";
  const char* remedy = "";
};

// The texts below say so.
static_assert(wire::kMaxExports == 32);
static_assert(wire::kMaxGpuExports == 256 && wire::kMaxGpuChunks == 1024);

// Of those that have to do with memory of GPUs, or that it is none.
Texts texts_of_gpus(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kGpuMemory:
      return {"the memory is of a GPU", ""};
    case Obstacle::kSomeGpuMemory:
      return {"some of the memory is of a GPU", ""};
    case Obstacle::kHostMemory:
      return {"the memory is the host's", ""};
    case Obstacle::kSomeHostMemory:
      return {"some of the memory is the host's", ""};
    case Obstacle::kMixedMemory:
      return {"one side has memory of GPUs and of the host",
              "let each side of an operation be all of a GPU or all of the host"};
    case Obstacle::kStagingRefused:
      return {"the host's memory could not be mapped and pinned for the GPU",
              "ask for new metadata: the memory may be gone; or let the GPU have less "
              "to pin"};
    case Obstacle::kNoDriver:
      return {"no CUDA driver",
              "let this process have the driver and a GPU (containers: the NVIDIA "
              "Container Toolkit)"};
    case Obstacle::kOutOfReach:
      return {"the GPUs do not reach each other",
              "take two between which `nvidia-smi topo -p2p r` says OK"};
    case Obstacle::kNotExported:
      return {"the peer's memory cannot be opened by other processes",
              "expose memory of cudaMalloc(), or mapped memory (cuMemMap) that is "
              "exported by file descriptors, as torch's expandable segments are"};
    case Obstacle::kPartlyExported:
      return {"some of the peer's memory cannot be opened by other processes",
              "expose only memory of cudaMalloc(), or mapped memory (cuMemMap) that is "
              "exported by file descriptors; in one operation at most 256 allocations "
              "and 1,024 chunks"};
    case Obstacle::kOpenRefused:
      return {"the peer's memory could not be opened",
              "ask for new metadata: the memory may be gone"};
    case Obstacle::kFilesHidden:
      return {"there is no local channel on which the peer could hand its memory over",
              "let both share the user and the network namespace, and neither forbid "
              "host; or expose memory of cudaMalloc() "
              "(PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False)"};
    case Obstacle::kUnknownToUcx:
      return {
          "the UCX of this process does not carry memory of GPUs",
          "let the process have the driver, and a UCX that has CUDA, as "
          "libucx-cu12 and libucx-cu13 have, with cuda in UCX_TLS if that is set; or "
          "copy to and from the host's memory apart"};
    case Obstacle::kUnknownToPeersUcx:
      return {
          "the UCX of the peer's process does not carry memory of GPUs",
          "let that process have the driver, and a UCX that has CUDA, as "
          "libucx-cu12 and libucx-cu13 have, with cuda in UCX_TLS if that is set; or "
          "let it expose the host's memory"};
    default:
      return {};
  }
}

// Of those that have to do with the peer's memory.
Texts texts_of_memory(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kNotAllocated:
      return {"the peer's memory cannot be mapped",
              "expose memory of Connector::allocate() (nixl_connect.empty())"};
    case Obstacle::kPartlyAllocated:
      return {"some of the peer's memory cannot be mapped",
              "expose memory of Connector::allocate() (nixl_connect.empty()) only, of "
              "at most 32 allocations in one operation"};
    case Obstacle::kMapRefused:
      return {
          "the peer's memory could not be mapped: it is gone, or not for this "
          "process",
          "ask for new metadata"};
    case Obstacle::kLeasesHidden:
      return {"the peer's lease words could not be mapped", "ask for new metadata"};
    case Obstacle::kUnwatched:
      return {"without a local channel the peer would not notice the end of a write",
              "let both share the user and the network namespace"};
    case Obstacle::kNotExposed:
      return {"the memory is not exposed by this process any more",
              "ask for new metadata"};
    default:
      return texts_of_gpus(obstacle);
  }
}

Texts texts_of(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kNone:
      return {};
    case Obstacle::kForbidden:
      return {"the options forbid it", "leave it out of `forbid`"};
    case Obstacle::kNotRequired:
      return {"the options require another one", "change `require`"};
    case Obstacle::kNotNamed:
      return {"the options name other ones", "add it to `paths`"};
    case Obstacle::kTooSlow:
      return {"it would be too slow", "lower `min_gbps`"};
    case Obstacle::kGenuine:
      return {"the peer is a NIXL agent, not a Connector",
              "use nixl_connect on both sides"};
    case Obstacle::kAnotherProcess:
      return {"the peer is another process", ""};
    case Obstacle::kAnotherHost:
      return {"the peer is on another host", ""};
    case Obstacle::kAnotherUser:
      return {"the peer belongs to another user", "run both processes as one user"};
    case Obstacle::kAnotherPidNamespace:
      return {"the peer is in another pid namespace",
              "let both share the pid namespace (Kubernetes: shareProcessNamespace; "
              "Docker: --pid), or expose memory of Connector::allocate() "
              "(nixl_connect.empty())"};
    case Obstacle::kAnotherNetwork:
      return {
          "the peer is in another network namespace, so it could not introduce "
          "itself on this host",
          "let both share the network namespace, or the pid namespace"};
    case Obstacle::kHostForbidden:
      return {"the options forbid all that is of one host",
              "leave host out of `forbid`"};
    case Obstacle::kUnreachable:
      return {"its process is not to be seen on this host",
              "if it is on this host, let both share the network namespace and the "
              "user"};
    case Obstacle::kNotPermitted:
      return {
          "the kernel does not let this process touch that one's memory",
          "allow ptrace between the two (kernel.yama.ptrace_scope, CAP_SYS_PTRACE)"};
    default:
      return texts_of_memory(obstacle);
  }
}

std::string rate_text(double gbps, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*g", digits, gbps);
  return text.data();
}

// With three digits, or as many more as it takes to tell the two apart.
std::string slowness_text(double predicted, double asked) {
  constexpr int kMostDigits = 17;
  int digits = 3;
  while (digits < kMostDigits &&
         rate_text(predicted, digits) == rate_text(asked, digits))
    ++digits;
  return "it would move " + rate_text(predicted, digits) +
         " GB/s, the options ask for " + rate_text(asked, digits);
}

bool is_of_gpus(Path path) {
  return path == Path::kCudaPeer || path == Path::kCudaStaged;
}

PathEstimate to_estimate(Path path, const Choice& choice, const PathRules& rules) {
  const Verdict& verdict = choice.verdicts[index_of(path)];
  const Texts texts = texts_of(verdict.obstacle);
  PathEstimate estimate;
  estimate.path = name_of(path);
  estimate.obstacle = texts.obstacle;
  estimate.remedy = texts.remedy;
  if (verdict.obstacle == Obstacle::kTooSlow)
    estimate.obstacle = slowness_text(verdict.prediction.gbps, rules.min_gbps);
  if (verdict.obstacle == Obstacle::kNotPermitted && choice.cma_refusal) {
    estimate.obstacle += ": " + choice.cma_refusal->cause;
    estimate.remedy = choice.cma_refusal->remedy;
  }
  if (verdict.obstacle == Obstacle::kNotPermitted && path == Path::kCudaStaged)
    estimate.remedy +=
        "; or let the peer take memory of Connector::allocate() (nixl_connect.empty())";
  if (choice.gpu_cause && is_of_gpus(path) && !estimate.is_usable() &&
      !is_of_options(verdict.obstacle) && !is_of_other_memory(verdict.obstacle))
    estimate.obstacle = verdict.obstacle == Obstacle::kNoDriver
                            ? *choice.gpu_cause
                            : estimate.obstacle + ": " + *choice.gpu_cause;
  if (is_of_gpus(path) && choice.why_not_served && !estimate.is_usable() &&
      !is_of_options(verdict.obstacle) && !is_of_other_memory(verdict.obstacle))
    estimate.obstacle += "; nor with the peer's help: " + *choice.why_not_served;
  if (path == Path::kUcx && choice.ucx_cause)
    estimate.obstacle += ": " + *choice.ucx_cause;
  // Where all of one host is forbidden, nothing was tried.
  if (!estimate.is_usable() && (!is_of_options(verdict.obstacle) ||
                                verdict.obstacle == Obstacle::kHostForbidden))
    return estimate;
  estimate.time = verdict.prediction.time;
  estimate.gbps = verdict.prediction.gbps;
  return estimate;
}

// A path for other memory goes without saying, unless the options ask for it.
bool is_told(Path path, const Choice& choice, const PathRules& rules) {
  return !is_of_other_memory(choice.verdicts[index_of(path)].obstacle) ||
         rules.required.has(path) ||
         std::find(rules.ordered.begin(), rules.ordered.end(), path) !=
             rules.ordered.end();
}

std::string reason_of(const PathEstimate& each) {
  std::string text = each.path + ": " + each.obstacle;
  if (!each.remedy.empty()) text += " (" + each.remedy + ")";
  return text;
}

}  // namespace

Plan to_plan(const Choice& choice, const PathRules& rules) {
  Plan plan;
  plan.bytes = choice.bytes;
  plan.ranges = choice.ranges;
  if (choice.path) plan.path = name_of(*choice.path);
  // How much each one is preferred; less is more.
  const auto rank = [&](const PathEstimate& each) {
    const auto named =
        std::find_if(rules.ordered.begin(), rules.ordered.end(),
                     [&](Path path) { return name_of(path) == each.path; });
    return std::tuple(each.path != plan.path, !each.is_usable(),
                      named - rules.ordered.begin(), each.time);
  };
  for (const Path path : kAllPaths)
    if (is_told(path, choice, rules))
      plan.paths.push_back(to_estimate(path, choice, rules));
  std::stable_sort(plan.paths.begin(), plan.paths.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return plan;
}

std::string why_none(const Plan& plan) {
  std::string text = "no path may be taken";
  const char* mark = ": ";
  for (const PathEstimate& each : plan.paths)
    text += std::exchange(mark, "; ") + reason_of(each);
  return text;
}

std::string why_only_ucx(const Plan& plan) {
  std::string text;
  const char* mark = "";
  for (const PathEstimate& each : plan.paths)
    if (!each.remedy.empty()) text += std::exchange(mark, "; ") + reason_of(each);
  return text;
}

}  // namespace core

namespace {

std::string duration_text(std::chrono::nanoseconds time) {
  const auto ns = static_cast<double>(time.count());
  std::array<char, 32> text{};
  if (ns < 1e6)
    std::snprintf(text.data(), text.size(), "%.1f us", ns / 1e3);
  else if (ns < 1e9)
    std::snprintf(text.data(), text.size(), "%.1f ms", ns / 1e6);
  else
    std::snprintf(text.data(), text.size(), "%.2f s", ns / 1e9);
  return text.data();
}

std::string line_of(const PathEstimate& each, bool is_taken) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "  %-11s %10s %8.1f GB/s", each.path.c_str(),
                duration_text(each.time).c_str(), each.gbps);
  std::string line = each.time.count() > 0 ? text.data() : "  " + each.path;
  if (is_taken) line += "  taken";
  if (each.is_usable()) return line;
  line += "  not used: " + each.obstacle;
  if (!each.remedy.empty()) line += "\n            to use it: " + each.remedy;
  return line;
}

}  // namespace

std::string Plan::to_text() const {
  std::string text = std::to_string(bytes) + " bytes in " + std::to_string(ranges) +
                     (ranges == 1 ? " range" : " ranges") + ": " +
                     (path.empty() ? "no path" : path);
  for (const PathEstimate& each : paths)
    text += "\n" + line_of(each, each.path == path);
  return text;
}

std::string core::in_one_line(const Plan& plan) {
  std::string text;
  const char* mark = "";
  for (const PathEstimate& each : plan.paths) {
    text += std::exchange(mark, "; ") + each.path;
    text +=
        each.is_usable() ? " (" + duration_text(each.time) + ")" : ": " + each.obstacle;
  }
  return text;
}

}  // namespace nixl_connect
