// SPDX-License-Identifier: Apache-2.0
//
// The one function that the driver's library gives out by name, by which it gives out
// all others. Each counts its calls before it does its work.
#include <dlfcn.h>

#include <cstdint>
#include <string_view>

#include "paths/cuda/stand_in/calls.h"
#include "paths/cuda/stand_in/control.h"
#include "paths/cuda/stand_in/functions.h"

namespace nixl_connect::paths::cuda::stand_in {
namespace {

template <const char* Symbol, auto Function>
struct Entry;
template <const char* Symbol, typename... Parameters,
          CuResult (*Function)(Parameters...)>
struct Entry<Symbol, Function> {
  static CuResult call(Parameters... parameters) {
    const CuResult result = begin_call(Symbol);
    return result == kCuSuccess ? Function(parameters...) : result;
  }
};

namespace symbols {
#define NIXL_CONNECT_CU(name, symbol, ...) constexpr char name[] = symbol;
#include "paths/cuda/functions.inc"
#undef NIXL_CONNECT_CU
}  // namespace symbols

void* find(std::string_view wanted) {
#define NIXL_CONNECT_CU(name, symbol, ...) \
  if (wanted == symbols::name)             \
    return reinterpret_cast<void*>(&Entry<symbols::name, &stand_in::name>::call);
#include "paths/cuda/functions.inc"
#undef NIXL_CONNECT_CU
  return nullptr;
}

}  // namespace

const char* file() {
  static const char* const name = [] {
    Dl_info info{};
    ::dladdr(reinterpret_cast<const void*>(&file), &info);
    return info.dli_fname;
  }();
  return name;
}

// NOLINTNEXTLINE(readability-identifier-naming): the driver's name
extern "C" CuResult cuGetProcAddress_v2(const char* symbol, void** function,
                                        int version, std::uint64_t /*flags*/,
                                        int* status) {
  *function = version <= 12000 ? find(symbol) : nullptr;
  *status = *function == nullptr ? 1 : 0;
  return *function == nullptr ? kCuNotFound : kCuSuccess;
}

}  // namespace nixl_connect::paths::cuda::stand_in
