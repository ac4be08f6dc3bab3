// SPDX-License-Identifier: Apache-2.0
//
// The part of the CUDA driver's binary interface that this path uses, so that neither
// CUDA nor its headers are needed to build. A test compares it with cuda.h where that
// is there. Values; no threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nixl_connect::paths::cuda {

enum CuResult : int {
  kCuSuccess = 0,
  kCuInvalidValue = 1,
  kCuOutOfMemory = 2,
  kCuNotInitialized = 3,
  kCuDeinitialized = 4,
  kCuNoDevice = 100,
  kCuInvalidDevice = 101,
  kCuInvalidImage = 200,
  kCuInvalidContext = 201,
  kCuMapFailed = 205,
  kCuAlreadyMapped = 208,
  kCuNoBinaryForGpu = 209,
  kCuEccUncorrectable = 214,
  kCuPeerAccessUnsupported = 217,
  kCuInvalidPtx = 218,
  kCuNvlinkUncorrectable = 220,
  kCuContained = 226,
  kCuInvalidHandle = 400,
  kCuNotFound = 500,
  kCuNotReady = 600,
  kCuIllegalAddress = 700,
  kCuLaunchTimeout = 702,
  kCuPeerAccessAlreadyEnabled = 704,
  kCuContextIsDestroyed = 709,
  kCuAssert = 710,
  kCuTooManyPeers = 711,
  kCuHostMemoryAlreadyRegistered = 712,
  kCuHostMemoryNotRegistered = 713,
  kCuHardwareStackError = 714,
  kCuLaunchFailed = 719,
  kCuNotPermitted = 800,
  kCuNotSupported = 801,
  kCuCaptureUnsupported = 900,
  kCuUnknown = 999,
};

enum CuDeviceAttribute : int {
  kCuMultiprocessorCount = 16,
  kCuComputeCapabilityMajor = 75,
  kCuComputeCapabilityMinor = 76,
  kCuMaxSharedMemoryPerBlock = 97,  // of kernels that ask for it
  kCuPosixFdSupported = 103,
  kCuIpcEventSupported = 125,
};

enum CuPointerAttribute : int {
  kCuPointerContext = 1,     // CuContext; none for memory that was mapped
  kCuPointerMemoryType = 2,  // unsigned, of CuMemoryType; 0 for what CUDA has not got
  kCuPointerBufferId = 7,    // 64 bits, of one process
  kCuPointerIsManaged = 8,   // int
  kCuPointerDeviceOrdinal = 9,  // int; negative: none
  kCuPointerIsIpcCapable = 10,  // int, of cuIpcGetMemHandle
  kCuPointerRangeStart = 11,    // address
  kCuPointerRangeSize = 12,     // size_t
  kCuPointerIsMapped = 13,      // int
  kCuPointerHandleTypes = 14,   // 64 bits, of CuHandleType
  kCuPointerMemoryPool = 17,    // pointer; none for memory of no pool
};

enum CuMemoryType : unsigned { kCuMemoryHost = 1, kCuMemoryDevice = 2 };

enum CuHandleType : int { kCuHandleNone = 0, kCuHandlePosixFd = 1 };

enum CuFunctionAttribute : int {
  kCuFunctionRegisters = 4,
  kCuMaxDynamicSharedBytes = 8,
};

constexpr unsigned kCuStreamNonBlocking = 1;
constexpr int kCuCaptureRelaxed = 2;
constexpr unsigned kCuStreamWaitGreaterOrEqual = 0;  // of a count that wraps around
constexpr unsigned kCuEventDisableTiming = 2;
constexpr unsigned kCuEventInterprocess = 4;
constexpr unsigned kCuIpcLazyPeerAccess = 1;
constexpr unsigned kCuHostRegisterPortable = 1;
constexpr unsigned kCuHostRegisterDeviceMap = 2;
constexpr int kCuLocationDevice = 1;
constexpr int kCuAllocationPinned = 1;
constexpr int kCuAccessReadWrite = 3;

using CuDevice = int;
using CuDevicePointer = unsigned long long;
using CuAllocation = unsigned long long;  // physical memory, of cuMemCreate
using CuContext = struct CuContextObject*;
using CuStream = struct CuStreamObject*;
using CuEvent = struct CuEventObject*;
using CuModule = struct CuModuleObject*;
using CuFunction = struct CuFunctionObject*;

struct CuUuid {
  std::array<std::byte, 16> bytes{};
};

// Of memory or of an event; the driver of another process opens it.
struct CuIpcHandle {
  std::array<std::byte, 64> bytes{};

  bool operator==(const CuIpcHandle&) const = default;
};

struct CuLocation {
  int type = kCuLocationDevice;
  int id = 0;
};

struct CuAllocationProperties {
  int type = kCuAllocationPinned;
  int handle_types = kCuHandleNone;  // of CuHandleType
  CuLocation location{};
  void* of_windows = nullptr;
  std::array<std::byte, 8> flags{};
};

struct CuAccess {
  CuLocation location{};
  int flags = kCuAccessReadWrite;
};

}  // namespace nixl_connect::paths::cuda
