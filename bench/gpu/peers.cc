// SPDX-License-Identifier: Apache-2.0
//
// See the header: ours, by the public API.
#include "gpu/peers.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "gpu/pool.h"
#include "gpu/series.h"
#include "nixl_connect/connector.h"
#include "peer_process.h"

namespace nixl_connect::bench {
namespace {

using tools::Json;

constexpr unsigned kWritersAtMost = 1U << 30;

// A Connector and a pool, of a GPU or of Connector::allocate(), as the first command
// says; made when they are first needed.
class Side {
 public:
  void prepare(const Json& command) {
    if (!gpu_ && command.contains("gpu")) gpu_.emplace(command.at("gpu").get<int>());
    if (!connector_) connector_.emplace();
    const std::size_t size = work_of(command).pool_bytes;
    if (pool_ != nullptr && pool_->size() == size) return;
    pool_ = gpu_ ? std::make_shared<Pool>(*gpu_, size)
                 : std::make_shared<Pool>(Connector::allocate(size));
  }
  Connector& connector() { return connector_.value(); }
  Pool& pool() { return *pool_; }
  Descriptor whole() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return {reinterpret_cast<void*>(pool_->start()), pool_->size(),
            gpu_ ? Device(DeviceKind::kCuda, gpu_->facts.device) : Device(), pool_};
  }

 private:
  // In the order in which nothing of one is in use when it goes.
  std::optional<Gpu> gpu_;
  std::shared_ptr<Pool> pool_;
  std::optional<Connector> connector_;
};

class Exposing {
 public:
  Json answer(const Json& command) {
    const std::string what = command.at("do");
    if (what == "expose") return expose(command);
    if (what == "check") side_.pool().check(work_);
    if (what == "release") release();
    return Json::object();
  }

 private:
  Json expose(const Json& command) {
    release();
    side_.prepare(command);
    work_ = work_of(command);
    OperationOptions options;
    // One page is a descriptor like any other.
    const Descriptor exposed =
        work_.there.size() > 1
            ? side_.whole()
            : side_.whole().slice(work_.there[0] * work_.page_bytes, work_.page_bytes);
    if (work_.is_read) {
      side_.pool().number();
      options.stays_open = true;
      operation_ = side_.connector().create_readable(exposed, options);
    } else {
      side_.pool().clear();
      options.readers = kWritersAtMost;
      operation_ = side_.connector().create_writable(exposed, options);
    }
    return {{"metadata", operation_->metadata().to_json()}};
  }

  void release() {
    if (operation_) {
      operation_->cancel();
      operation_->wait();
    }
    operation_.reset();
  }

  Work work_;
  Side side_;
  std::optional<PassiveOperation> operation_;
};

void wait(ActiveOperation& operation, bool spins) {
  while (spins && !is_terminal(operation.status())) {
  }
  if (operation.wait() != OperationStatus::kComplete)
    throw std::runtime_error("an operation was cancelled");
}

class Measuring {
 public:
  Json answer(const Json& command) {
    if (command.at("do") != "measure") return Json::object();
    const Work work = work_of(command);
    side_.prepare(command);
    const auto remote =
        RdmaMetadata::from_json(command.at("metadata").get<std::string>());
    if (work.here.size() > 1)
      return measure(
          command, work,
          RemotePages(remote, work.page_bytes, {work.there.begin(), work.there.end()}),
          Pages(side_.whole(), work.page_bytes, {work.here.begin(), work.here.end()}));
    return measure(
        command, work, remote,
        side_.whole().slice(work.here[0] * work.page_bytes, work.page_bytes));
  }

 private:
  template <typename Remote, typename Local>
  Json measure(const Json& command, const Work& work, const Remote& remote,
               const Local& local) {
    const auto begin = [&]() -> ActiveOperation {
      if (work.is_read) return side_.connector().begin_read(remote, local);
      return side_.connector().begin_write(local, remote);
    };
    const bool spins = command.value("spins", true);
    std::string path;
    const auto end = [&](ActiveOperation& operation) {
      wait(operation, spins);
      if (path.empty()) path = operation.path();
    };
    const bool checks = command.value("check", false);
    if (checks) work.is_read ? side_.pool().clear() : side_.pool().number();
    measure_series({{"operations", 3}}, begin, end);  // To warm up.
    if (checks && work.is_read) side_.pool().check(work);
    Json answer = measure_series(command, begin, end);
    answer["path"] = path;
    return answer;
  }

  Side side_;
};

}  // namespace

int run_gpu_exposing() {
  tools::ParentProcess parent;
  Exposing exposing;
  parent.serve([&](const Json& command) { return exposing.answer(command); });
  return 0;
}

int run_gpu_measuring() {
  tools::ParentProcess parent;
  Measuring measuring;
  parent.serve([&](const Json& command) { return measuring.answer(command); });
  return 0;
}

}  // namespace nixl_connect::bench
