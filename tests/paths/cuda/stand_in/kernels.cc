// SPDX-License-Identifier: Apache-2.0
//
// The stand-in's kernels, which it knows by name: it cannot read the image of a module.
#include <cstring>
#include <string_view>

#include "paths/cuda/stand_in/contexts.h"
#include "paths/cuda/stand_in/functions.h"
#include "paths/cuda/stand_in/streams.h"

namespace nixl_connect::paths::cuda {

// Takes the parameters when the kernel is launched.
struct CuFunctionObject {
  std::string_view name;
  stand_in::Work (*work)(void** parameters);
};
struct CuModuleObject {
  CuContext context;
};

namespace stand_in {

CuResult module_load_data(CuModule* module, const void* image) {
  if (current_context() == nullptr) return kCuInvalidContext;
  if (image == nullptr) return kCuInvalidImage;
  *module = new CuModuleObject{current_context()};
  return kCuSuccess;
}

CuResult module_unload(CuModule module) {
  delete module;
  return kCuSuccess;
}

CuResult module_get_function(CuFunction* /*function*/, CuModule /*module*/,
                             const char* /*name*/) {
  return kCuNotFound;
}

CuResult function_set_attribute(CuFunction /*function*/,
                                CuFunctionAttribute /*attribute*/, int value) {
  return value >= 0 ? kCuSuccess : kCuInvalidValue;
}

CuResult launch_kernel(CuFunction function, unsigned grid_x, unsigned grid_y,
                       unsigned grid_z, unsigned block_x, unsigned block_y,
                       unsigned block_z, unsigned /*shared_bytes*/, CuStream stream,
                       void** parameters, void** extra) {
  const bool is_empty = grid_x == 0 || grid_y == 0 || grid_z == 0 || block_x == 0 ||
                        block_y == 0 || block_z == 0;
  if (function == nullptr || extra != nullptr || is_empty) return kCuInvalidValue;
  return enqueue(stream, function->work(parameters));
}

}  // namespace stand_in
}  // namespace nixl_connect::paths::cuda
