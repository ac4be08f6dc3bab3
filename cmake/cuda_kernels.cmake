# SPDX-License-Identifier: Apache-2.0
# The kernels for GPUs, which nvcc compiles where it is; the library itself needs no CUDA.
set(NIXL_CONNECT_CUDA_KERNELS AUTO CACHE STRING
  "Compile the kernels for GPUs: AUTO (where nvcc works), ON or OFF")
set_property(CACHE NIXL_CONNECT_CUDA_KERNELS PROPERTY STRINGS AUTO ON OFF)

set(NIXL_CONNECT_NVCC_FLAGS -std=c++20 -O3 -allow-unsupported-compiler)

# Which GPUs this nvcc can compile for, of those that are wanted, and whether it works:
# it needs a compiler of the host that it knows.
function(nixl_connect_try_nvcc result)
  execute_process(COMMAND ${NIXL_CONNECT_NVCC} --list-gpu-code
    OUTPUT_VARIABLE known ERROR_QUIET)
  foreach(architecture 80 90 100)
    if(known MATCHES "sm_${architecture}\n")
      list(APPEND usable ${architecture})
    endif()
  endforeach()
  set(probe ${CMAKE_CURRENT_BINARY_DIR}/nvcc_probe.cu)
  file(WRITE ${probe} "#include <cstdint>\n__global__ void probe(std::uint64_t*) {}\n")
  execute_process(
    COMMAND ${NIXL_CONNECT_NVCC} ${NIXL_CONNECT_NVCC_FLAGS} -fatbin -o ${probe}.fatbin ${probe}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE words)
  if(NOT usable OR NOT status EQUAL 0)
    message(STATUS "nvcc is of no use here: ${words}")
    set(usable "")
  endif()
  set(${result} "${usable}" CACHE INTERNAL "GPUs that nvcc compiles for")
endfunction()

if(NIXL_CONNECT_CUDA_KERNELS)
  find_program(NIXL_CONNECT_NVCC nvcc PATHS /usr/local/cuda/bin DOC "CUDA's compiler")
  if(NIXL_CONNECT_NVCC AND NOT DEFINED NIXL_CONNECT_GPUS)
    nixl_connect_try_nvcc(NIXL_CONNECT_GPUS)
  endif()
  if(NOT NIXL_CONNECT_GPUS AND NOT NIXL_CONNECT_CUDA_KERNELS STREQUAL "AUTO")
    message(FATAL_ERROR "NIXL_CONNECT_CUDA_KERNELS is ON, and no nvcc works")
  endif()
endif()

# nixl_connect_kernel(SOURCE DEPENDS file... EMBEDDED_IN file.cc DEFINITION NAME)
# Compiles SOURCE for all GPUs, and defines NAME for the file of the same folder that takes
# the result in, and NAME_GPUS, "80,90". Does nothing without nvcc.
function(nixl_connect_kernel source)
  cmake_parse_arguments(arg "" "EMBEDDED_IN;DEFINITION" "DEPENDS" ${ARGN})
  if(NOT NIXL_CONNECT_CUDA_KERNELS OR NOT NIXL_CONNECT_GPUS)
    return()
  endif()
  foreach(gpu IN LISTS NIXL_CONNECT_GPUS)
    list(APPEND targets "--generate-code=arch=compute_${gpu},code=sm_${gpu}")
    set(newest ${gpu})
  endforeach()
  # For GPUs to come.
  list(APPEND targets "--generate-code=arch=compute_${newest},code=compute_${newest}")
  set(compiled ${CMAKE_CURRENT_BINARY_DIR}/${source}.fatbin)
  list(JOIN NIXL_CONNECT_GPUS "," gpus)
  add_custom_command(OUTPUT ${compiled}
    COMMAND ${NIXL_CONNECT_NVCC} ${NIXL_CONNECT_NVCC_FLAGS} -I${PROJECT_SOURCE_DIR}/src
            ${targets} -fatbin -Xfatbin=-compress-all -o ${compiled}
            ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPENDS ${source} ${arg_DEPENDS}
    COMMENT "Compiling ${source} for GPUs"
    VERBATIM)
  set_source_files_properties(${arg_EMBEDDED_IN} PROPERTIES
    COMPILE_DEFINITIONS "${arg_DEFINITION}=\"${compiled}\";${arg_DEFINITION}_GPUS=${gpus}"
    OBJECT_DEPENDS ${compiled}
    SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
