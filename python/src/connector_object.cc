// SPDX-License-Identifier: Apache-2.0
//
// The Connector: where operations are made. Each is one call, which reads its Python
// arguments with the GIL and runs the library without it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "closing.h"
#include "memory.h"
#include "nixl_connect/connector.h"
#include "nixl_connect/error.h"
#include "operation_object.h"
#include "path_rules.h"
#include "plan.h"
#include "remote.h"
#include "without_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace nixl_connect::python {
namespace {

class ConnectorObject {
 public:
  explicit ConnectorObject(const ConnectorOptions& options)
      : connector_(std::make_shared<Connector>(options)),
        transport_(connector_->transport()) {}
  ~ConnectorObject() {
    if (connector_) close_elsewhere(std::move(connector_));
  }
  ConnectorObject(const ConnectorObject&) = delete;
  ConnectorObject& operator=(const ConnectorObject&) = delete;

  // For one call, which may run while another thread closes it. With the GIL. Throws
  // Error(kInvalidArgument) once it is closed.
  std::shared_ptr<Connector> open() const {
    if (!connector_)
      throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
    return connector_;
  }

  // With the GIL, which is released meanwhile. Once it is closed, as it was first.
  std::string transport() const {
    const auto asked = connector_;
    if (!asked) return transport_;
    const WithoutGil release;
    return asked->transport();
  }

  // With the GIL, which is released meanwhile. Calls that come while it closes are
  // refused by the library; its descriptors go with the last of them.
  void close() {
    auto closing = connector_;
    if (!closing) return;
    {
      const WithoutGil release;
      closing->close();
    }
    connector_.reset();
    const WithoutGil release;
    closing.reset();
  }

