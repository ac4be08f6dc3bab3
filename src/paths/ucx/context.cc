// SPDX-License-Identifier: Apache-2.0
#include "paths/ucx/context.h"

#include <cstdlib>

#include "base/log.h"
#include "nixl_connect/error.h"
#include "paths/ucx/packed_key.h"
#include "paths/ucx/settings.h"

namespace nixl_connect::paths::ucx {
namespace {

ucp_context_h make_context(const Library& library, const ContextOptions& options) {
  const Config config = make_config(library, options);
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
  params.features = UCP_FEATURE_RMA | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;  // registrations are made on any thread

  ucp_context_h context = nullptr;
  const ucs_status_t status = library.functions.init_version(
      library.major, library.minor, &params, config.get(), &context);
  if (status != UCS_OK)
    throw Error(status == UCS_ERR_NO_MEMORY || status == UCS_ERR_NO_RESOURCE
                    ? ErrorKind::kNoResources
                    : ErrorKind::kUnsupported,
                "UCX " + library.version + " of " + library.directory +
                    " cannot start: " + library.functions.status_string(status));
  return context;
}

// Why the context, which should, knows nothing of GPUs.
std::string why_without_gpus(const Library& library) {
  const std::string which = "UCX " + library.version + " of " + library.directory;
  if (!library.has_cuda) return which + " has no module for CUDA (ucx/libuct_cuda.so)";
  if (const char* transports = std::getenv("UCX_TLS"); transports != nullptr)
    return which + " is told to do without CUDA (UCX_TLS=" + transports + ")";
  return which + " cannot use its module for CUDA: there is no libcuda.so.1 for it";
}

void check_gpus(const Library& library, ucp_context_h context) {
  ucp_context_attr_t attributes{};
  attributes.field_mask = UCP_ATTR_FIELD_MEMORY_TYPES;
  const ucs_status_t status = library.functions.context_query(context, &attributes);
  if (status == UCS_OK &&
      (attributes.memory_types & UCS_BIT(UCS_MEMORY_TYPE_CUDA)) != 0)
    return;
  throw Error(ErrorKind::kUnsupported, why_without_gpus(library));
}

[[noreturn]] void refuse_registration(const Context& context, std::uintptr_t address,
                                      std::size_t size, ucs_status_t status) {
  throw Error(ErrorKind::kInvalidArgument,
              "UCX cannot register " + std::to_string(size) + " bytes at address " +
                  std::to_string(address) + ": " +
                  context.library().functions.status_string(status));
}

}  // namespace

Context::Context(const Library& library, const ContextOptions& options)
    : library_(library),
      has_cuda_ipc_(options.gpus && options.cuda_ipc),
      context_(make_context(library, options), [&library](ucp_context_h context) {
        if (library.is_of_this_process()) library.functions.cleanup(context);
      }) {
  if (options.gpus) check_gpus(library, context_.get());
}

Registration::Registration(const Context& context, std::uintptr_t address,
                           std::size_t size, MemoryKind kind)
    : context_(context), kind_(kind) {
  const Functions& functions = context.library().functions;
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                      UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE;
  params.address =
      reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
  params.length = size;
  // UCX would look for it, and might take memory of a GPU for the host's: an access to
  // that ends the process.
  params.memory_type =
      kind == MemoryKind::kGpu ? UCS_MEMORY_TYPE_CUDA : UCS_MEMORY_TYPE_HOST;
  ucs_status_t status = functions.mem_map(context.raw(), &params, &memory_);
  if (status != UCS_OK) refuse_registration(context, address, size, status);
  status = pack();
  if (kind == MemoryKind::kGpu) {
    const bool is_of_use = context.has_cuda_ipc()
                               ? can_open_gpu_memory(packed_rkey_)
                               : memory_kind_of(packed_rkey_) == MemoryKind::kGpu;
    if (!is_of_use) packed_rkey_.clear();
  } else if (status != UCS_OK) {
    functions.mem_unmap(context.raw(), memory_);
    refuse_registration(context, address, size, status);
  }
}

ucs_status_t Registration::pack() {
  const Functions& functions = context_.library().functions;
  void* packed = nullptr;
  std::size_t size = 0;
  const ucs_status_t status =
      functions.rkey_pack(context_.raw(), memory_, &packed, &size);
  if (status != UCS_OK) return status;
  const auto* first = static_cast<const std::byte*>(packed);
  packed_rkey_.assign(first, first + size);
  functions.rkey_buffer_release(packed);
  return UCS_OK;
}

Registration::~Registration() {
  const Library& library = context_.library();
  if (!library.is_of_this_process()) return;
  const ucs_status_t status = library.functions.mem_unmap(context_.raw(), memory_);
  if (status != UCS_OK)
    base::log_error(std::string("UCX cannot unmap a registration: ") +
                    library.functions.status_string(status));
}

}  // namespace nixl_connect::paths::ucx
