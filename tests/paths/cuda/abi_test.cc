// SPDX-License-Identifier: Apache-2.0
//
// Our declarations of the CUDA driver's interface against CUDA's own. Compiled, and by
// that tested, where cuda.h is there.
#include "paths/cuda/abi.h"

#include <cuda.h>

#include <cstddef>
#include <type_traits>

#include "paths/cuda/driver.h"

namespace nixl_connect::paths::cuda {
namespace {

// Of a function pointer: what the processor sees of each parameter.
template <typename Parameter>
constexpr std::size_t kSize = sizeof(Parameter);

template <typename Ours, typename Theirs>
struct Agree;
template <typename... Ours, typename... Theirs>
struct Agree<CuResult (*)(Ours...), CUresult(Theirs...)> {
  static constexpr bool kValue = [] {
    if constexpr (sizeof...(Ours) != sizeof...(Theirs))
      return false;
    else
      return ((kSize<Ours> == kSize<Theirs> &&
               std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>)&&...);
  }();
};

// Parameters that are opaque pointers with us are so with CUDA.
#define EXPECT_AGREE(member, function) \
  static_assert(Agree<decltype(Functions::member), decltype(function)>::kValue)

EXPECT_AGREE(init, cuInit);
EXPECT_AGREE(driver_get_version, cuDriverGetVersion);
EXPECT_AGREE(get_error_name, cuGetErrorName);
EXPECT_AGREE(get_error_string, cuGetErrorString);
EXPECT_AGREE(device_get_count, cuDeviceGetCount);
EXPECT_AGREE(device_get, cuDeviceGet);
EXPECT_AGREE(device_get_name, cuDeviceGetName);
EXPECT_AGREE(device_get_uuid, cuDeviceGetUuid);
EXPECT_AGREE(device_get_pci_bus_id, cuDeviceGetPCIBusId);
EXPECT_AGREE(device_get_attribute, cuDeviceGetAttribute);
EXPECT_AGREE(device_can_access_peer, cuDeviceCanAccessPeer);
EXPECT_AGREE(primary_context_retain, cuDevicePrimaryCtxRetain);
EXPECT_AGREE(primary_context_release, cuDevicePrimaryCtxRelease);
EXPECT_AGREE(context_push, cuCtxPushCurrent);
EXPECT_AGREE(context_pop, cuCtxPopCurrent);
EXPECT_AGREE(context_get_current, cuCtxGetCurrent);
EXPECT_AGREE(context_enable_peer_access, cuCtxEnablePeerAccess);
EXPECT_AGREE(thread_exchange_capture_mode, cuThreadExchangeStreamCaptureMode);
EXPECT_AGREE(stream_create, cuStreamCreate);
EXPECT_AGREE(stream_destroy, cuStreamDestroy);
EXPECT_AGREE(stream_query, cuStreamQuery);
EXPECT_AGREE(stream_synchronize, cuStreamSynchronize);
EXPECT_AGREE(stream_wait_event, cuStreamWaitEvent);
EXPECT_AGREE(stream_write_value32, cuStreamWriteValue32);
EXPECT_AGREE(stream_wait_value32, cuStreamWaitValue32);
EXPECT_AGREE(event_create, cuEventCreate);
EXPECT_AGREE(event_destroy, cuEventDestroy);
EXPECT_AGREE(event_record, cuEventRecord);
EXPECT_AGREE(event_query, cuEventQuery);
EXPECT_AGREE(ipc_get_event_handle, cuIpcGetEventHandle);
EXPECT_AGREE(ipc_open_event_handle, cuIpcOpenEventHandle);
EXPECT_AGREE(memcpy_dtod_async, cuMemcpyDtoDAsync);
EXPECT_AGREE(memcpy_htod_async, cuMemcpyHtoDAsync);
EXPECT_AGREE(memcpy_dtoh_async, cuMemcpyDtoHAsync);
EXPECT_AGREE(memset_async, cuMemsetD8Async);
EXPECT_AGREE(mem_alloc, cuMemAlloc);
EXPECT_AGREE(mem_free, cuMemFree);
EXPECT_AGREE(mem_host_register, cuMemHostRegister);
EXPECT_AGREE(mem_host_unregister, cuMemHostUnregister);
EXPECT_AGREE(mem_host_get_device_pointer, cuMemHostGetDevicePointer);
EXPECT_AGREE(pointer_get_attributes, cuPointerGetAttributes);
EXPECT_AGREE(mem_get_address_range, cuMemGetAddressRange);
EXPECT_AGREE(ipc_get_mem_handle, cuIpcGetMemHandle);
EXPECT_AGREE(ipc_open_mem_handle, cuIpcOpenMemHandle);
EXPECT_AGREE(ipc_close_mem_handle, cuIpcCloseMemHandle);
EXPECT_AGREE(mem_create, cuMemCreate);
EXPECT_AGREE(mem_release, cuMemRelease);
EXPECT_AGREE(mem_export, cuMemExportToShareableHandle);
EXPECT_AGREE(mem_import, cuMemImportFromShareableHandle);
EXPECT_AGREE(mem_retain_allocation, cuMemRetainAllocationHandle);
EXPECT_AGREE(mem_address_reserve, cuMemAddressReserve);
EXPECT_AGREE(mem_address_free, cuMemAddressFree);
EXPECT_AGREE(mem_map, cuMemMap);
EXPECT_AGREE(mem_unmap, cuMemUnmap);
EXPECT_AGREE(mem_set_access, cuMemSetAccess);
EXPECT_AGREE(module_load_data, cuModuleLoadData);
EXPECT_AGREE(module_unload, cuModuleUnload);
EXPECT_AGREE(module_get_function, cuModuleGetFunction);
EXPECT_AGREE(function_get_attribute, cuFuncGetAttribute);
EXPECT_AGREE(function_set_attribute, cuFuncSetAttribute);
EXPECT_AGREE(launch_kernel, cuLaunchKernel);

#define EXPECT_SAME(ours, theirs) \
  static_assert(static_cast<long>(ours) == static_cast<long>(theirs))

EXPECT_SAME(kCuSuccess, CUDA_SUCCESS);
EXPECT_SAME(kCuInvalidValue, CUDA_ERROR_INVALID_VALUE);
EXPECT_SAME(kCuOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
EXPECT_SAME(kCuNotInitialized, CUDA_ERROR_NOT_INITIALIZED);
EXPECT_SAME(kCuDeinitialized, CUDA_ERROR_DEINITIALIZED);
EXPECT_SAME(kCuNoDevice, CUDA_ERROR_NO_DEVICE);
EXPECT_SAME(kCuInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
EXPECT_SAME(kCuInvalidImage, CUDA_ERROR_INVALID_IMAGE);
EXPECT_SAME(kCuInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
EXPECT_SAME(kCuMapFailed, CUDA_ERROR_MAP_FAILED);
EXPECT_SAME(kCuAlreadyMapped, CUDA_ERROR_ALREADY_MAPPED);
EXPECT_SAME(kCuNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
EXPECT_SAME(kCuEccUncorrectable, CUDA_ERROR_ECC_UNCORRECTABLE);
EXPECT_SAME(kCuPeerAccessUnsupported, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
EXPECT_SAME(kCuInvalidPtx, CUDA_ERROR_INVALID_PTX);
EXPECT_SAME(kCuNvlinkUncorrectable, CUDA_ERROR_NVLINK_UNCORRECTABLE);
EXPECT_SAME(kCuContained, 226);  // not in the headers of CUDA 12.0
EXPECT_SAME(kCuInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
EXPECT_SAME(kCuNotFound, CUDA_ERROR_NOT_FOUND);
EXPECT_SAME(kCuNotReady, CUDA_ERROR_NOT_READY);
EXPECT_SAME(kCuIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS);
EXPECT_SAME(kCuLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT);
EXPECT_SAME(kCuPeerAccessAlreadyEnabled, CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
EXPECT_SAME(kCuContextIsDestroyed, CUDA_ERROR_CONTEXT_IS_DESTROYED);
EXPECT_SAME(kCuAssert, CUDA_ERROR_ASSERT);
EXPECT_SAME(kCuTooManyPeers, CUDA_ERROR_TOO_MANY_PEERS);
EXPECT_SAME(kCuHostMemoryAlreadyRegistered, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
EXPECT_SAME(kCuHostMemoryNotRegistered, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
EXPECT_SAME(kCuHardwareStackError, CUDA_ERROR_HARDWARE_STACK_ERROR);
EXPECT_SAME(kCuLaunchFailed, CUDA_ERROR_LAUNCH_FAILED);
EXPECT_SAME(kCuNotPermitted, CUDA_ERROR_NOT_PERMITTED);
EXPECT_SAME(kCuNotSupported, CUDA_ERROR_NOT_SUPPORTED);
EXPECT_SAME(kCuUnknown, CUDA_ERROR_UNKNOWN);

EXPECT_SAME(kCuMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
EXPECT_SAME(kCuComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
EXPECT_SAME(kCuComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
EXPECT_SAME(kCuMaxSharedMemoryPerBlock,
            CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
EXPECT_SAME(kCuPosixFdSupported,
            CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
EXPECT_SAME(kCuIpcEventSupported, CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED);

EXPECT_SAME(kCuPointerContext, CU_POINTER_ATTRIBUTE_CONTEXT);
EXPECT_SAME(kCuPointerMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
EXPECT_SAME(kCuPointerBufferId, CU_POINTER_ATTRIBUTE_BUFFER_ID);
EXPECT_SAME(kCuPointerIsManaged, CU_POINTER_ATTRIBUTE_IS_MANAGED);
EXPECT_SAME(kCuPointerDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
EXPECT_SAME(kCuPointerIsIpcCapable, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE);
EXPECT_SAME(kCuPointerRangeStart, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR);
EXPECT_SAME(kCuPointerRangeSize, CU_POINTER_ATTRIBUTE_RANGE_SIZE);
EXPECT_SAME(kCuPointerIsMapped, CU_POINTER_ATTRIBUTE_MAPPED);
EXPECT_SAME(kCuPointerHandleTypes, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES);
EXPECT_SAME(kCuPointerMemoryPool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE);
EXPECT_SAME(kCuMemoryHost, CU_MEMORYTYPE_HOST);
EXPECT_SAME(kCuMemoryDevice, CU_MEMORYTYPE_DEVICE);
EXPECT_SAME(kCuHandleNone, CU_MEM_HANDLE_TYPE_NONE);
EXPECT_SAME(kCuHandlePosixFd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
EXPECT_SAME(kCuFunctionRegisters, CU_FUNC_ATTRIBUTE_NUM_REGS);
EXPECT_SAME(kCuMaxDynamicSharedBytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);

EXPECT_SAME(kCuCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
EXPECT_SAME(kCuCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
EXPECT_SAME(kCuStreamNonBlocking, CU_STREAM_NON_BLOCKING);
EXPECT_SAME(kCuStreamWaitGreaterOrEqual, CU_STREAM_WAIT_VALUE_GEQ);
EXPECT_SAME(kCuEventDisableTiming, CU_EVENT_DISABLE_TIMING);
EXPECT_SAME(kCuEventInterprocess, CU_EVENT_INTERPROCESS);
EXPECT_SAME(kCuIpcLazyPeerAccess, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
EXPECT_SAME(kCuHostRegisterPortable, CU_MEMHOSTREGISTER_PORTABLE);
EXPECT_SAME(kCuHostRegisterDeviceMap, CU_MEMHOSTREGISTER_DEVICEMAP);
EXPECT_SAME(kCuLocationDevice, CU_MEM_LOCATION_TYPE_DEVICE);
EXPECT_SAME(kCuAllocationPinned, CU_MEM_ALLOCATION_TYPE_PINNED);
EXPECT_SAME(kCuAccessReadWrite, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);

static_assert(sizeof(CuDevice) == sizeof(CUdevice));
static_assert(sizeof(CuDevicePointer) == sizeof(CUdeviceptr));
static_assert(sizeof(CuAllocation) == sizeof(CUmemGenericAllocationHandle));
static_assert(sizeof(CuUuid) == sizeof(CUuuid));
static_assert(sizeof(CuIpcHandle) == sizeof(CUipcMemHandle));
static_assert(sizeof(CuIpcHandle) == sizeof(CUipcEventHandle));
static_assert(sizeof(CuLocation) == sizeof(CUmemLocation));
static_assert(offsetof(CuLocation, id) == offsetof(CUmemLocation, id));
static_assert(sizeof(CuAllocationProperties) == sizeof(CUmemAllocationProp));
static_assert(offsetof(CuAllocationProperties, handle_types) ==
              offsetof(CUmemAllocationProp, requestedHandleTypes));
static_assert(offsetof(CuAllocationProperties, location) ==
              offsetof(CUmemAllocationProp, location));
static_assert(sizeof(CuAccess) == sizeof(CUmemAccessDesc));
static_assert(offsetof(CuAccess, flags) == offsetof(CUmemAccessDesc, flags));

}  // namespace
}  // namespace nixl_connect::paths::cuda
