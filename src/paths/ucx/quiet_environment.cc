// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/quiet_environment.h"

#include <array>
#include <cstdlib>

namespace nixl_connect::paths::ucx {
namespace {

struct Setting {
  const char* name;
  const char* value;
  bool gives_way;  // to the user's own value
};

constexpr std::array kSettings{
    // Without hooks nothing tells a cache of ours that memory went away:
    // RCACHE_ENABLE=n in settings.cc belongs to these.
    Setting{"UCX_MEM_EVENTS", "n", false}, Setting{"UCX_MEMTYPE_CACHE", "n", false},
    Setting{"UCX_DEBUG_SIGNO", "0", false}, Setting{"UCX_HANDLE_ERRORS", "none", true},
    Setting{"UCX_WARN_UNUSED_ENV_VARS", "n", true},
    // What UCX calls an error, the death of a peer among them, reaches the user as one.
    Setting{"UCX_LOG_LEVEL", "fatal", true},
    Setting{"UCX_LOG_FILE", "stderr", true},  // its default is standard output
};

}  // namespace

QuietEnvironment::QuietEnvironment() {
  saved_.reserve(kSettings.size());
  for (const Setting& setting : kSettings) {
    const char* value = std::getenv(setting.name);
    if (value != nullptr && setting.gives_way) continue;
    saved_.push_back({setting.name, value != nullptr ? std::optional<std::string>(value)
                                                     : std::nullopt});
    ::setenv(setting.name, setting.value, 1);
  }
}

QuietEnvironment::~QuietEnvironment() {
  for (const Saved& saved : saved_) {
    if (saved.value)
      ::setenv(saved.name, saved.value->c_str(), 1);
    else
      ::unsetenv(saved.name);
  }
}

}  // namespace nixl_connect::paths::ucx
