// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/library.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>

#include "base/fork.h"
#include "base/log.h"
#include "nixl_connect/error.h"
#include "paths/ucx/providers.h"
#include "paths/ucx/quiet_environment.h"

namespace nixl_connect::paths::ucx {
namespace {

constexpr unsigned kOldestMajor = 1;
constexpr unsigned kOldestMinor = 19;

std::string real_directory(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real.string();
}

std::string directory_of_symbol(void* handle, const char* symbol) {
  Dl_info info{};
  void* address = ::dlsym(handle, symbol);
  if (address == nullptr || ::dladdr(address, &info) == 0) return {};
  return real_directory(std::filesystem::path(info.dli_fname).parent_path());
}

template <typename Function>
void find(void* handle, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, symbol));
  if (function == nullptr)
    throw Error(ErrorKind::kUnsupported, std::string("lacks the function ") + symbol);
}

Functions find_functions(void* handle) {
  Functions functions;
#define NIXL_CONNECT_UCP(name) find(handle, "ucp_" #name, functions.name);
#define NIXL_CONNECT_UCS(name) find(handle, "ucs_" #name, functions.name);
#include "paths/ucx/functions.inc"
#undef NIXL_CONNECT_UCP
#undef NIXL_CONNECT_UCS
  return functions;
}

// One symbol of each library below libucp, as libucp itself sees it.
void check_one_folder(void* handle, const std::string& directory) {
  for (const char* symbol :
       {"ucs_status_string", "uct_query_components", "ucm_set_event_handler"}) {
    const std::string other = directory_of_symbol(handle, symbol);
    if (other == directory) continue;
    std::string reason = "its ";
    reason.append(symbol).append(" comes from ").append(other);
    reason += "; another UCX was loaded into this process before";
    throw Error(ErrorKind::kUnsupported, reason);
  }
}

// Throws Error(kUnsupported) with the reason for refusing this copy.
Library make_library(void* handle) {
  Library library;
  library.functions = find_functions(handle);
  library.directory = directory_of_symbol(handle, "ucp_get_version");
  check_one_folder(handle, library.directory);
  unsigned release = 0;
  library.functions.get_version(&library.major, &library.minor, &release);
  library.version = library.functions.get_version_string();
  if (library.major != kOldestMajor || library.minor < kOldestMinor)
    throw Error(ErrorKind::kUnsupported, "is version " + library.version +
                                             ", and 1.19 or a later 1.x is needed");
  library.has_infiniband = has_module(library.directory, "ib");
  library.has_cma = has_module(library.directory, "cma");
  library.has_cuda = has_module(library.directory, "cuda");
  library.fork_generation = base::fork_generation();
  return library;
}

// The places tried so far, and what each one lacked.
class Search {
 public:
  std::optional<Library> try_file(const std::string& file) {
    const QuietEnvironment quiet;
    void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      refuse(file, ::dlerror());
      return std::nullopt;
    }
    try {
      return make_library(handle);
    } catch (const Error& error) {
      refuse(file, error.what());
      ::dlclose(handle);
      return std::nullopt;
    }
  }

  std::optional<Library> try_directory(const std::string& directory) {
    const std::string file = library_file(directory, "libucp");
    if (!file.empty()) return try_file(file);
    refuse(directory, "has no libucp.so.0");
    return std::nullopt;
  }

  const std::string& refusals() const noexcept { return refusals_; }

 private:
  void refuse(const std::string& place, const std::string& reason) {
    refusals_ += "\n  " + place + ": " + reason;
  }

  std::string refusals_;
};

bool is_loaded(const char* soname) {
  void* handle = ::dlopen(soname, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return false;
  ::dlclose(handle);
  return true;
}

std::optional<Library> search_everywhere(Search& search) {
  constexpr const char* kSoname = "libucp.so.0";
  if (is_loaded(kSoname))
    if (auto library = search.try_file(kSoname)) return library;
  for (const std::string& directory : wheel_directories())
    if (auto library = search.try_directory(directory)) return library;
  return search.try_file(kSoname);
}

Library open(const std::string& directory) {
  Search search;
  auto library =
      directory.empty() ? search_everywhere(search) : search.try_directory(directory);
  if (!library && directory.empty())
    throw Error(ErrorKind::kUnsupported,
                "no usable UCX; pip install libucx-cu13 (or libucx-cu12) and activate "
                "that Python environment, or name the folder of libucp.so.0 by the "
                "option ucx_directory or NIXL_CONNECT_UCX_DIRECTORY. Looked at "
                "VIRTUAL_ENV, PATH and the system:" +
                    search.refusals());
  if (!library)
    throw Error(ErrorKind::kUnsupported,
                "no usable UCX where the option ucx_directory or "
                "NIXL_CONNECT_UCX_DIRECTORY says that it is:" +
                    search.refusals());
  base::log_info("using UCX " + library->version + " of " + library->directory);
  return *std::move(library);
}

}  // namespace

bool Library::is_of_this_process() const noexcept {
  return fork_generation == base::fork_generation();
}

const Library& open_library(const std::string& directory) {
  static std::mutex mutex;
  // Guarded by mutex until it is there, then constant. Never destroyed: threads that
  // outlive main() may use it.
  static auto& chosen = *new std::optional<Library>;
  const std::lock_guard lock(mutex);
  if (!chosen) chosen = open(directory);
  if (!chosen->is_of_this_process())
    throw Error(ErrorKind::kUnsupported,
                "UCX was opened before fork() and does not work in the child; start "
                "processes by spawn or exec");
  if (!directory.empty() && real_directory(directory) != chosen->directory)
    throw Error(ErrorKind::kInvalidArgument,
                "UCX of " + directory +
                    " was asked for, but this process already uses " + chosen->version +
                    " of " + chosen->directory);
  return *chosen;
}

}  // namespace nixl_connect::paths::ucx
