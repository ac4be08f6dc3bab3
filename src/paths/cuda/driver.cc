// SPDX-License-Identifier: Apache-2.0
#include "paths/cuda/driver.h"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

#include "base/fork.h"
#include "base/log.h"

namespace nixl_connect::paths::cuda {
namespace {

// The functions are taken as they were in this version of CUDA.
constexpr int kNeededVersion = 12000;

constexpr const char* kSystemFile = "libcuda.so.1";

using GetFunction = CuResult (*)(const char* symbol, void** function, int version,
                                 std::uint64_t flags, int* status);

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorKind::kUnsupported, reason);
}

template <typename Function>
void find(GetFunction get_function, const char* symbol, Function& function) {
  void* found = nullptr;
  int status = 0;
  const CuResult result = get_function(symbol, &found, kNeededVersion, 0, &status);
  if (result != kCuSuccess || found == nullptr)
    refuse(std::string("lacks the function ") + symbol + " of CUDA " +
           version_text(kNeededVersion));
  function = reinterpret_cast<Function>(found);
}

Functions find_functions(void* library) {
  const auto get_function =
      reinterpret_cast<GetFunction>(::dlsym(library, "cuGetProcAddress_v2"));
  if (get_function == nullptr)
    refuse("is older than CUDA " + version_text(kNeededVersion) +
           " (it lacks cuGetProcAddress_v2)");
  Functions functions;
#define NIXL_CONNECT_CU(name, symbol, ...) find(get_function, symbol, functions.name);
#include "paths/cuda/functions.inc"
#undef NIXL_CONNECT_CU
  return functions;
}

// Throws Error(kUnsupported) with what is wrong with this driver.
std::unique_ptr<const Driver> start(void* library, const std::string& file) {
  auto driver = std::make_unique<Driver>();
  driver->functions = find_functions(library);
  driver->file = file;
  driver->fork_generation = base::fork_generation();
  int devices = 0;
  CuResult result = driver->functions.driver_get_version(&driver->version);
  if (result == kCuSuccess) result = driver->functions.init(0);
  if (result == kCuSuccess) result = driver->functions.device_get_count(&devices);
  if (result != kCuSuccess) refuse("does not start: " + driver->describe(result));
  if (devices == 0) refuse("sees no GPU");
  return driver;
}

struct Opening {
  std::unique_ptr<const Driver> driver;
  std::string why_not;
};

Opening open(const std::string& file) {
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return {nullptr, std::string("no CUDA driver: ") + ::dlerror()};
  try {
    // A driver that was started once cannot be unloaded.
    Opening opening{start(library, file), {}};
    base::log_info("using the CUDA driver " + file + " of CUDA " +
                   version_text(opening.driver->version));
    return opening;
  } catch (const Error& error) {
    return {nullptr, "no CUDA driver: " + file + " " + error.what()};
  }
}

ErrorKind kind_of(CuResult result) noexcept {
  switch (result) {
    case kCuOutOfMemory:
    case kCuMapFailed:
    case kCuAlreadyMapped:
    case kCuTooManyPeers:
      return ErrorKind::kNoResources;
    case kCuNoDevice:
    case kCuInvalidDevice:
    case kCuInvalidImage:
    case kCuNoBinaryForGpu:
    case kCuInvalidPtx:
    case kCuPeerAccessUnsupported:
    case kCuNotPermitted:
    case kCuNotSupported:
      return ErrorKind::kUnsupported;
    default:
      return ErrorKind::kInternal;
  }
}

}  // namespace

std::string Driver::describe(CuResult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (functions.get_error_name(result, &name) != kCuSuccess || name == nullptr)
    name = "error";
  if (functions.get_error_string(result, &text) != kCuSuccess || text == nullptr)
    text = "which the driver does not explain";
  return std::string(name) + " (" + std::to_string(result) + "), " + text;
}

void Driver::fail(CuResult result, std::string_view attempt) const {
  std::string message(attempt);
  message += ": " + describe(result);
  if (is_sticky(result))
    message += "; CUDA is of no further use to this process, which has to be restarted";
  throw DriverError(kind_of(result), message, result);
}

bool Driver::is_of_system() const noexcept {
  if (file == kSystemFile) return true;
  void* const system = ::dlopen(kSystemFile, RTLD_LAZY | RTLD_NOLOAD);
  if (system == nullptr) return false;
  void* const own = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (own != nullptr) ::dlclose(own);
  ::dlclose(system);
  return own == system;
}

bool Driver::is_of_this_process() const noexcept {
  return fork_generation == base::fork_generation();
}

bool is_sticky(CuResult result) noexcept {
  switch (result) {
    case kCuEccUncorrectable:
    case kCuNvlinkUncorrectable:
    case kCuContained:
    case kCuIllegalAddress:
    case kCuLaunchTimeout:
    case kCuAssert:
      return true;
    default:
      return kCuHardwareStackError <= result && result <= kCuLaunchFailed;
  }
}

OpenedDriver open_driver(const std::string& file) {
  static std::mutex mutex;
  // Guarded by mutex; what is in it is constant. Never destroyed: threads that outlive
  // main() may use it.
  static auto& openings = *new std::map<std::string, Opening>;
  const std::string name = file.empty() ? kSystemFile : file;
  const std::lock_guard lock(mutex);
  auto found = openings.find(name);
  if (found == openings.end()) found = openings.emplace(name, open(name)).first;
  const auto& [driver, why_not] = found->second;
  if (driver != nullptr && !driver->is_of_this_process())
    return {nullptr,
            "no CUDA driver: it was started before fork() and does not work in the "
            "child; start processes by spawn or exec"};
  return {driver.get(), why_not};
}

}  // namespace nixl_connect::paths::cuda