 private:
  std::shared_ptr<Connector> connector_;  // guarded by the GIL
  const std::string transport_;
};

std::optional<std::chrono::nanoseconds> duration_of(std::optional<std::int64_t> ns) {
  if (!ns) return std::nullopt;
  return std::chrono::nanoseconds(*ns);
}

std::optional<CudaStream> stream_of(std::optional<std::uintptr_t> number) {
  if (!number) return std::nullopt;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return CudaStream{reinterpret_cast<void*>(*number)};
}

// What is None is left to the environment and the library's defaults.
void open(ConnectorObject* self, std::optional<std::string> worker_id,
          std::optional<std::int64_t> timeout_ns,
          std::optional<std::string> ucx_directory,
          std::optional<std::string> cuda_driver,
          std::optional<std::string> net_devices, std::optional<bool> network,
          std::optional<std::int64_t> spin_us,
          std::optional<std::int64_t> drain_timeout_ms,
          std::optional<unsigned> copy_threads, std::optional<bool> advise_huge_pages,
          std::optional<bool> allow_ptrace, std::optional<bool> wait_for_streams,
          std::optional<PathRules> rules, std::optional<std::string> costs_file,
          std::optional<int> log_level) {
  ConnectorOptions options = ConnectorOptions::from_environment();
  options.worker_id = std::move(worker_id);
  options.timeout = duration_of(timeout_ns);
  if (ucx_directory) options.ucx_directory = *std::move(ucx_directory);
  if (cuda_driver) options.cuda_driver = *std::move(cuda_driver);
  if (net_devices) options.net_devices = *std::move(net_devices);
  if (network) options.network = *network;
  if (spin_us) options.spin = std::chrono::microseconds(*spin_us);
  if (drain_timeout_ms)
    options.drain_timeout = std::chrono::milliseconds(*drain_timeout_ms);
  if (copy_threads) options.copy_threads = *copy_threads;
  if (advise_huge_pages) options.advise_huge_pages = *advise_huge_pages;
  if (allow_ptrace) options.allow_ptrace = *allow_ptrace;
  if (wait_for_streams) options.wait_for_streams = *wait_for_streams;
  apply(std::move(rules), options);
  if (costs_file) options.costs_file = *std::move(costs_file);
  if (log_level) options.log_level = static_cast<LogLevel>(*log_level);
  const WithoutGil release;
  new (self) ConnectorObject(options);
}

Pins pins_of(const std::vector<const Memory*>& memories) {
  Pins pins;
  for (const Memory* memory : memories) pins.add(memory->pin());
  return pins;
}

OperationObject create(ConnectorObject& self, int kind, nb::handle memory,
                       std::optional<std::int64_t> timeout_ns, std::uint32_t readers,
                       bool stays_open, std::optional<std::uintptr_t> stream) {
  release_due_pins();
  const auto memories = memories_of(memory);
  const std::vector<Descriptor> descriptors = descriptors_of(memories);
  Pins pins = pins_of(memories);
  OperationOptions options{duration_of(timeout_ns), readers, stays_open};
  options.stream = stream_of(stream);
  const auto make = [&, connector = self.open()]() -> PassiveOperation {
    const WithoutGil release;
    if (static_cast<OperationKind>(kind) == OperationKind::kRead)
      return connector->create_readable(descriptors, options);
    return connector->create_writable(descriptors, options);
  };
  return {make(), std::move(pins)};
}

// Begins the operation on both sides' ranges, or on their pages.
ActiveOperation begin_on(Connector& connector, bool is_read, const Remote& remote,
                         const Match& matched, const OperationOptions& options) {
  const RdmaMetadata& metadata = matched.remote ? *matched.remote : remote.metadata();
  const WithoutGil release;
  if (is_read) return connector.begin_read(metadata, matched.local, options);
  return connector.begin_write(matched.local, metadata, options);
}
ActiveOperation begin_on(Connector& connector, bool is_read, const RemotePages& remote,
                         const Pages& local, const OperationOptions& options) {
  const WithoutGil release;
  if (is_read) return connector.begin_read(remote, local, options);
  return connector.begin_write(local, remote, options);
}

OperationObject begin(ConnectorObject& self, int kind, const Remote& remote,
                      nb::handle memory, std::optional<std::int64_t> timeout_ns,
                      std::optional<PathRules> rules,
                      std::optional<std::uintptr_t> stream) {
  release_due_pins();
  const auto memories = memories_of(memory);
  Pins pins = pins_of(memories);
  OperationOptions options{duration_of(timeout_ns)};
  options.stream = stream_of(stream);
  apply(std::move(rules), options);
  const bool is_read = static_cast<OperationKind>(kind) == OperationKind::kRead;
  const auto connector = self.open();
  if (are_numbered(remote, memories))
    return {begin_on(*connector, is_read, *remote.numbered(), *memories[0]->pages(),
                     options),
            std::move(pins)};
  return {begin_on(*connector, is_read, remote, match(remote, memories), options),
          std::move(pins)};
}

PlainPlan explain(ConnectorObject& self, const Remote& remote, nb::handle memory,
                  std::optional<PathRules> rules) {
  const auto memories = memories_of(memory);
  OperationOptions options;
  apply(std::move(rules), options);
  const auto connector = self.open();
  if (are_numbered(remote, memories)) {
    const auto make = [&] {
      const WithoutGil release;
      return connector->explain(*remote.numbered(), *memories[0]->pages(), options);
    };
    return plain(make());
  }
  const Match matched = match(remote, memories);
  const RdmaMetadata& metadata = matched.remote ? *matched.remote : remote.metadata();
  const auto make = [&] {
    const WithoutGil release;
    return connector->explain(metadata, matched.local, options);
  };
  return plain(make());
}

OperationObject begin_view(ConnectorObject& self, const Remote& remote,
                           std::optional<std::int64_t> timeout_ns) {
  OperationOptions options;
  options.timeout = duration_of(timeout_ns);
  const auto make = [&, connector = self.open()] {
    const WithoutGil release;
    return connector->begin_view(remote.metadata(), options);
  };
  return {make(), Pins()};
}

}  // namespace

void bind_connector(nb::module_& module) {
  module.def("finish_closing", &finish_closing);
  module.def("forget_closing", &forget_closing);
  nb::class_<ConnectorObject>(module, "Connector")
      .def("__init__", &open, nb::kw_only(), "worker_id"_a.none(),
           "timeout_ns"_a.none(), "ucx_directory"_a.none(), "cuda_driver"_a.none(),
           "net_devices"_a.none(), "network"_a.none(), "spin_us"_a.none(),
           "drain_timeout_ms"_a.none(), "copy_threads"_a.none(),
           "advise_huge_pages"_a.none(), "allow_ptrace"_a.none(),
           "wait_for_streams"_a.none(), "rules"_a.none(), "costs_file"_a.none(),
           "log_level"_a.none())
      .def("create", &create, "kind"_a, "memory"_a, "timeout_ns"_a.none(),
           "readers"_a = 1, "stays_open"_a = false, "stream"_a = nb::none())
      .def("begin", &begin, "kind"_a, "remote"_a, "memory"_a, "timeout_ns"_a.none(),
           "rules"_a.none(), "stream"_a = nb::none())
      .def("begin_view", &begin_view, "remote"_a, "timeout_ns"_a.none())
      .def("explain", &explain, "remote"_a, "memory"_a, "rules"_a.none())
      .def("close", &ConnectorObject::close)
      .def("transport", [](ConnectorObject& self) { return self.transport(); });
}

}  // namespace nixl_connect::python
