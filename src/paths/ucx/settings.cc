// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/settings.h"

#include <array>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "paths/ucx/net_devices.h"

namespace nixl_connect::paths::ucx {
namespace {

struct Setting {
  const char* key;  // without UCX_
  const char* value;
};

constexpr std::array kSettings{
    // With rendezvous on, UCX refuses CMA for endpoints that report failures, and a
    // transfer on one host takes twelve times as long.
    Setting{"RNDV_THRESH", "inf"},
    // Every operation names its registration, so the cache would only be a risk.
    Setting{"RCACHE_ENABLE", "n"},
    Setting{"KEEPALIVE_INTERVAL", "1s"},
    Setting{"KEEPALIVE_NUM_EPS", "inf"},
    Setting{"TCP_USER_TIMEOUT", "10s"},
    // Otherwise a host that does not answer holds up everybody, and a connection that
    // is refused leaves its socket with UCX.
    Setting{"TCP_CONN_NB", "y"},
    // Doubles emulated gets. A segment larger than a peer's receive segment, 64k by
    // default, would kill the connection.
    Setting{"TCP_TX_SEG_SIZE", "64k"},
};

constexpr std::array kHostOnly{
    Setting{"MAX_RMA_RAILS", "1"},
};

// As genuine NIXL agents set them.
constexpr std::array kWithInfiniband{
    Setting{"MAX_RMA_RAILS", "2"},
    Setting{"IB_PCI_RELAXED_ORDERING", "try"},
    Setting{"RC_FENCE", "none"},
};

// The same with memory of GPUs; all else stays as the lists above have it.
constexpr std::array kWithGpus{
    // Otherwise reads go through the CPU unless the driver proves where every link
    // ends.
    Setting{"CUDA_IPC_ENABLE_GET_ZCOPY", "on"},
};

// Whatever transports are used: cuda_ipc is left without a device.
constexpr std::array kWithoutCudaIpc{
    Setting{"SHM_DEVICES", "memory"},
    // With it the device is one of the network.
    Setting{"CUDA_IPC_ENABLE_MNNVL", "n"},
};
// From UCX 1.22 on, as older ones complain of it. An agent's memory stays open, freed
// or not, in a cache for each agent that has no bound otherwise. A KV cache has some
// allocations for each layer of a model.
constexpr Setting kMostOpenAllocations{"CUDA_IPC_CACHE_MAX_REGIONS", "512"};

// "tcp,cma,self,rc,cuda". One without tcp or rc could not connect.
std::string transports(const Library& library, const ContextOptions& options) {
  std::string text = options.cma ? "tcp,cma,self" : "tcp,self";
  if (library.has_infiniband) text += ",rc";
  if (options.gpus) text += options.cuda_ipc ? ",cuda" : ",cuda_copy";
  return text;
}

class Applier {
 public:
  Applier(const Library& library, ucp_config_t* config)
      : functions_(library.functions), config_(config) {}

  // A key that this UCX does not know is left out.
  void apply(const Setting& setting) const {
    const std::string variable = std::string("UCX_") + setting.key;
    if (const char* value = std::getenv(variable.c_str()); value != nullptr) {
      base::log_info(variable + "=" + value + " of the environment is used");
      return;
    }
    const ucs_status_t status =
        functions_.config_modify(config_, setting.key, setting.value);
    if (status != UCS_OK)
      base::log_debug(variable + "=" + setting.value +
                      " left out: " + functions_.status_string(status));
  }

  // Whatever the environment says.
  void enforce(const Setting& setting) const {
    const ucs_status_t status =
        functions_.config_modify(config_, setting.key, setting.value);
    if (status != UCS_OK)
      throw Error(ErrorKind::kUnsupported, std::string("UCX does not take ") +
                                               setting.key + "=" + setting.value +
                                               ": " + functions_.status_string(status));
  }

  // The user's own words to this library win over the environment.
  void apply_net_devices(const std::string& devices) const {
    const ucs_status_t status =
        functions_.config_modify(config_, "NET_DEVICES", devices.c_str());
    if (status != UCS_OK)
      throw Error(ErrorKind::kInvalidArgument,
                  "UCX does not take the network devices \"" + devices +
                      "\": " + functions_.status_string(status));
  }

 private:
  const Functions& functions_;
  ucp_config_t* config_;
};

}  // namespace

Config make_config(const Library& library, const ContextOptions& options) {
  ucp_config_t* raw = nullptr;
  const ucs_status_t status = library.functions.config_read(nullptr, nullptr, &raw);
  if (status != UCS_OK)
    throw Error(ErrorKind::kUnsupported,
                std::string("UCX cannot read its settings; is a UCX_* variable of the "
                            "environment wrong? ") +
                    library.functions.status_string(status));
  Config config(raw, library.functions.config_release);

  const Applier applier(library, raw);
  for (const Setting& setting : kSettings) applier.apply(setting);
  if (library.has_infiniband)
    for (const Setting& setting : kWithInfiniband) applier.apply(setting);
  else
    for (const Setting& setting : kHostOnly) applier.apply(setting);
  if (options.gpus)
    for (const Setting& setting : kWithGpus) applier.apply(setting);
  if (options.gpus && !options.cuda_ipc)
    for (const Setting& setting : kWithoutCudaIpc) applier.enforce(setting);
  if (options.gpus && library.minor >= 22) applier.apply(kMostOpenAllocations);
  applier.apply({"TLS", transports(library, options).c_str()});
  if (!options.network) {
    applier.apply_net_devices("lo");
  } else if (!options.net_devices.empty()) {
    check_net_devices(options.net_devices);
    applier.apply_net_devices(options.net_devices);
  }
  return config;
}

}  // namespace nixl_connect::paths::ucx
